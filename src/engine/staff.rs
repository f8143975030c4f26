//! Virtual users that are launched as they are needed: one attack of goose after the other, side by side.

use super::attack::{Crew, EngineError, Life, launch};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Fewest virtual users worth an attack of their own.
const LEAST: usize = 64;
/// Most of one attack: goose blocks a thread while it builds them, 30 to 60 us each.
const MOST: usize = 512;

/// All virtual users of a plan. Dropping it ends what is left of goose; lives that have not ended must not be left.
pub(super) struct Staff {
    attacks: JoinSet<Result<(), EngineError>>,
    hired: usize,
    lives: Arc<Lives>,
}

#[derive(Default)]
struct Lives {
    begun: AtomicUsize,
    ended: AtomicUsize,
    changed: Notify,
}

/// One life that has begun; ends with it, also when a panic takes it.
struct Alive(Arc<Lives>);

impl Alive {
    fn begin(lives: &Arc<Lives>) -> Alive {
        lives.begun.fetch_add(1, SeqCst);
        lives.changed.notify_one();
        Alive(Arc::clone(lives))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
        self.0.changed.notify_one();
    }
}

impl Staff {
    pub(super) fn new() -> Staff {
        Staff { attacks: JoinSet::new(), hired: 0, lives: Arc::default() }
    }

    /// Launches crews.
    pub(super) fn hire(&mut self, crews: Vec<Crew>) {
        let counted = |crew: Crew| {
            let (lives, life) = (Arc::clone(&self.lives), crew.life);
            let life: Life = Arc::new(move || {
                let (alive, life) = (Alive::begin(&lives), life());
                Box::pin(async move {
                    let _alive = alive;
                    life.await;
                })
            });
            Crew { life, ..crew }
        };
        self.hired += crews.iter().map(|c| c.users).sum::<usize>();
        let crews = crews.into_iter().map(counted).collect();
        self.attacks.spawn(launch(crews));
    }

    /// Launches as many of one kind as are missing to `wanted`, and some more up to `most`, in crews of a bearable size.
    pub(super) fn hire_up_to(&mut self, wanted: usize, most: usize, life: &Life) {
        if wanted <= self.hired {
            return;
        }
        let wanted = wanted.max(self.hired.saturating_add(LEAST)).min(most);
        while self.hired < wanted {
            let users = (wanted - self.hired).min(MOST);
            self.hire(vec![Crew { name: "virtual users".to_owned(), users, life: Arc::clone(life) }]);
        }
    }

    /// Launches more when all that were asked for have come and less than a quarter of them is free.
    pub(super) fn keep_free(&mut self, free: usize, most: usize, life: &Life) {
        if free < self.hired / 4 && self.hired < most && self.complete() {
            self.hire_up_to(self.hired.saturating_add(self.hired.clamp(LEAST, MOST)), most, life);
        }
    }

    /// Virtual users that were asked for.
    pub(super) fn hired(&self) -> usize {
        self.hired
    }

    /// Whether all that were asked for have come.
    fn complete(&self) -> bool {
        self.lives.begun.load(SeqCst) >= self.hired
    }

    /// Returns when all that were asked for have come.
    pub(super) async fn arrived(&mut self) -> Result<(), EngineError> {
        self.until(|lives, hired| lives.begun.load(SeqCst) >= hired).await
    }

    /// Returns when all that were asked for have come and gone. A stop may keep goose from launching some.
    pub(super) async fn ended(&mut self) -> Result<(), EngineError> {
        self.until(|lives, hired| lives.ended.load(SeqCst) >= hired).await
    }

    async fn until(&mut self, done: impl Fn(&Lives, usize) -> bool) -> Result<(), EngineError> {
        while !done(&self.lives, self.hired) {
            tokio::select! {
                () = self.lives.changed.notified() => {}
                attack = self.attacks.join_next() => match attack {
                    Some(Ok(ended)) => ended?,
                    // A panic within goose; its users are gone with it or will end by themselves.
                    Some(Err(_)) => {}
                    None => return Ok(()),
                },
            }
        }
        Ok(())
    }
}
