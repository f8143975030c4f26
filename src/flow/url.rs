//! Percent-encoding of what goes into a request line.

/// Encodes a path segment or a query value: everything but the unreserved characters of RFC 3986.
pub(super) fn component(text: &str) -> String {
    encode(text, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// Encodes only what may not stand in a request line at all, and keeps `%`: for paths that the scenario spells out.
pub(super) fn spelled_out(path: &str) -> String {
    encode(path, |b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
}

fn encode(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match keep(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `path?a=b&c=d`, or the path alone.
pub(super) fn with_query(path: &str, params: &[(String, String)]) -> String {
    let pairs: Vec<String> = params.iter().map(|(n, v)| format!("{}={}", component(n), component(v))).collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out_of_their_place() {
        assert_eq!(component("a b/c?d&e=é"), "a%20b%2Fc%3Fd%26e%3D%C3%A9");
        assert_eq!(with_query("/x", &[("user".into(), "a&b".into())]), "/x?user=a%26b");
        assert_eq!(with_query("/x", &[]), "/x");
    }

    #[test]
    fn a_spelled_out_path_keeps_its_escapes_and_separators() {
        assert_eq!(spelled_out("/messages?user=a%20b&limit=é x"), "/messages?user=a%20b&limit=%C3%A9%20x");
    }
}
