//! Places among the requests that may be in flight at the same time.

use super::fault::fault;
use crate::model::{Fault, FaultClass};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How a request comes to its place among those in flight.
#[derive(Default)]
pub enum Place {
    /// It waits for one.
    #[default]
    Queue,
    /// It was reserved.
    Reserved(Reserved),
    /// It needs none: it belongs to a request that is in flight and must not wait for that one's end.
    Beside,
}

/// A place that is kept until its request has ended.
pub struct Reserved(#[allow(dead_code)] OwnedSemaphorePermit); // dropped, never read

/// All places of a client.
pub(super) struct Slots {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl Slots {
    pub(super) fn new(max_in_flight: usize) -> Slots {
        let count = max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Slots { semaphore: Arc::new(Semaphore::new(count)), count }
    }

    /// One place, or the one that was reserved.
    pub(super) async fn take(&self, place: Place) -> Result<Option<Reserved>, Fault> {
        match place {
            Place::Beside => Ok(None),
            Place::Reserved(reserved) => Ok(Some(reserved)),
            Place::Queue => match Arc::clone(&self.semaphore).try_acquire_owned() {
                Ok(free) => Ok(Some(Reserved(free))),
                Err(_) => Ok(self.many(1).await?.pop()),
            },
        }
    }

    /// `wanted` places at once, or all there are; waits until they are free together.
    pub(super) async fn many(&self, wanted: usize) -> Result<Vec<Reserved>, Fault> {
        let wanted = u32::try_from(wanted.min(self.count)).unwrap_or(u32::MAX);
        let closed = |_| fault(FaultClass::Cancelled, "the client is closed");
        let mut permits = Arc::clone(&self.semaphore).acquire_many_owned(wanted).await.map_err(closed)?;
        let mut places = Vec::new();
        while let Some(one) = permits.split(1) {
            places.push(Reserved(one));
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn waits<T>(future: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::from_millis(20), future).await.is_err()
    }

    #[tokio::test]
    async fn places_for_lanes_are_given_together_and_come_back_one_by_one() {
        let slots = Slots::new(2);
        let first = slots.take(Place::Queue).await.unwrap();
        assert!(waits(slots.many(2)).await, "only one is free");
        drop(first);
        let mut both = slots.many(5).await.unwrap();
        assert_eq!(both.len(), 2, "there are no more");
        assert!(waits(slots.take(Place::Queue)).await);
        assert!(slots.take(Place::Beside).await.unwrap().is_none());
        let held = slots.take(Place::Reserved(both.pop().unwrap())).await.unwrap();
        drop(held);
        assert!(!waits(slots.take(Place::Queue)).await);
    }
}
