//! One binary for all integration tests.

mod emulator;
mod emulator_client;
mod emulator_mutants;
mod emulator_replay;
