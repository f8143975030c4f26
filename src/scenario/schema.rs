//! The JSON Schema of scenario files, for editors.

use super::keys::{HEADER, SCENARIO, STEP, TABLES, VARIABLE};
use super::load_keys::{CURRENCY, LOAD, LOAD_TABLES};
use super::shape::{Form, Free, Group, Key, Names, Shape, Table};
use serde_json::{Map, Value, json};

/// The JSON Schema (2020-12) of scenario files. It knows keys, types and words; what it cannot say (visible names,
/// unique ids, paths) is left to `parse`.
pub fn json_schema() -> Value {
    whole("difyprobe scenario", &SCENARIO, TABLES)
}

/// The JSON Schema (2020-12) of load files.
pub fn load_json_schema() -> Value {
    whole("difyprobe load", &LOAD, LOAD_TABLES)
}

/// The schema of a file with the tables that its keys refer to.
fn whole(title: &str, root: &'static Table, tables: &[&'static Table]) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!(title));
    if let Value::Object(members) = table_schema(root) {
        schema.extend(members);
    }
    let mut definitions = Map::new();
    for table in tables.iter().filter(|t| t.name != root.name) {
        definitions.insert(definition(table), table_schema(table));
    }
    schema.insert("$defs".into(), Value::Object(definitions));
    Value::Object(schema)
}

/// Name under `$defs`: `a chat turn` -> `chat-turn`.
fn definition(table: &Table) -> String {
    let name = table.name.strip_prefix("a ").or_else(|| table.name.strip_prefix("an ")).unwrap_or(table.name);
    name.replace('`', "").replace(' ', "-").to_ascii_lowercase()
}

fn reference(table: &Table) -> Value {
    json!({ "$ref": format!("#/$defs/{}", definition(table)) })
}

fn table_schema(table: &Table) -> Value {
    let properties: Map<String, Value> = table.keys.iter().map(|k| (k.name.to_owned(), key_schema(k))).collect();
    let required: Vec<&str> = table.keys.iter().filter(|k| k.required).map(|k| k.name).collect();
    let mut schema = json!({
        "description": table.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let Some(members) = schema.as_object_mut() else { return schema };
    if !required.is_empty() {
        members.insert("required".into(), json!(required));
    }
    let groups: Vec<Value> = table.groups.iter().map(group_schema).collect();
    match groups.as_slice() {
        [] => {}
        [Value::Object(only)] => members.extend(only.clone()),
        _ => drop(members.insert("allOf".into(), Value::Array(groups))),
    }
    schema
}

fn group_schema(group: &Group) -> Value {
    let each = |names: &[&str]| names.iter().map(|n| json!({ "required": [n] })).collect::<Vec<_>>();
    match group {
        Group::One(names) => json!({ "oneOf": each(names) }),
        Group::Some(names) => json!({ "anyOf": each(names) }),
        Group::AtMostOne(names) => json!({ "not": { "required": names } }),
    }
}

fn key_schema(key: &Key) -> Value {
    let mut schema = shape_schema(key.shape);
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".into(), json!(key.doc));
    }
    schema
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Version => json!({ "const": 1 }),
        Shape::Line => json!({ "type": "string", "minLength": 1, "pattern": r"^[^\r\n]+$" }),
        Shape::Word(form) => word_schema(form),
        Shape::Amount(form) => {
            json!({ "type": ["string", "number"], "minimum": 0, "pattern": form.pattern, "examples": [form.example] })
        }
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Positive => json!({ "type": "number", "minimum": 0 }),
        Shape::Limit | Shape::Time => json!({ "type": "string", "pattern": TIME, "examples": ["250ms", "1.5s", "2m"] }),
        Shape::TimeRange => json!({ "type": "string", "pattern": TIME_RANGE, "examples": ["500ms", "1s..3s"] }),
        Shape::Path => json!({ "type": "string", "pattern": r"^\$", "examples": ["$.conversation_id"] }),
        Shape::Regex | Shape::Template => json!({ "type": "string" }),
        Shape::Events => json!({ "type": "string", "pattern": r"^[A-Za-z0-9_\s|()*+?-]+$" }),
        Shape::TemplateOrWhole => json!({ "type": ["string", "integer"] }),
        Shape::TemplateOrNull => json!({ "type": ["string", "null"] }),
        Shape::Json => json!({}),
        Shape::Empty => json!({ "type": ["object", "null"], "additionalProperties": false }),
        Shape::Map(table) => reference(table),
        Shape::Free(free) => free_schema(free),
        Shape::List(of, least) => list_schema(shape_schema(of), *least),
        Shape::OneOrMore(of) => {
            let one = shape_schema(of);
            json!({ "anyOf": [one, list_schema(one.clone(), 1)] })
        }
        Shape::ScalarOrMap(scalar, map) => json!({ "anyOf": [shape_schema(scalar), shape_schema(map)] }),
        Shape::Steps => list_schema(reference(&STEP), 1),
        Shape::Branches => list_schema(list_schema(reference(&STEP), 1), 1),
    }
}

const TIME: &str = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$";
const TIME_RANGE: &str = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)(\.\.[0-9]+(\.[0-9]+)?(ms|s|m|h))?$";

fn list_schema(items: Value, least: usize) -> Value {
    if least == 0 {
        json!({ "type": "array", "items": items })
    } else {
        json!({ "type": "array", "items": items, "minItems": least })
    }
}

fn word_schema(form: &Form) -> Value {
    json!({ "type": "string", "pattern": form.pattern, "examples": [form.example] })
}

fn free_schema(free: &Free) -> Value {
    let mut schema = json!({ "type": "object", "additionalProperties": shape_schema(free.of) });
    let pattern = match free.names {
        Names::Variables => Some(VARIABLE.pattern),
        Names::Headers => Some(HEADER.pattern),
        Names::Currencies => Some(CURRENCY.pattern),
        Names::Templates | Names::Members => None,
    };
    let Some(members) = schema.as_object_mut() else { return schema };
    if let Some(pattern) = pattern {
        members.insert("propertyNames".into(), json!({ "pattern": pattern }));
    }
    if free.single {
        members.insert("minProperties".into(), json!(1));
        members.insert("maxProperties".into(), json!(1));
    }
    schema
}
