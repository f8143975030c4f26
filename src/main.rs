//! The difyprobe binary.
fn main() {}
