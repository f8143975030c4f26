//! Names of stages that have none.

/// The names of stages: what is given, else what a stage does (`hold`, `ramp`, ..), numbered from the second on that would
/// have the same name.
pub fn labels(stages: &[(Option<&str>, &str)]) -> Vec<String> {
    let mut taken: Vec<String> = stages.iter().filter_map(|(given, _)| given.map(str::to_owned)).collect();
    let mut name = |kind: &str| {
        let numbered = (2..).map(|n| format!("{kind}-{n}"));
        let free = std::iter::once(kind.to_owned()).chain(numbered).find(|name| !taken.contains(name));
        let name = free.unwrap_or_default();
        taken.push(name.clone());
        name
    };
    stages.iter().map(|(given, kind)| given.map_or_else(|| name(kind), str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_named_by_what_they_do_and_numbered_where_that_is_taken() {
        let found = labels(&[(None, "hold"), (Some("burst"), "hold"), (None, "hold"), (None, "ramp"), (None, "hold")]);
        assert_eq!(found, ["hold", "burst", "hold-2", "ramp", "hold-3"]);
        assert_eq!(labels(&[(None, "hold"), (Some("hold"), "ramp")]), ["hold-2", "hold"]);
    }
}
