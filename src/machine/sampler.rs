//! The state of this process, second by second.

use super::limits::descriptor_limit;
use super::own::{cores, cpu_time, resident_memory};
use super::ports::{ephemeral_ports, ports_taken};
use crate::metrics::summary::ClientHealth;
use crate::store::open_descriptors;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Gauges are looked at this often, for their maxima.
const LOOK: Duration = Duration::from_millis(100);
/// Ports are looked at every so many seconds.
const PORTS_EVERY: u32 = 5;
/// A part of a second at the end that is worth a sample of its own.
const REST: Duration = Duration::from_millis(50);

/// What a load has under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Requests.
    pub in_flight: u64,
    /// Streams among them.
    pub open_streams: u64,
}

/// What a sampler looks at.
pub struct Watched {
    /// Time 0 of the load, once it is known.
    pub start: Box<dyn Fn() -> Option<Instant> + Send + Sync>,
    /// What is under way.
    pub gauges: Box<dyn Fn() -> Gauges + Send + Sync>,
    /// Addresses of the server; empty where they are not known.
    pub server: Vec<SocketAddr>,
}

/// One second of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MachineSample {
    /// The second of the load that ends with this sample, from 0.
    pub second: u32,
    /// CPU of this process over the second as a share of all its cores, 0 to 1.
    pub cpu_share: f64,
    /// Resident memory in bytes.
    pub rss: Option<u64>,
    /// Open file descriptors.
    pub fds: Option<u64>,
    /// What was under way at the end of the second.
    pub under_way: Gauges,
}

/// The state of this process over a load.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// One sample per second of the load, in order; the last one may be of a part of a second.
    pub samples: Vec<MachineSample>,
    /// Cores that this process may use.
    pub cores: u32,
    /// CPU time used over the load.
    pub cpu: Duration,
    /// The most that was ever seen under way, looked at ten times a second.
    pub most: Gauges,
    /// Limit on descriptors; `None` where there is none.
    pub fds_limit: Option<u64>,
    /// Local ports left for connections to the server, at the least; `None` where it is not known.
    pub ports_left: Option<u64>,
}

impl Health {
    /// Mean share of the CPU over some seconds of the load, 0 to 1; 0 where there is no sample of them.
    pub fn cpu_mean(&self, measured: impl Fn(u32) -> bool) -> f64 {
        let shares: Vec<f64> = self.samples.iter().filter(|s| measured(s.second)).map(|s| s.cpu_share).collect();
        if shares.is_empty() { 0.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 }
    }

    /// As the summary tells it. The mean is over the whole load; lateness, drops and panics are for others to add.
    pub fn summary(&self) -> ClientHealth {
        let most = |of: fn(&MachineSample) -> Option<u64>| self.samples.iter().filter_map(of).max().unwrap_or(0);
        ClientHealth {
            cores: self.cores,
            cpu_s: self.cpu.as_secs_f64(),
            cpu_max: self.samples.iter().map(|s| s.cpu_share).fold(0.0, f64::max),
            cpu_mean: self.cpu_mean(|_| true),
            rss_max: most(|s| s.rss),
            fds_max: most(|s| s.fds),
            fds_limit: self.fds_limit.unwrap_or(u64::MAX),
            streams_max: self.most.open_streams,
            ports_left: self.ports_left,
            ..ClientHealth::default()
        }
    }
}

/// Takes samples until it is told to finish.
pub struct Sampler {
    health: Arc<Mutex<Health>>,
    finish: CancellationToken,
    task: JoinHandle<()>,
}

impl Sampler {
    /// Begins to look, on a task of the runtime. Samples begin with time 0 of the load and end at its full seconds.
    pub fn start(watched: Watched) -> Sampler {
        let limit = descriptor_limit().map(|limit| limit.soft);
        let health = Arc::new(Mutex::new(Health { cores: cores(), fds_limit: limit, ..Health::default() }));
        let finish = CancellationToken::new();
        let task = tokio::spawn(sample(watched, Arc::clone(&health), finish.clone()));
        Sampler { health, finish, task }
    }

    /// The newest sample.
    pub fn latest(&self) -> Option<MachineSample> {
        lock(&self.health).samples.last().copied()
    }

    /// Takes a last sample and gives all.
    pub async fn finish(self) -> Health {
        self.finish.cancel();
        // A sampler that failed has what it saw until then.
        let _ = self.task.await;
        std::mem::take(&mut *lock(&self.health))
    }
}

