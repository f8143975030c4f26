//! The embedded schema files, compiled once.

use super::{Compiled, document, event, request};
use jsonschema::{Draft, Registry};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Definitions that the other files refer to.
const COMMON: (&str, &str) = ("common.json", include_str!("../../schemas/common.json"));

/// Every compiled schema by its file name below `schemas/`.
pub(super) struct Library {
    compiled: HashMap<&'static str, Arc<Compiled>>,
    /// Those of events, by the event's name, in the order of the list.
    events: Vec<(&'static str, Arc<Compiled>)>,
}

impl Library {
    /// The schema of a file; `None` for one that is not embedded.
    pub(super) fn get(&self, file: &str) -> Option<&Compiled> {
        self.compiled.get(file).map(Arc::as_ref)
    }

    /// The schema of an event; `None` for one that has none.
    pub(super) fn event(&self, name: &str) -> Option<&Compiled> {
        self.events.iter().find(|(known, _)| *known == name).map(|(_, schema)| schema.as_ref())
    }
}

/// All embedded files but the shared definitions: name below `schemas/` and text.
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    let documents = document::FILES.iter().map(|(_, file, text)| (*file, *text));
    let events = event::FILES.iter().map(|(_, file, text)| (*file, *text));
    documents.chain(events).chain(request::FILES.iter().copied())
}

/// The library, compiled on first use.
pub(super) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    // The files are part of the program and the tests compile each of them: failing here is a fault of the build.
    LIBRARY.get_or_init(|| compile().unwrap_or_else(|fault| panic!("the embedded schemas do not compile: {fault}")))
}

fn compile() -> Result<Library, String> {
    let (name, text) = COMMON;
    let common = parse(name, text)?;
    let id = common.get("$id").and_then(Value::as_str).ok_or_else(|| format!("{name}: no $id"))?;
    let registry = Registry::new()
        .draft(Draft::Draft202012)
        .add(id, &common)
        .and_then(|builder| builder.prepare())
        .map_err(|error| format!("{name}: {error}"))?;
    let mut compiled = HashMap::new();
    for (file, text) in files() {
        let schema = Compiled::within(&parse(file, text)?, &registry).map_err(|error| format!("{file}: {error}"))?;
        compiled.insert(file, Arc::new(schema));
    }
    let of_event = |(name, file, _): &(&'static str, &str, &str)| Some((*name, Arc::clone(compiled.get(file)?)));
    let events = event::FILES.iter().filter_map(of_event).collect();
    Ok(Library { compiled, events })
}

fn parse(file: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Written by the scenario module for editors, not part of this library.
    const FOREIGN: &str = ".schema.json";

    fn on_disk() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let mut found = BTreeSet::new();
        for folder in ["", "events/", "requests/"] {
            for entry in std::fs::read_dir(root.join(folder)).expect("the schema folder") {
                let name = entry.expect("an entry").file_name().into_string().expect("a UTF-8 name");
                if name.ends_with(".json") && !name.ends_with(FOREIGN) {
                    found.insert(format!("{folder}{name}"));
                }
            }
        }
        found
    }

    #[test]
    fn every_schema_file_is_embedded_and_compiles() {
        let mut embedded: BTreeSet<String> = files().map(|(file, _)| file.to_owned()).collect();
        embedded.insert(COMMON.0.to_owned());
        assert_eq!(embedded, on_disk(), "each file needs a row in document.rs or a name in event.rs or request.rs");
        for (file, _) in files() {
            assert!(library().get(file).is_some(), "{file}");
        }
    }

    #[test]
    fn every_schema_file_is_valid_2020_12_and_says_what_it_is() {
        for (file, text) in files().chain([COMMON]) {
            let schema = parse(file, text).expect("JSON");
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{file}");
            assert_eq!(schema["$id"], format!("https://difyprobe.dev/schemas/{file}").as_str());
            for member in ["title", "description"] {
                assert!(schema[member].as_str().is_some_and(|text| !text.is_empty()), "{file}: {member}");
            }
            let faults: Vec<String> =
                jsonschema::draft202012::meta::validator().iter_errors(&schema).map(|e| e.to_string()).collect();
            assert_eq!(faults, Vec::<String>::new(), "{file}");
        }
    }

    #[test]
    fn no_schema_forbids_members_it_does_not_name() {
        for (file, text) in files().chain([COMMON]) {
            for keyword in ["unevaluatedProperties", "propertyNames", "\"additionalProperties\": false"] {
                assert!(!text.contains(keyword), "{file}: {keyword}");
            }
        }
    }
}
