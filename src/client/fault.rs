//! From errors of hyper, rustls and the operating system to the fault classes of reports.

use crate::model::{Fault, FaultClass};
use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;
use tokio_rustls::rustls;

pub(super) fn fault(class: FaultClass, detail: impl Into<String>) -> Fault {
    Fault { class, detail: detail.into() }
}

/// A limit as people write it: `10 s`, `1.5 s`, `200 ms`.
pub(super) fn shown(limit: Duration) -> String {
    if limit < Duration::from_secs(1) {
        format!("{} ms", limit.as_millis())
    } else {
        format!("{} s", limit.as_secs_f64())
    }
}

/// An error with its causes, without repeating what a cause already said.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Classifies an error that ended an exchange on an established connection. `while_` says what was going on.
pub(super) fn of_exchange(error: &hyper::Error, while_: &str) -> Fault {
    let class = class_of(error);
    let what = match class {
        FaultClass::Truncated => "the connection ended",
        FaultClass::Tls => "TLS failed",
        _ => "the server broke the protocol",
    };
    fault(class, format!("{what} {while_}: {}", chain(error)))
}

fn class_of(error: &hyper::Error) -> FaultClass {
    if error.is_parse() || error.is_parse_too_large() {
        return FaultClass::Protocol;
    }
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        if cause.is::<rustls::Error>() {
            return FaultClass::Tls;
        }
        if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            let cut = h2.is_io() || h2.is_remote();
            return if cut { FaultClass::Truncated } else { FaultClass::Protocol };
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                return FaultClass::Tls;
            }
            let broken = matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput);
            return if broken { FaultClass::Protocol } else { FaultClass::Truncated };
        }
        next = cause.source();
    }
    let ended = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    if ended { FaultClass::Truncated } else { FaultClass::Protocol }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shown_as_people_write_them() {
        let shown = |ms| super::shown(Duration::from_millis(ms));
        assert_eq!([shown(200), shown(10_000), shown(1500)], ["200 ms", "10 s", "1.5 s"]);
    }
}