fn lock(health: &Mutex<Health>) -> MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn sample(watched: Watched, health: Arc<Mutex<Health>>, finish: CancellationToken) {
    let start = loop {
        match (watched.start)() {
            Some(start) => break start,
            None => tokio::select! {
                () = tokio::time::sleep(LOOK / 10) => {}
                () = finish.cancelled() => return,
            },
        }
    };
    tokio::select! {
        () = tokio::time::sleep_until(start.into()) => {}
        () = finish.cancelled() => return,
    }
    let first = cpu_time();
    let (mut cpu, mut at) = (first, Instant::now());
    for second in 0.. {
        let end = start.checked_add(Duration::from_secs(u64::from(second) + 1)).unwrap_or(at);
        let more = look_until(end, &watched, &health, &finish).await;
        let (now, now_cpu) = (Instant::now(), cpu_time());
        let passed = now.saturating_duration_since(at);
        if more || passed >= REST {
            let used = used(cpu, now_cpu);
            let mut health = lock(&health);
            let cpu_share = used.as_secs_f64() / (passed.as_secs_f64() * f64::from(health.cores)).max(1e-6);
            let (rss, fds, under_way) = (resident_memory(), open_descriptors(), (watched.gauges)());
            health.samples.push(MachineSample { second, cpu_share, rss, fds, under_way });
            health.cpu = self::used(first, now_cpu);
            (cpu, at) = (now_cpu, now);
        }
        if !more || second % PORTS_EVERY == 0 {
            note_ports(&watched, &health).await;
        }
        if !more {
            return;
        }
    }
}

fn used(before: Option<Duration>, now: Option<Duration>) -> Duration {
    now.zip(before).map_or(Duration::ZERO, |(now, before)| now.saturating_sub(before))
}

/// Keeps the maxima of the gauges until `end`; false when it is to finish.
async fn look_until(end: Instant, watched: &Watched, health: &Mutex<Health>, finish: &CancellationToken) -> bool {
    loop {
        let seen = (watched.gauges)();
        {
            let most = &mut lock(health).most;
            most.in_flight = most.in_flight.max(seen.in_flight);
            most.open_streams = most.open_streams.max(seen.open_streams);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(LOOK)) => {}
            () = finish.cancelled() => return false,
        }
    }
}

/// The tables of the kernel may be long: they are read on a thread that nobody waits for.
async fn note_ports(watched: &Watched, health: &Mutex<Health>) {
    let server = watched.server.clone();
    if server.is_empty() {
        return;
    }
    let left = move || {
        let all = ephemeral_ports()?;
        Some(all.saturating_sub(ports_taken(&server, all / 4)?))
    };
    if let Ok(Some(left)) = tokio::task::spawn_blocking(left).await {
        let mut health = lock(health);
        health.ports_left = Some(health.ports_left.map_or(left, |before| before.min(left)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_second_of_a_load_has_a_sample_and_the_maxima_are_kept() {
        let start: Arc<OnceLock<Instant>> = Arc::default();
        let open = Arc::new(AtomicU64::new(0));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (told, seen) = (Arc::clone(&start), Arc::clone(&open));
        let sampler = Sampler::start(Watched {
            start: Box::new(move || told.get().copied()),
            gauges: Box::new(move || Gauges { in_flight: 2, open_streams: seen.load(Relaxed) }),
            server: vec![listener.local_addr().unwrap()],
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(sampler.latest(), None, "the load has not begun");
        start.set(Instant::now()).unwrap();
        open.store(7, Relaxed);
        let busy = Instant::now();
        while sampler.latest().is_none() {
            // Burns CPU on this thread; the sampler runs on another.
            if busy.elapsed() > Duration::from_millis(600) {
                open.store(3, Relaxed);
            }
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let health = sampler.finish().await;
        let seconds: Vec<u32> = health.samples.iter().map(|s| s.second).collect();
        assert_eq!(seconds, (0..seconds.len() as u32).collect::<Vec<u32>>());
        assert!(seconds.len() >= 2, "{seconds:?}");
        assert_eq!(health.most, Gauges { in_flight: 2, open_streams: 7 });
        assert_eq!(health.samples[0].under_way.open_streams, 3);
        if cpu_time().is_some() {
            assert!(health.samples[0].cpu_share > 0.05 && health.cpu > Duration::from_millis(50), "{health:?}");
        }
        let summary = health.summary();
        assert!(summary.cpu_max >= summary.cpu_mean && summary.cores >= 1);
        if let Some(rss) = health.samples[0].rss {
            assert!(rss > 1 << 20 && summary.fds_max > 3 && summary.fds_max < summary.fds_limit, "{summary:?}");
            assert!(health.ports_left.is_some_and(|left| left > 0));
        }
    }

    #[tokio::test]
    async fn a_sampler_of_a_load_that_never_began_has_nothing_to_tell() {
        let watched = Watched { start: Box::new(|| None), gauges: Box::new(Gauges::default), server: vec![] };
        let health = Sampler::start(watched).finish().await;
        assert!(health.samples.is_empty() && health.cpu.is_zero() && health.ports_left.is_none());
    }
}
