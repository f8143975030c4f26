//! Where arrivals meet virtual users that are free.

use super::plan::Arrival;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// An arrival whose time has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub arrival: Arrival,
    /// Its planned time.
    pub due: Instant,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// By a virtual user, or by the next that comes; this many are free after it.
    Begun { free: usize },
    /// The greatest number of scenarios is under way.
    Dropped,
}

/// Hands arrivals to virtual users. The last that became free is the first to go, so that those that were needed once only
/// stay asleep.
pub(super) struct Desk {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    free: Vec<oneshot::Sender<Order>>,
    /// For virtual users that are still being launched.
    waiting: VecDeque<Order>,
    under_way: usize,
    closed: bool,
}

impl Desk {
    /// A desk for at most this many arrivals under way.
    pub(super) fn new(most: usize) -> Desk {
        Desk { most, state: Mutex::default() }
    }

    /// Most arrivals under way.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Hands on an arrival whose time has come.
    pub(super) fn arrive(&self, mut order: Order) -> Taken {
        let mut state = self.lock();
        if state.under_way >= self.most {
            return Taken::Dropped;
        }
        state.under_way += 1;
        loop {
            let Some(user) = state.free.pop() else {
                state.waiting.push_back(order);
                return Taken::Begun { free: 0 };
            };
            match user.send(order) {
                Ok(()) => return Taken::Begun { free: state.free.len() },
                // That user is gone.
                Err(back) => order = back,
            }
        }
    }

    /// Waits for the next arrival of a virtual user; `None` when there are no more. `done` says that it has dealt with one.
    pub(super) async fn next(&self, done: bool) -> Option<Order> {
        let order = {
            let mut state = self.lock();
            state.under_way -= usize::from(done);
            if let Some(order) = state.waiting.pop_front() {
                return Some(order);
            }
            if state.closed {
                return None;
            }
            let (user, order) = oneshot::channel();
            state.free.push(user);
            order
        };
        order.await.ok()
    }

    /// There are no more arrivals: who is free may leave.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.free.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
