//! Arrivals at their times.

use super::attack::Life;
use super::count::Spot;
use super::desk::{Desk, Order, Taken};
use super::life::Pool;
use super::load::Ending;
use super::plan::Arrival;
use super::staff::Staff;
use super::start::Start;
use crate::flow::Visit;
use crate::machine::Alarm;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Arrivals that are handed on in one go before others get a turn.
const AT_A_TIME: u32 = 32;

/// Hands arrivals on as their times come.
pub(super) struct Dispatch {
    pub pool: Arc<Pool>,
    pub desk: Arc<Desk>,
    pub staff: Staff,
    pub life: Life,
    pub start: Start,
}

impl Dispatch {
    /// Runs to the last arrival or to the end of the load.
    pub(super) async fn run(mut self, arrivals: impl Iterator<Item = Arrival>, ending: &Ending) -> Staff {
        let mut alarm = Alarm::new();
        let mut called = pin!(ending.call());
        let mut in_one_go = 0;
        for arrival in arrivals {
            let offset = Duration::from_micros(arrival.at_us);
            let Some(due) = self.start.at.checked_add(offset).filter(|_| ending.covers(offset)) else {
                break;
            };
            if due > Instant::now() {
                in_one_go = 0;
                tokio::select! {
                    biased;
                    () = &mut called => break,
                    () = alarm.until(due) => {}
                }
            } else if in_one_go >= AT_A_TIME {
                in_one_go = 0;
                tokio::task::yield_now().await;
            }
            if ending.called() {
                break;
            }
            in_one_go += 1;
            self.arrive(Order { arrival, due });
        }
        self.staff
    }

    fn arrive(&mut self, order: Order) {
        let spot = Spot { stage: order.arrival.stage, at_us: order.arrival.at_us };
        let progress = &self.pool.session.progress;
        progress.arrivals.fetch_add(1, Relaxed);
        match self.desk.arrive(order) {
            Taken::Dropped => {
                progress.dropped.fetch_add(1, Relaxed);
                self.pool.note(|notes| {
                    notes.count_planned(spot);
                    notes.count_dropped(spot);
                });
            }
            Taken::Begun { free } => {
                self.pool.note(|notes| notes.count_planned(spot));
                self.staff.keep_free(free, self.desk.most(), &self.life);
            }
        }
    }
}

/// The life of a virtual user that takes arrivals.
pub(super) fn worker(pool: &Arc<Pool>, desk: &Arc<Desk>) -> Life {
    let (pool, desk) = (Arc::clone(pool), Arc::clone(desk));
    Arc::new(move || {
        let (pool, desk) = (Arc::clone(&pool), Arc::clone(&desk));
        Box::pin(async move {
            let mut done = false;
            while let Some(order) = desk.next(done).await {
                pool.serve(order).await;
                done = true;
            }
        })
    })
}

impl Pool {
    /// One arrival.
    async fn serve(&self, order: Order) {
        let Order { arrival, due } = order;
        let Some(job) = self.jobs.get(arrival.job) else {
            self.note(|notes| notes.count_fault(|| format!("arrival {} names no job", arrival.index)));
            return;
        };
        let begun_us = self.started.get().map_or(arrival.at_us, |start| micros(start.at.elapsed()));
        let visit = Visit::arrival(arrival.index, arrival.ticket, due, self.cut.clone());
        self.visit(job, visit, Some(Spot { stage: arrival.stage, at_us: begun_us })).await;
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
