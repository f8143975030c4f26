//! One binary for all integration tests.

mod emulator;
mod emulator_replay;
