//! CPU and memory of this process.

use crate::store::kernel_text;
use std::time::Duration;

/// Cores that this process may use: affinity and quotas of its cgroup included. At least 1.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// CPU time of all threads of this process since it began; `None` where the system does not tell.
pub fn cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)).ok()
    }
    #[cfg(not(unix))]
    {
        None
    }
}

/// Resident memory of this process in bytes; `None` where the system does not tell.
pub fn resident_memory() -> Option<u64> {
    resident(&kernel_text("/proc/self/status")?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stands_in_the_status_of_a_process() {
        assert_eq!(resident("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t  12345 kB\nThreads:\t3\n"), Some(12345 * 1024));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn work_takes_cpu_time() {
        let Some(before) = cpu_time() else { return };
        let mut sum = 0_u64;
        while cpu_time().is_some_and(|now| now < before + Duration::from_millis(5)) {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        assert!(cpu_time() >= Some(before + Duration::from_millis(5)), "{sum}");
        assert!(cores() >= 1);
    }
}
