//! Which line of which scenario file a waiting snapshot comes from, by the files as they are now.

use crate::scenario::ast::{Action, Scenario, Step};
use crate::scenario::parse_bytes;
use crate::snapshot::Waiting;
use crate::store;
use crate::suite::builtin;
use std::collections::HashMap;
use std::path::Path;

/// A step in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// `file:line:column`.
    pub at: String,
    /// The line itself, without its indentation.
    pub line: String,
}

/// Scenario files read so far, by name.
#[derive(Default)]
pub struct Places {
    files: HashMap<String, Option<(Scenario, String)>>,
    /// Id and file of every built-in scenario, once they were asked for.
    builtin: Option<Vec<(String, String)>>,
}

impl Places {
    /// The step that the snapshot is of; `None` where its file does not tell (any more).
    pub fn of(&mut self, waiting: &Waiting) -> Option<Place> {
        let file = waiting.content.as_ref().ok()?.scenario_file.clone();
        let file = file.or_else(|| self.built_in(&waiting.name))?;
        let (scenario, text) = self.files.entry(file.clone()).or_insert_with(|| read(&file)).as_ref()?;
        let step = waiting.name.strip_prefix(&scenario.id)?.strip_prefix('.')?.split('@').next()?;
        // A name that was given before has a number behind it.
        let id = step.split('.').next().unwrap_or(step);
        let at = find(&scenario.steps, id).or_else(|| find(&scenario.finally, id))?.at;
        let line = text.lines().nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
        Some(Place { at: format!("{file}:{}:{}", at.line, at.column), line: line.trim().to_owned() })
    }

    /// The file of the built-in scenario that a snapshot is of: where it does not lie on the disk, the snapshot does not
    /// name it.
    fn built_in(&mut self, name: &str) -> Option<String> {
        let suite = self.builtin.get_or_insert_with(|| {
            let suite = builtin::conformance().unwrap_or_default();
            suite.iter().map(|s| (s.id.clone(), s.file.clone())).collect()
        });
        let owners = suite.iter().filter(|(id, _)| name.strip_prefix(id).is_some_and(|rest| rest.starts_with('.')));
        owners.max_by_key(|(id, _)| id.len()).map(|(_, file)| file.clone())
    }
}

fn read(file: &str) -> Option<(Scenario, String)> {
    let on_disk = store::read_bytes(Path::new(file)).ok();
    let bytes = on_disk.or_else(|| {
        let files = builtin::files();
        files.into_iter().find(|(name, _)| name == file).map(|(_, text)| text.as_bytes().to_vec())
    })?;
    let scenario = parse_bytes(file, &bytes).ok()?;
    Some((scenario, String::from_utf8_lossy(&bytes).into_owned()))
}

// Ends: steps are nested as deep as the file is.
fn find<'s>(steps: &'s [Step], id: &str) -> Option<&'s Step> {
    for step in steps {
        if step.id == id {
            return Some(step);
        }
        let inside = match &step.action {
            Action::Parallel(parallel) => parallel.branches.iter().find_map(|branch| find(branch, id)),
            Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn) => {
                turn.during.as_ref().and_then(|during| find(&during.steps, id))
            }
            _ => None,
        };
        if inside.is_some() {
            return inside;
        }
    }
    None
}
