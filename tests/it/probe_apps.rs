//! The importable apps in `apps/`: their structure, and that the emulator's own apps have the same forms.

use difyprobe::emulator::{Config, start};
use difyprobe::model::InputField;
use difyprobe::model::form::parse_form;
use difyprobe::scenario::{read_json, render_all};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("apps")
}

/// Name without extension -> content.
fn apps() -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(folder()).expect("the folder apps");
    let files = entries.map(|e| e.expect("an entry").path()).filter(|p| p.extension().is_some_and(|e| e == "yml"));
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let value = read_json(&name, &text).unwrap_or_else(|d| panic!("{}", render_all(&d, &text, false)));
            (name, value)
        })
        .collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer}"))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {pointer}"))
}

#[test]
fn every_mode_has_an_app_and_every_app_says_what_dify_reads_first() {
    let apps = apps();
    let modes: BTreeSet<&str> = apps.values().map(|app| text(app, "/app/mode")).collect();
    assert_eq!(modes, BTreeSet::from(["advanced-chat", "agent-chat", "chat", "completion", "workflow"]));
    for (name, app) in &apps {
        assert_eq!(text(app, "/kind"), "app", "{name}");
        // of that version or an older one Dify looks for the plugins by itself, and 0.15 can read it too
        assert_eq!(text(app, "/version"), "0.1.5", "{name}");
        assert_eq!(text(app, "/app/name"), format!("difyprobe-{name}"));
        let runs = matches!(text(app, "/app/mode"), "advanced-chat" | "workflow");
        assert_eq!((app.get("workflow").is_some(), app.get("model_config").is_some()), (runs, !runs), "{name}");
    }
}

