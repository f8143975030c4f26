//! How many files and sockets this process may have open, and in what pages it is given memory.

/// Descriptors besides those of the load: standard streams, the runtime, reports, clean-up.
const SPARE: u64 = 64;

/// Limits on open file descriptors; `u64::MAX` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// In force.
    pub soft: u64,
    /// Up to here a process may raise its own.
    pub hard: u64,
}

/// A plan needs more sockets than this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the plan needs {needed} file descriptors ({sockets} connections and {SPARE} others), this process may open {limit}; raise the limit \
     (`ulimit -n {needed}`, LimitNOFILE= of a systemd unit, the limits of the container), lower max-in-flight, or split the load with --shard"
)]
pub struct TooFewDescriptors {
    /// Connections of the plan.
    pub sockets: u64,
    /// Descriptors that takes.
    pub needed: u64,
    /// What the limit is.
    pub limit: u64,
}

/// The limits in force; `None` where the system has none of the kind.
pub fn descriptor_limit() -> Option<DescriptorLimit> {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Some(DescriptorLimit { soft: limit.current.unwrap_or(u64::MAX), hard: limit.maximum.unwrap_or(u64::MAX) })
    }
    #[cfg(not(unix))]
    {
        None
    }
}

/// Raises the limit as far as the system lets this process, and gives what is in force then.
pub fn raise_descriptor_limit() -> Option<DescriptorLimit> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // macOS takes no more than OPEN_MAX, whatever the hard limit says.
        for wanted in [limit.maximum, Some(10_240)] {
            let more = match (limit.current, wanted) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(now), Some(wanted)) => wanted > now,
            };
            let raised = Rlimit { current: wanted, maximum: limit.maximum };
            if more && setrlimit(Resource::Nofile, raised).is_ok() {
                break;
            }
        }
    }
    descriptor_limit()
}

/// Asks the system for memory in small pages only; what it has given already stays as it is.
///
/// Of the buffers of a connection most bytes are never touched. In pages of 2 MiB they are in memory all the same: an open stream
/// takes 51 KiB with such pages and 35 KiB without. Huge pages make a busy process faster, so this is for many streams.
pub fn decline_huge_pages() {
    // A system that knows no such setting has no such pages, or keeps them: the load is the same, only larger.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Whether a plan of this many connections at the same time can be run within the limit in force. Raise it first.
///
/// # Errors
/// It cannot; the text has the numbers and what helps.
pub fn descriptors_suffice(sockets: u64) -> Result<(), TooFewDescriptors> {
    match descriptor_limit() {
        Some(limit) => suffice(sockets, limit.soft),
        None => Ok(()),
    }
}

fn suffice(sockets: u64, limit: u64) -> Result<(), TooFewDescriptors> {
    let needed = sockets.saturating_add(SPARE);
    if needed <= limit { Ok(()) } else { Err(TooFewDescriptors { sockets, needed, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_beyond_the_limit_is_refused_with_numbers_and_what_helps() {
        assert_eq!(suffice(960, 1024), Ok(()));
        let refused = suffice(10_000, 1024).unwrap_err().to_string();
        for part in ["needs 10064 file", "10000 connections", "may open 1024;", "ulimit -n 10064", "--shard"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(descriptors_suffice(u64::MAX).is_err() || descriptor_limit().is_none_or(|l| l.soft == u64::MAX));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn huge_pages_are_declined_for_the_whole_process() {
        decline_huge_pages();
        let declined = std::thread::spawn(rustix::thread::transparent_huge_pages_are_disabled).join();
        assert_eq!(declined.unwrap(), Ok(true));
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let Some(before) = descriptor_limit() else { return };
        let after = raise_descriptor_limit().unwrap();
        assert!(after.soft >= before.soft);
        assert!(after.soft == after.hard || cfg!(target_os = "macos"), "{after:?}");
    }
}
