//! Conditions on the server's version: `1.12`, `>=1.10, <1.13`.

use crate::profile::{Version, parse_version};

/// A condition on a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionCondition {
    text: String,
    tests: Vec<Test>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// `1.12`: these leading parts.
    Starts(Vec<u64>),
    Less(Version),
    AtMost(Version),
    More(Version),
    AtLeast(Version),
}

impl Test {
    fn holds(&self, version: Version) -> bool {
        match self {
            Test::Starts(parts) => parts.iter().zip([version.0, version.1, version.2]).all(|(a, b)| *a == b),
            Test::Less(limit) => version < *limit,
            Test::AtMost(limit) => version <= *limit,
            Test::More(limit) => version > *limit,
            Test::AtLeast(limit) => version >= *limit,
        }
    }
}

impl VersionCondition {
    /// Reads a condition: comparisons (`<`, `<=`, `>`, `>=`) or the first parts of a version, separated by commas; all must
    /// hold.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<VersionCondition, String> {
        let tests = text.split(',').map(|part| test(part.trim())).collect::<Result<Vec<_>, _>>()?;
        Ok(VersionCondition { text: text.trim().to_owned(), tests })
    }

    /// Whether a server that says this of itself in `X-Version` is meant; one that says nothing is not.
    pub fn fits(&self, header: Option<&str>) -> bool {
        let version = header.and_then(parse_version);
        version.is_some_and(|version| self.tests.iter().all(|test| test.holds(version)))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Makes a test of its limit.
type Make = fn(Version) -> Test;

fn test(text: &str) -> Result<Test, String> {
    // the longer signs first: `<=` also starts with `<`
    let signs: [(&str, Make); 4] = [("<=", Test::AtMost), (">=", Test::AtLeast), ("<", Test::Less), (">", Test::More)];
    for (sign, test) in signs {
        if let Some(rest) = text.strip_prefix(sign) {
            let parts = parts(rest.trim())?;
            let part = |n: usize| parts.get(n).copied().unwrap_or(0);
            return Ok(test((part(0), part(1), part(2))));
        }
    }
    parts(text.strip_prefix('=').unwrap_or(text).trim()).map(Test::Starts)
}

/// One to three numbers.
fn parts(text: &str) -> Result<Vec<u64>, String> {
    let numbers: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
    numbers.filter(|n| n.len() <= 3).ok_or_else(|| format!("`{text}` is not a version number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_for_the_versions_they_mean_and_for_no_other() {
        let fits = |text: &str, version: &str| VersionCondition::parse(text).unwrap().fits(Some(version));
        for (condition, yes, no) in [
            ("1.12", vec!["1.12.0", "1.12.1", "1.12.1-rc1"], vec!["1.13.0", "1.1.12", "nightly"]),
            ("1.12.1", vec!["1.12.1"], vec!["1.12.0"]),
            ("= 1", vec!["1.0.0", "1.12.1"], vec!["0.15.3", "2.0.0"]),
            (">=1.10, <1.13", vec!["1.10.0", "1.12.9"], vec!["1.9.9", "1.13.0"]),
            (">1.12,<=2", vec!["1.12.1", "2.0.0"], vec!["1.12.0", "2.0.1"]),
        ] {
            assert!(yes.iter().all(|v| fits(condition, v)), "{condition}");
            assert!(!no.iter().any(|v| fits(condition, v)), "{condition}");
        }
    }

    #[test]
    fn a_server_without_a_version_fits_no_condition() {
        assert!(!VersionCondition::parse(">=0").unwrap().fits(None));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", "latest", ">= ", "1.2.3.4", "1.x", ">=1.2,", "v1"] {
            assert!(VersionCondition::parse(text).is_err(), "{text}");
        }
    }
}