/// Every `{{#node.variable#}}` of a text.
fn references(text: &str) -> Vec<(String, String)> {
    let parts = text.split("{{#").skip(1).filter_map(|part| part.split_once("#}}"));
    parts.filter_map(|(inside, _)| inside.split_once('.')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn walk(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.extend(references(text)),
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Object(members) => {
            for (key, member) in members {
                let selector =
                    member.as_array().map(|items| items.iter().filter_map(Value::as_str).collect::<Vec<_>>());
                match selector.as_deref() {
                    Some([node, variable]) if key.ends_with("selector") => {
                        found.push(((*node).to_owned(), (*variable).to_owned()));
                    }
                    _ => walk(member, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn edges_lead_from_start_to_end_and_variables_exist_where_they_are_used() {
    for (name, app) in apps().iter().filter(|(_, app)| app.get("workflow").is_some()) {
        let nodes = list(app, "/workflow/graph/nodes");
        let kinds: BTreeMap<&str, &str> = nodes.iter().map(|n| (text(n, "/id"), text(n, "/data/type"))).collect();
        assert_eq!(kinds.len(), nodes.len(), "{name}: ids are unique");
        let mut reached = BTreeSet::from(["start"]);
        for edge in list(app, "/workflow/graph/edges") {
            let (source, target) = (text(edge, "/source"), text(edge, "/target"));
            assert_eq!(kinds.get(source), Some(&text(edge, "/data/sourceType")), "{name}: {source}");
            assert_eq!(kinds.get(target), Some(&text(edge, "/data/targetType")), "{name}: {target}");
            assert!(reached.contains(source), "{name}: edges stand in the order of the run");
            reached.insert(target);
        }
        assert_eq!(reached.len(), nodes.len(), "{name}: every node is reached");
        let last = if text(app, "/app/mode") == "workflow" { "end" } else { "answer" };
        assert!(kinds.values().any(|kind| *kind == last) && kinds.get("start") == Some(&"start"), "{name}");
        let mut known: BTreeSet<(String, String)> = BTreeSet::new();
        let mut knows = |node: &str, variable: &str| known.insert((node.to_owned(), variable.to_owned()));
        nodes.iter().filter(|n| text(n, "/data/type") == "start").flat_map(|n| list(n, "/data/variables")).for_each(
            |v| {
                knows("start", text(v, "/variable"));
            },
        );
        list(app, "/workflow/conversation_variables").iter().for_each(|v| {
            knows("conversation", text(v, "/name"));
        });
        for (node, variable) in [("sys", "query"), ("sys", "dialogue_count")] {
            knows(node, variable);
        }
        for (id, kind) in &kinds {
            match *kind {
                "llm" => knows(id, "text"),
                "template-transform" => knows(id, "output"),
                _ => false,
            };
        }
        let mut used = Vec::new();
        nodes.iter().for_each(|node| walk(&node["data"], &mut used));
        assert!(!used.is_empty(), "{name}");
        used.retain(|reference| !known.contains(reference));
        assert_eq!(used, [], "{name}: unknown variables");
    }
}

#[test]
fn models_are_the_echo_model_and_prompts_name_only_variables_of_the_form() {
    for (name, app) in apps() {
        let mut models = Vec::new();
        if let Some(config) = app.get("model_config") {
            models.push(config["model"].clone());
            let form: BTreeSet<String> = form(&app).into_iter().map(|field| field.variable).collect();
            for part in text(config, "/pre_prompt").split("{{").skip(1) {
                let variable = part.split("}}").next().unwrap_or_default();
                assert!(form.contains(variable), "{name}: {variable}");
            }
        } else {
            let nodes = list(&app, "/workflow/graph/nodes");
            models.extend(nodes.iter().filter(|n| n["data"]["type"] == "llm").map(|n| n["data"]["model"].clone()));
        }
        assert_eq!(!models.is_empty(), !matches!(name.as_str(), "chatflow" | "workflow"), "{name}");
        for model in models {
            assert_eq!(
                (&model["provider"], &model["mode"]),
                (&json!("openai_api_compatible"), &json!("chat")),
                "{name}"
            );
            assert_eq!(model["name"], difyprobe::emulator::MODEL, "{name}");
            assert_eq!(model["completion_params"], json!({}), "{name}: nothing cuts the echo");
        }
    }
}

/// The form of an app, as `GET /parameters` would show it.
fn form(app: &Value) -> Vec<InputField> {
    let entries = match app.get("workflow") {
        None => list(app, "/model_config/user_input_form").to_vec(),
        Some(_) => {
            let nodes = list(app, "/workflow/graph/nodes");
            let start = nodes.iter().find(|n| text(n, "/data/type") == "start").expect("a start node");
            let entry = |variable: &Value| {
                Value::Object(Map::from_iter([(text(variable, "/type").to_owned(), variable.clone())]))
            };
            list(start, "/data/variables").iter().map(entry).collect()
        }
    };
    parse_form(&json!({"user_input_form": entries}))
}

#[tokio::test]
async fn the_emulator_serves_the_same_forms() {
    let server = start(Config::default()).await.expect("an emulator");
    let apps = apps();
    for (file, label) in [
        ("chat", "chat"),
        ("completion", "completion"),
        ("agent-chat", "agent-chat"),
        ("chatflow", "advanced-chat"),
        ("chatflow-model", "advanced-chat"),
        ("workflow", "workflow"),
        ("workflow-model", "workflow-llm"),
    ] {
        let (_, key) = server.keys().iter().find(|(l, _)| l == label).expect("a key");
        let url = format!("{}/parameters", server.base_url());
        let answer = reqwest::Client::new().get(url).bearer_auth(key).send().await.expect("an answer");
        let parameters: Value = answer.json().await.expect("JSON");
        let app = &apps[file];
        assert_eq!(format!("{:?}", form(app)), format!("{:?}", parse_form(&parameters)), "{file}");
        let own = app.pointer("/model_config").or_else(|| app.pointer("/workflow/features")).expect("features");
        assert_eq!(own["opening_statement"], parameters["opening_statement"], "{file}");
        assert_eq!(own["suggested_questions_after_answer"], parameters["suggested_questions_after_answer"], "{file}");
        assert_eq!(own["file_upload"]["enabled"], parameters["file_upload"]["enabled"], "{file}");
    }
}
