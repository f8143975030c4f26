//! The names that templates see.
//!
//! `run.id run.seed app.label app.mode app.text_input app.required_input user vu iteration lane`, then data, then vars,
//! then captures and `for-each` names; later ones hide earlier ones.

use super::run::Visit;
use super::target::AppTarget;
use crate::model::ControlKind;
use crate::scenario::ast::{Data, Pick, Scenario};
use crate::scenario::template::{Layers, Renderer, TemplateError};
use serde_json::{Map, Value, json};

/// What templates see, and the generator behind their random functions.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// Renders; its generator moves on from call to call.
    pub renderer: &'a Renderer,
    /// The names, an object.
    pub values: &'a Value,
    /// Names that all iterations share, an object; those of `values` hide them.
    pub base: &'a Value,
}

impl<'a> Names<'a> {
    pub(super) fn layers(self) -> Layers<'a> {
        Layers { top: self.values, base: self.base }
    }

    /// Renders a text.
    ///
    /// # Errors
    /// A name that is not there, or a broken template.
    pub fn text(&self, text: &str) -> Result<String, TemplateError> {
        self.renderer.text(text, self.layers())
    }

    /// Renders JSON.
    ///
    /// # Errors
    /// A name that is not there, or a broken template.
    pub fn json(&self, json: &Value) -> Result<Value, TemplateError> {
        self.renderer.json(json, self.layers())
    }
}

/// Identifies a run.
#[derive(Clone, Copy)]
pub(super) struct RunId<'a> {
    pub id: &'a str,
    pub seed: u64,
}

/// The names of a run on an app: `run` and `app`.
pub(super) fn base(run: RunId<'_>, app: &AppTarget) -> Value {
    let name_of = |field: Option<&crate::model::InputField>| field.map_or(Value::Null, |f| json!(f.variable));
    json!({
        "run": {"id": run.id, "seed": run.seed},
        "app": {
            "label": app.app.label,
            "mode": app.app.mode.map(|m| m.as_str()),
            "text_input": name_of(app.app.text_input()),
            "required_input": name_of(app.app.required_input()),
            "limited_input": name_of(app.app.limited_input()),
            "max_length": app.app.limited_input().and_then(|f| f.max_length),
            "select_input": name_of(app.app.input_of(ControlKind::Select)),
            "select_option": app.app.input_of(ControlKind::Select).and_then(|f| f.options.last()),
            "number_input": name_of(app.app.input_of(ControlKind::Number)),
            "defaulted_input": name_of(app.app.defaulted_input()),
            "default_value": app.app.defaulted_input().and_then(|f| f.default.as_ref()),
        },
    })
}

/// The names at the start of one way through a scenario, on top of those of [`base`].
pub(super) fn start(
    run_id: &str,
    scenario: &Scenario,
    app: &AppTarget,
    visit: &Visit,
    renderer: &Renderer,
    base: &Value,
) -> Result<Map<String, Value>, TemplateError> {
    let label = &app.app.label;
    let user = format!("difyprobe-{run_id}-{}-{label}-{}-{}", scenario.id, visit.vu, visit.iteration);
    let mut names = Map::with_capacity(4 + scenario.data.len() + scenario.vars.len());
    names.insert("user".into(), Value::String(user));
    names.insert("vu".into(), visit.vu.into());
    names.insert("iteration".into(), visit.iteration.into());
    names.insert("lane".into(), 0.into());
    let mut scope = Value::Object(names);
    for (name, data) in &scenario.data {
        let row = row(data, visit, Names { renderer, values: &scope, base })?;
        bind(&mut scope, name, row);
    }
    for (name, value) in &scenario.vars {
        let value = Names { renderer, values: &scope, base }.json(value)?;
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

fn row(data: &Data, visit: &Visit, names: Names<'_>) -> Result<Value, TemplateError> {
    match data {
        Data::RandomWords(count) => Ok(json!(names.renderer.words(*count))),
        Data::Rows { rows, pick } => {
            let number = match pick {
                Pick::PerIteration => visit.ticket,
                Pick::PerUser => u64::from(visit.vu),
                Pick::Random => names.renderer.pick(rows.len()) as u64,
            };
            let index = number.checked_rem(rows.len() as u64).and_then(|i| usize::try_from(i).ok());
            index.and_then(|i| rows.get(i)).map_or(Ok(Value::Null), |row| names.json(row))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{App, AppMode, ControlKind, InputField};
    use crate::scenario::parse;
    use tokio_util::sync::CancellationToken;

    const FILE: &str = r#"
difyprobe: 1
id: test.scope
title: T
target: { app: [chat], mode: streaming }
data:
  person: { each: [{name: Ada}, {name: Linus}, {name: Grace}], pick: per-iteration }
  city: { each: [{name: Turin}, {name: Oslo}], pick: per-user }
  word: { random: { words: 2 } }
vars: { who: "${{ person.name }} of ${{ city.name }} (${{ app.text_input }})", number: "${{ vu + 1 }}" }
steps:
  - { id: a, info: }
"#;

    fn names(vu: u32, iteration: u32, ticket: u64) -> Value {
        let scenario = parse("scope.yaml", FILE).unwrap();
        let field = |variable: &str, kind, required| InputField {
            variable: variable.into(),
            kind,
            required,
            max_length: None,
            options: vec![],
            default: None,
        };
        let app = App {
            label: "mine".into(),
            mode: Some(AppMode::Chat),
            inputs: vec![field("n", ControlKind::Number, true), field("t", ControlKind::Text, false)],
            form_known: true,
            server_version: None,
        };
        let app = AppTarget { app, key: "k".into() };
        let visit = Visit::new(vu, iteration, ticket, CancellationToken::new());
        let run = RunId { id: "r1", seed: 5 };
        let base = base(run, &app);
        let names = start(run.id, &scenario, &app, &visit, &Renderer::new(9), &base).unwrap();
        Layers { top: &Value::Object(names), base: &base }.together().into_owned()
    }

    #[test]
    fn built_in_names_data_and_vars_are_there() {
        let names = names(1, 2, 5);
        assert_eq!(names["user"], "difyprobe-r1-test.scope-mine-1-2");
        let app = json!({
            "label": "mine", "mode": "chat", "text_input": "t", "required_input": "n", "limited_input": null,
            "max_length": null, "select_input": null, "select_option": null, "number_input": "n",
            "defaulted_input": null, "default_value": null
        });
        assert_eq!(names["app"], app);
        assert_eq!(names["run"], json!({"id": "r1", "seed": 5}));
        assert_eq!(names["who"], "Grace of Oslo (t)");
        assert_eq!(names["number"], 2);
        assert_eq!(names["word"].as_str().unwrap().split(' ').count(), 2);
    }

    #[test]
    fn rows_are_dealt_over_all_users_or_to_each_user() {
        let row = |vu, ticket| names(vu, 0, ticket)["who"].as_str().unwrap().to_owned();
        assert_eq!([row(0, 0), row(1, 1), row(0, 3)], ["Ada of Turin (t)", "Linus of Oslo (t)", "Ada of Turin (t)"]);
    }
}
