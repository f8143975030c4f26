//! Shares of scenarios -> shares of jobs.

use crate::engine::Job;
use std::sync::Arc;

/// The weight of each job: a scenario that fits several apps splits its share evenly among them.
///
/// `share` is asked for the share of a scenario by its id.
pub(super) fn weigh(jobs: &mut [Job], share: &dyn Fn(&str) -> u32) {
    let apps: Vec<u64> =
        jobs.iter().map(|job| jobs.iter().filter(|j| Arc::ptr_eq(&j.scenario, &job.scenario)).count() as u64).collect();
    let common = apps.iter().copied().fold(1, lcm);
    for (job, apps) in jobs.iter_mut().zip(apps) {
        let weight = u64::from(share(&job.scenario.id).max(1)) * (common / apps);
        job.weight = u32::try_from(weight).unwrap_or(u32::MAX);
    }
}

fn lcm(a: u64, b: u64) -> u64 {
    a / gcd(a, b) * b
}

fn gcd(a: u64, b: u64) -> u64 {
    match b {
        0 => a.max(1),
        _ => gcd(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    #[test]
    fn a_scenario_on_two_apps_has_no_more_weight_than_its_share() {
        let scenario = |id: &str| {
            let text = format!(
                "difyprobe: 1\nid: t.{id}\ntitle: T\ntarget: {{app: chat}}\nsteps: [{{id: s, chat: {{query: a}}}}]\n"
            );
            Arc::new(parse("a.yaml", &text).unwrap())
        };
        let (one, two) = (scenario("one"), scenario("two"));
        let job = |scenario: &Arc<_>, app| Job { scenario: Arc::clone(scenario), app, weight: 1 };
        let mut jobs = [job(&one, 0), job(&one, 1), job(&two, 0)];
        weigh(&mut jobs, &|id| if id == "t.one" { 70 } else { 30 });
        assert_eq!(jobs.map(|j| j.weight), [70, 70, 60]);
    }
}
