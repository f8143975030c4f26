//! Which virtual users of a closed load may run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Lets virtual users from number 0 up to a number run; the others wait. Opening wakes only those that may go.
#[derive(Debug)]
pub struct Gate {
    /// Written under the lock.
    open_to: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    users: BTreeMap<usize, oneshot::Sender<()>>,
    closed: bool,
}

/// How a virtual user came through a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    AtOnce,
    Waited,
    /// Not at all: nobody begins anything any more.
    Closed,
}

impl Gate {
    /// A gate that lets this many virtual users run.
    pub fn new(users: usize) -> Gate {
        Gate { open_to: AtomicUsize::new(users), waiting: Mutex::default() }
    }

    /// From now on this many virtual users may run. Those beyond it stop at their next look.
    pub fn set(&self, users: usize) {
        let mut waiting = self.lock();
        if self.open_to.swap(users, Relaxed) >= users {
            return;
        }
        let stay = waiting.users.split_off(&users);
        for (_, user) in std::mem::replace(&mut waiting.users, stay) {
            // A user that is gone needs no word.
            let _ = user.send(());
        }
    }

    /// Nobody begins anything any more.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.users.clear();
    }

    /// Waits until a virtual user may run.
    pub(super) async fn pass(&self, user: usize) -> Passed {
        let mut passed = Passed::AtOnce;
        loop {
            let may_go = {
                let mut waiting = self.lock();
                if waiting.closed {
                    return Passed::Closed;
                }
                // Looked at under the lock: whoever opens the gate after this finds the user waiting.
                if user < self.open_to.load(Relaxed) {
                    return passed;
                }
                let (go, may_go) = oneshot::channel();
                waiting.users.insert(user, go);
                may_go
            };
            if may_go.await.is_err() {
                return Passed::Closed;
            }
            passed = Passed::Waited;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
