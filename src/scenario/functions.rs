//! The functions of templates, and the generator that they draw from.

use super::words::WORDS;
use fastrand::Rng;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest `nonce` and most `words`.
pub(crate) const MOST: u32 = 1024;

pub(crate) fn lock(rng: &Mutex<Rng>) -> MutexGuard<'_, Rng> {
    rng.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An environment in which names must exist and only our functions can be called.
pub(crate) fn environment(rng: &Arc<Mutex<Rng>>) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let builtin: Vec<String> = env.globals().map(|(name, _)| name.to_owned()).collect();
    builtin.iter().for_each(|name| env.remove_global(name));
    let limited = |n: u32| {
        let error = || minijinja::Error::new(ErrorKind::InvalidOperation, format!("{n} is more than {MOST}"));
        if n > MOST { Err(error()) } else { Ok(n) }
    };
    let own = Arc::clone(rng);
    env.add_function("nonce", move |n: u32| limited(n).map(|n| nonce(&mut lock(&own), n)));
    let own = Arc::clone(rng);
    env.add_function("uuid", move || uuid(&mut lock(&own)));
    let own = Arc::clone(rng);
    env.add_function("words", move |n: u32| limited(n).map(|n| words(&mut lock(&own), n)));
    env
}

pub(crate) fn nonce(rng: &mut Rng, n: u32) -> String {
    (0..n).map(|_| rng.digit(16)).collect()
}

pub(crate) fn uuid(rng: &mut Rng) -> String {
    uuid::Builder::from_random_bytes(rng.u128(..).to_le_bytes()).into_uuid().to_string()
}

/// `n` words, separated by spaces.
pub(crate) fn words(rng: &mut Rng, n: u32) -> String {
    let chosen: Vec<&str> = (0..n).filter_map(|_| WORDS.get(rng.usize(..WORDS.len())).copied()).collect();
    chosen.join(" ")
}

/// FNV-1a over 64 bits; parts are ended so that they cannot run into each other.
pub(crate) struct Hash(pub u64);

impl Hash {
    pub(crate) fn new(seed: u64) -> Hash {
        let mut hash = Hash(0xcbf2_9ce4_8422_2325);
        hash.add(&seed.to_le_bytes());
        hash
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
