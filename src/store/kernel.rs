//! What the kernel tells about this process and its network, where it does so by files (Linux).

use std::fs;

/// The text of a file below `/proc`; `None` where there is none, as on other systems.
pub fn kernel_text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// File descriptors that this process has open, that of the question left out; `None` where the system does not tell.
pub fn open_descriptors() -> Option<u64> {
    const OWN: &str = "/proc/self/fd";
    // Since Linux 6.2 the size of the folder is their number; before it is 0, and they have to be counted.
    match fs::metadata(OWN).ok()?.len() {
        0 => u64::try_from(fs::read_dir(OWN).ok()?.count()).ok().map(|n| n.saturating_sub(1)),
        number => Some(number),
    }
}
