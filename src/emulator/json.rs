//! JSON text in the two styles servers use.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonStyle {
    /// No spaces, UTF-8 as it is.
    Compact,
    /// A space after `:` and `,`, everything beyond ASCII escaped (Python's default).
    SpacedAscii,
}

impl JsonStyle {
    /// The text of `value`.
    pub fn write(self, value: &Value) -> Vec<u8> {
        match self {
            JsonStyle::Compact => value.to_string().into_bytes(),
            JsonStyle::SpacedAscii => {
                let mut out = Vec::with_capacity(256);
                let mut serializer = Serializer::with_formatter(&mut out, SpacedAscii);
                // writing a `Value` into memory cannot fail; an empty text would show at once
                if value.serialize(&mut serializer).is_err() {
                    out.clear();
                }
                out
            }
        }
    }
}

struct SpacedAscii;

impl Formatter for SpacedAscii {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for ch in fragment.chars() {
            if ch.is_ascii() {
                writer.write_all(&[ch as u8])?;
            } else {
                for unit in ch.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(style: JsonStyle, value: &Value) -> String {
        String::from_utf8(style.write(value)).unwrap()
    }

    #[test]
    fn compact_keeps_utf8_and_writes_no_spaces() {
        assert_eq!(text(JsonStyle::Compact, &json!({"a": ["é", 1], "b": null})), r#"{"a":["é",1],"b":null}"#);
    }

    #[test]
    fn spaced_ascii_escapes_everything_beyond_ascii_with_surrogates() {
        assert_eq!(
            text(JsonStyle::SpacedAscii, &json!({"a": ["é😀", 1], "b": {}})),
            r#"{"a": ["\u00e9\ud83d\ude00", 1], "b": {}}"#
        );
    }
}
