//! Waking up on time. tokio's timers run on a wheel of 1 ms; a load of 1,000 arrivals a second needs better.

use std::time::Instant;

/// Wakes a task at given times, to some 50 us where the kernel has timers that can be waited for like sockets (Linux), to
/// a millisecond elsewhere.
#[derive(Debug)]
pub struct Alarm(#[cfg(target_os = "linux")] Option<kernel::Timer>);

impl Alarm {
    /// An alarm. Belongs to the runtime in which it is made.
    #[cfg(target_os = "linux")]
    pub fn new() -> Alarm {
        Alarm(kernel::Timer::new())
    }

    /// An alarm.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> Alarm {
        Alarm()
    }

    /// Returns at this time, never before it.
    pub async fn until(&mut self, at: Instant) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = &mut self.0 {
            if timer.until(at).await.is_ok() {
                return;
            }
            // It failed once and would again.
            self.0 = None;
        }
        tokio::time::sleep_until(at.into()).await;
    }
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm::new()
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    use rustix::time::{timerfd_create, timerfd_settime};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Instant;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[derive(Debug)]
    pub(super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        /// `None` where the kernel or a sandbox refuses.
        pub(super) fn new() -> Option<Timer> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
            // Deprecated for types that may close or exchange their descriptor behind the back of the runtime; an owned
            // descriptor does neither, and the successor of this function is unsafe.
            #[allow(deprecated)]
            let timer = AsyncFd::with_interest(timer, Interest::READABLE).ok()?;
            Some(Timer(timer))
        }

        pub(super) async fn until(&mut self, at: Instant) -> io::Result<()> {
            loop {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                let once = Timespec { tv_sec: 0, tv_nsec: 0 };
                let time = Itimerspec { it_interval: once, it_value: left.try_into().map_err(io::Error::other)? };
                timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &time)?;
                // Setting the time took back what an earlier one had fired. Should that show all the same, the loop sees
                // that it is too early.
                self.0.readable().await?.clear_ready();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn an_alarm_is_never_early_and_can_be_set_again() {
        let mut alarm = Alarm::new();
        let mut late = Vec::new();
        for step in [300, 50, 2_000, 0, 700, 12_000] {
            let at = Instant::now() + Duration::from_micros(step);
            alarm.until(at).await;
            assert!(Instant::now() >= at);
            late.push(at.elapsed());
        }
        late.sort();
        assert!(late[2] < Duration::from_millis(500), "{late:?}");
    }

    #[tokio::test]
    async fn an_alarm_that_was_given_up_does_not_disturb_the_next() {
        let mut alarm = Alarm::new();
        let given_up =
            tokio::time::timeout(Duration::from_millis(5), alarm.until(Instant::now() + Duration::from_secs(60)));
        assert!(given_up.await.is_err());
        let soon = Instant::now() + Duration::from_millis(3);
        alarm.until(soon).await;
        assert!((soon..soon + Duration::from_secs(5)).contains(&Instant::now()));
    }
}
