//! A logger that says nothing. Without one goose installs its own, which writes to stdout.

struct Silence;

impl log::Log for Silence {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}

/// Takes the global logger, unless somebody has it already; theirs then has to keep goose's records to itself.
pub(super) fn install() {
    // Refused when a logger is there, which serves as well.
    let _ = log::set_logger(&Silence);
}
