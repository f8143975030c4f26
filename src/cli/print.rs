//! `print!` and its kin for the commands: a reader that has gone away (`| head -1`) is no reason to panic.

/// Writes to stdout; what nobody reads is lost.
macro_rules! print {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!($($text)*));
    }};
}

/// Writes a line to stdout.
macro_rules! println {
    ($($text:tt)*) => { print!("{}\n", format_args!($($text)*)) };
}

/// Writes to stderr.
macro_rules! eprint {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr().lock(), format_args!($($text)*));
    }};
}

/// Writes a line to stderr.
macro_rules! eprintln {
    ($($text:tt)*) => { eprint!("{}\n", format_args!($($text)*)) };
}
