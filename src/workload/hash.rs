//! A short name for what a load sends and when: shards with the same one belong together.

use super::plan::{Arrivals, Process, Stage, Workload};

/// FNV-1a, 64 bits: written out in ten lines, the same for ever. It tells accidents apart, not forgeries.
struct Hash(u64);

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// With its length, so that two texts are not the same as one.
    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.bytes(text);
    }

    fn stages(&mut self, stages: &[Stage]) {
        self.number(stages.len() as u64);
        for stage in stages {
            self.text(stage.label.as_bytes());
            self.number(stage.from.to_bits());
            self.number(stage.to.to_bits());
            self.number(u64::try_from(stage.length.as_micros()).unwrap_or(u64::MAX));
            self.number(u64::from(stage.measure));
        }
    }

    fn arrivals(&mut self, arrivals: &Arrivals) {
        match arrivals {
            Arrivals::Open { process, stages, .. } => {
                self.number(if *process == Process::Constant { 1 } else { 2 });
                self.stages(stages);
            }
            Arrivals::Replay { at_us, .. } => {
                self.number(3);
                self.number(at_us.len() as u64);
                at_us.iter().for_each(|at| self.number(*at));
            }
            Arrivals::Closed { stages, iterations } => {
                self.number(4);
                self.stages(stages);
                self.number(iterations.map_or(0, u64::from));
            }
        }
    }
}

/// Hash of everything that decides what is sent and when, as 16 hex digits: the texts of the scenarios (in the order of
/// the shares), shares, arrivals, think times, the end by `requests`, seed. No part of it: ids, the target, objectives,
/// limits of the generator, the budget.
pub fn config_hash(workload: &Workload, scenarios: &[&[u8]], seed: u64) -> String {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    hash.text(b"difyprobe.load/1");
    hash.number(seed);
    hash.number(scenarios.len() as u64);
    scenarios.iter().for_each(|text| hash.text(text));
    workload.scenarios.iter().for_each(|share| hash.number(u64::from(share.weight)));
    hash.arrivals(&workload.arrivals);
    hash.number(u64::from(workload.think));
    hash.number(workload.requests.map_or(0, |n| n.saturating_add(1)));
    format!("{:016x}", hash.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Budget, Share};
    use std::time::Duration;

    fn workload() -> Workload {
        let stage = Stage { label: "hold".into(), from: 5.0, to: 5.0, length: Duration::from_secs(9), measure: true };
        Workload {
            id: "a".into(),
            file: String::new(),
            seed: None,
            scenarios: vec![Share { scenario: "x".into(), weight: 3, at: None }],
            arrivals: Arrivals::Open { process: Process::Poisson, stages: vec![stage], max_in_flight: 7 },
            slos: Vec::new(),
            validity: Vec::new(),
            stop_when: Vec::new(),
            budget: Budget::default(),
            requests: None,
            drain: Duration::ZERO,
            think: true,
        }
    }

    #[test]
    fn what_is_sent_and_when_changes_the_hash_and_nothing_else_does() {
        let hash = |change: &dyn Fn(&mut Workload)| {
            let mut changed = workload();
            change(&mut changed);
            config_hash(&changed, &[b"one", b"two"], 1)
        };
        let plain = hash(&|_| ());
        assert!(plain.len() == 16 && plain.bytes().all(|b| b.is_ascii_hexdigit()), "{plain}");
        assert_eq!(hash(&|w| w.id = "b".into()), plain);
        assert_eq!(hash(&|w| w.drain = Duration::from_secs(1)), plain);
        assert_eq!(hash(&|w| w.budget.tokens = Some(1)), plain);
        let stage = |w: &mut Workload, f: &dyn Fn(&mut Stage)| {
            if let Arrivals::Open { stages, .. } = &mut w.arrivals {
                stages.iter_mut().for_each(f);
            }
        };
        let all = [
            plain.clone(),
            config_hash(&workload(), &[b"one", b"two"], 2),
            config_hash(&workload(), &[b"onet", b"wo"], 1),
            hash(&|w| w.scenarios[0].weight = 4),
            hash(&|w| w.think = false),
            hash(&|w| w.requests = Some(0)),
            hash(&|w| stage(w, &|s| s.to = 6.0)),
            hash(&|w| stage(w, &|s| s.measure = false)),
            hash(&|w| w.arrivals = Arrivals::Replay { at_us: vec![1], max_in_flight: 7 }),
        ];
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn the_hash_is_the_published_fnv_1a() {
        let mut hash = Hash(0xcbf2_9ce4_8422_2325);
        hash.bytes(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }
}
