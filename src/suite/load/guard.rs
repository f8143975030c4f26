//! What ends a load before its schedule does: stop conditions, budgets, objectives that may abort.

use crate::metrics::load_recorder::Running;
use crate::workload::{Budget, StopWhen};
use std::collections::VecDeque;

/// Looks at a load once per second.
pub(super) struct Guard {
    stop_when: Vec<StopWhen>,
    budget: Budget,
    /// Requests and failures of the latest seconds, newest last.
    seconds: VecDeque<(u64, u64)>,
    before: (u64, u64),
    /// Failures ended the load.
    pub stopped: bool,
}

impl Guard {
    pub(super) fn new(stop_when: Vec<StopWhen>, budget: Budget) -> Guard {
        Guard { stop_when, budget, seconds: VecDeque::new(), before: (0, 0), stopped: false }
    }

    /// Takes the sums at the end of a second; says why the load is to end, if it is.
    pub(super) fn look(&mut self, sums: &Running) -> Option<String> {
        let now = (sums.requests, sums.failed);
        self.seconds.push_back((now.0 - self.before.0, now.1 - self.before.1));
        self.before = now;
        let longest = self.stop_when.iter().map(seconds_of).max().unwrap_or(0);
        while self.seconds.len() > longest {
            self.seconds.pop_front();
        }
        let failures = self.too_many_failures();
        self.stopped |= failures.is_some();
        failures.or_else(|| self.used_up(sums))
    }

    fn too_many_failures(&self) -> Option<String> {
        self.stop_when.iter().find_map(|condition| {
            let window = seconds_of(condition);
            if self.seconds.len() < window {
                return None;
            }
            let part = self.seconds.iter().rev().take(window);
            let (requests, failed) = part.fold((0, 0), |sum, second| (sum.0 + second.0, sum.1 + second.1));
            let rate = failed as f64 / requests as f64;
            (requests > 0 && rate > condition.over).then(|| {
                let (rate, over) = (rate * 100.0, condition.over * 100.0);
                format!("{rate:.1} % of the requests of the last {window} s failed, more than {over} %")
            })
        })
    }

    fn used_up(&self, sums: &Running) -> Option<String> {
        let tokens = self.budget.tokens.filter(|limit| sums.completion_tokens >= *limit);
        let cost = self.budget.cost.iter().find_map(|(currency, limit)| {
            let spent = sums.cost.get(currency).copied().filter(|spent| spent >= limit)?;
            let price = |nanos: u64| nanos as f64 / 1e9;
            Some(format!("{currency} {:.4} of {} are spent: the budget is used up", price(spent), price(*limit)))
        });
        let tokens = tokens.map(|limit| format!("{} of {limit} tokens: the budget is used up", sums.completion_tokens));
        tokens.or(cost)
    }
}

/// Whole seconds of a window, at least one.
fn seconds_of(condition: &StopWhen) -> usize {
    usize::try_from(condition.window.as_millis().div_ceil(1000)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sums(requests: u64, failed: u64) -> Running {
        Running { requests, failed, ..Running::default() }
    }

    fn guard(over: f64, window: u64) -> Guard {
        Guard::new(vec![StopWhen { over, window: Duration::from_secs(window) }], Budget::default())
    }

    #[test]
    fn failures_end_a_load_when_they_last_for_the_whole_window() {
        let mut guard = guard(0.2, 3);
        assert_eq!(guard.look(&sums(10, 10)), None);
        assert_eq!(guard.look(&sums(20, 20)), None, "the window is not full");
        let why = guard.look(&sums(30, 21)).unwrap();
        assert_eq!(why, "70.0 % of the requests of the last 3 s failed, more than 20 %");
        assert!(guard.look(&sums(100, 21)).is_none(), "11 of 90");
    }

    #[test]
    fn a_share_at_the_limit_and_a_window_without_requests_end_nothing() {
        let mut guard = guard(0.5, 1);
        assert_eq!(guard.look(&sums(10, 5)), None);
        assert_eq!(guard.look(&sums(10, 5)), None);
        assert!(guard.look(&sums(11, 6)).is_some());
    }

    #[test]
    fn tokens_and_money_are_limits() {
        let budget = Budget { tokens: Some(100), cost: vec![("USD".into(), 2_000_000_000)] };
        let mut guard = Guard::new(Vec::new(), budget);
        let spent = |tokens, usd: u64| Running {
            completion_tokens: tokens,
            cost: [("USD".to_owned(), usd), ("RMB".to_owned(), u64::MAX)].into(),
            ..Running::default()
        };
        assert_eq!(guard.look(&spent(99, 1_999_999_999)), None);
        assert_eq!(guard.look(&spent(100, 0)).unwrap(), "100 of 100 tokens: the budget is used up");
        assert_eq!(guard.look(&spent(0, 2_500_000_000)).unwrap(), "USD 2.5000 of 2 are spent: the budget is used up");
    }
}
