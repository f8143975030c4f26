//! What is expected of which server version: data, with a source for every deviation.

mod known;
mod known_1_13;

pub use known::Known;

/// What happens to `inputs` of later turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputsPolicy {
    /// The first turn's stay in force; later ones are neither used nor validated.
    Ignored,
    /// Every turn runs with its own, validated each time.
    Applied,
}

/// Expectations of one range of server versions.
#[derive(Debug)]
pub struct Profile {
    /// Id for `--profile`, e.g. `dify-1.12`.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// First version that it describes and first that it does not; `None` for the documented profile.
    pub window: Option<(Version, Version)>,
    /// What the server does with later inputs.
    pub inputs: InputsPolicy,
    /// What `sys.dialogue_count` of a conversation's first turn may be, ascending.
    pub dialogue_starts: &'static [u64],
    /// Where these versions differ from the documentation.
    pub known: &'static [Known],
    /// Versions before this one differ further.
    pub early: Option<(Version, &'static [Known])>,
}

/// `major.minor.patch`.
pub type Version = (u64, u64, u64);

/// All profiles; the first is the default.
pub const PROFILES: &[Profile] = &[
    Profile {
        id: "documented",
        title: "what the documentation promises; for servers that do not say they are Dify",
        window: None,
        inputs: InputsPolicy::Ignored,
        dialogue_starts: &[0, 1],
        known: &[],
        early: None,
    },
    Profile {
        id: "dify-0.15",
        title: "Dify before 1.0, measured on 0.15.3",
        window: Some(((0, 0, 0), (1, 0, 0))),
        inputs: InputsPolicy::Ignored,
        dialogue_starts: &[0],
        known: known::DIFY_0_15,
        early: None,
    },
    Profile {
        id: "dify-1.12",
        title: "Dify 1.0 to 1.12, measured on 1.12.1",
        window: Some(((1, 0, 0), (1, 13, 0))),
        inputs: InputsPolicy::Applied,
        // 0 up to 1.8, 1 since 1.9
        dialogue_starts: &[0, 1],
        known: known::DIFY_1_12,
        early: None,
    },
    Profile {
        id: "dify-1.13",
        title: "Dify 1.13, by its issues and pull requests; nothing was measured on it",
        window: Some(((1, 13, 0), (1, 14, 0))),
        inputs: InputsPolicy::Applied,
        // as since 1.9 (issue 26557)
        dialogue_starts: &[1],
        known: known_1_13::DIFY_1_13,
        early: Some(((1, 13, 1), known_1_13::DIFY_1_13_0)),
    },
];

impl Profile {
    /// What the documentation promises.
    pub fn documented() -> &'static Profile {
        &PROFILES[0]
    }

    /// The profile with this id.
    pub fn by_id(id: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|p| p.id == id)
    }

    /// The profile for what the server says in `X-Version`, and why, in words for the report.
    pub fn for_version(header: Option<&str>) -> (&'static Profile, String) {
        let Some(text) = header else {
            return (Profile::documented(), "the server sends no X-Version header".to_owned());
        };
        let Some(version) = parse_version(text) else {
            return (Profile::documented(), format!("X-Version `{text}` is not a version number"));
        };
        let fits = |p: &&Profile| p.window.is_some_and(|(from, before)| from <= version && version < before);
        match PROFILES.iter().find(fits) {
            Some(profile) => (profile, format!("X-Version is {text}")),
            None => (Profile::documented(), format!("no profile describes version {text} yet")),
        }
    }

    /// Why a violation of this part of a rule is expected of these versions, or of the one version that the server names.
    pub fn known(&self, rule: &str, check: &str, version: Option<&str>) -> Option<&'static Known> {
        let fits = |k: &&Known| k.rule == rule && (k.checks.is_empty() || k.checks.contains(&check));
        let version = version.and_then(parse_version);
        let early = self.early.filter(|(before, _)| version.is_some_and(|version| version < *before));
        self.known.iter().find(fits).or_else(|| early.and_then(|(_, known)| known.iter().find(fits)))
    }

    /// Every deviation of some of these versions.
    pub fn all_known(&self) -> impl Iterator<Item = &'static Known> + use<> {
        self.known.iter().chain(self.early.map_or(&[][..], |(_, known)| known))
    }
}

/// Reads `1.12.1`, also with a suffix such as `-rc1`; missing parts are 0.
pub fn parse_version(text: &str) -> Option<Version> {
    let mut parts = text.trim().trim_start_matches('v').split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    let major = parts.next()??;
    let minor = parts.next().unwrap_or(Some(0))?;
    let patch = parts.next().unwrap_or(Some(0))?;
    Some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_pick_their_profile_and_unknown_ones_the_documented() {
        let pick = |v: Option<&str>| Profile::for_version(v).0.id;
        assert_eq!(pick(Some("1.12.1")), "dify-1.12");
        assert_eq!(pick(Some("0.15.3")), "dify-0.15");
        assert_eq!(pick(Some("1.0.0-beta.1")), "dify-1.12");
        assert_eq!(pick(Some("1.13.0")), "dify-1.13");
        assert_eq!(pick(Some("1.13.3")), "dify-1.13");
        assert_eq!(pick(Some("1.14.2")), "documented");
        assert_eq!(pick(Some("nightly")), "documented");
        assert_eq!(pick(None), "documented");
    }

    #[test]
    fn what_only_early_versions_do_is_known_of_them_alone() {
        let profile = Profile::by_id("dify-1.13").expect("there");
        let known = |version| profile.known("chatflow.terminal.order", "order", version).is_some();
        assert!(known(Some("1.13.0")));
        assert!(!known(Some("1.13.1")) && !known(None));
        assert!(profile.known("workflow.node.index", "increasing", None).is_some());
    }

    #[test]
    fn a_version_without_a_profile_is_judged_by_the_documentation_and_told_so() {
        let (profile, why) = Profile::for_version(Some("1.16.2"));
        assert_eq!((profile.id, why.as_str()), ("documented", "no profile describes version 1.16.2 yet"));
    }
}
