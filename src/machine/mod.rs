//! What the machine gives and what this process takes of it: precise timers, CPU, memory, descriptors, ports.

mod alarm;
mod limits;
mod own;
mod ports;
mod sampler;

pub use alarm::Alarm;
pub use limits::{
    DescriptorLimit, TooFewDescriptors, decline_huge_pages, descriptor_limit, descriptors_suffice,
    raise_descriptor_limit,
};
pub use own::{cores, cpu_time, resident_memory};
pub use ports::{ephemeral_ports, ports_taken};
pub use sampler::{Gauges, Health, MachineSample, Sampler, Watched};
