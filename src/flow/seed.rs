//! Seeds: the same run seed and place give the same random values, on every machine and version.

/// Seed of one place of a run. `place` names it, e.g. scenario, step, virtual user, iteration.
pub(super) fn derive(run_seed: u64, place: &[&str]) -> u64 {
    // FNV-1a: fixed by its definition, unlike the hashers of the standard library.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    };
    run_seed.to_le_bytes().into_iter().for_each(&mut eat);
    for part in place {
        part.bytes().for_each(&mut eat);
        eat(0xff);
    }
    hash
}

/// A generator for one place of a run.
pub(super) fn generator(run_seed: u64, place: &[&str]) -> fastrand::Rng {
    fastrand::Rng::with_seed(derive(run_seed, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_depends_on_every_part_and_on_nothing_else() {
        assert_eq!(derive(1, &["a", "b"]), derive(1, &["a", "b"]));
        assert_ne!(derive(1, &["a", "b"]), derive(2, &["a", "b"]));
        assert_ne!(derive(1, &["a", "b"]), derive(1, &["ab"]));
        assert_eq!(derive(0, &[]), 0xa8c7_f832_281a_39c5, "FNV-1a of eight zero bytes");
    }
}
