//! The names that templates see.
//!
//! `run.id run.seed app.label app.mode app.text_input app.required_input user vu iteration lane`, then data, then vars,
//! then captures and `for-each` names; later ones hide earlier ones.

use super::run::Visit;
use super::seed;
use super::target::AppTarget;
use crate::scenario::ast::{Data, Pick, Scenario};
use crate::scenario::template::{TemplateError, render_json};
use serde_json::{Map, Value, json};

/// Identifies a run.
#[derive(Clone, Copy)]
pub(super) struct RunId<'a> {
    pub id: &'a str,
    pub seed: u64,
}

/// The names at the start of one way through a scenario.
pub(super) fn start(
    run: RunId<'_>,
    scenario: &Scenario,
    app: &AppTarget,
    visit: &Visit,
) -> Result<Map<String, Value>, TemplateError> {
    let label = &app.app.label;
    let user = format!("difyprobe-{}-{}-{label}-{}-{}", run.id, scenario.id, visit.vu, visit.iteration);
    let name_of = |field: Option<&crate::model::InputField>| field.map_or(Value::Null, |f| json!(f.variable));
    let mut names = Map::new();
    names.insert("run".into(), json!({"id": run.id, "seed": run.seed}));
    names.insert(
        "app".into(),
        json!({
            "label": label,
            "mode": app.app.mode.map(|m| m.as_str()),
            "text_input": name_of(app.app.text_input()),
            "required_input": name_of(app.app.required_input()),
        }),
    );
    names.insert("user".into(), json!(user));
    names.insert("vu".into(), json!(visit.vu));
    names.insert("iteration".into(), json!(visit.iteration));
    names.insert("lane".into(), json!(0));
    let mut scope = Value::Object(names);
    for (name, data) in &scenario.data {
        let mut rng = seed::generator(run.seed, &place(scenario, app, visit, name));
        let row = row(data, visit, &mut rng, &scope)?;
        bind(&mut scope, name, row);
    }
    for (name, value) in &scenario.vars {
        let value = render_json(value, &scope)?;
        bind(&mut scope, name, value);
    }
    match scope {
        Value::Object(names) => Ok(names),
        _ => Ok(Map::new()),
    }
}

/// Binds a name; hides what had it before.
pub(super) fn bind(scope: &mut Value, name: &str, value: Value) {
    if let Value::Object(names) = scope {
        names.insert(name.to_owned(), value);
    }
}

/// The parts of a seed that is different in every iteration of every virtual user.
pub(super) fn place<'a>(scenario: &'a Scenario, app: &'a AppTarget, visit: &'a Visit, what: &'a str) -> [&'a str; 5] {
    [&scenario.id, &app.app.label, &visit.name, what, ""]
}

fn row(data: &Data, visit: &Visit, rng: &mut fastrand::Rng, scope: &Value) -> Result<Value, TemplateError> {
    match data {
        Data::RandomWords(count) => {
            let words: Vec<&str> = (0..*count).map(|_| seed::word(rng)).collect();
            Ok(json!(words.join(" ")))
        }
        Data::Rows { rows, pick } => {
            let Some(last) = rows.len().checked_sub(1) else {
                return Ok(Value::Null);
            };
            let index = match pick {
                Pick::PerIteration => usize::try_from(visit.ticket).unwrap_or(0) % rows.len(),
                Pick::PerUser => usize::try_from(visit.vu).unwrap_or(0) % rows.len(),
                Pick::Random => rng.usize(..=last),
            };
            rows.get(index).map_or(Ok(Value::Null), |row| render_json(row, scope))
        }
    }
}
