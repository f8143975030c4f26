//! What the machine gives and what this process takes of it: precise timers, CPU, memory, descriptors, ports.

mod alarm;

pub use alarm::Alarm;
