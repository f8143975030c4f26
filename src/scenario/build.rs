//! A checked tree -> [`Scenario`]. Everything here was checked before; `None` means that it was not.

use super::ast::{
    Action, Auth, Check, Content, Data, During, Expect, FilePart, Need, Parallel, Pick, Query, Raw, RawBody,
    ResponseMode, Scenario, Snapshot, Step, Test, Texts, Think, Timeouts, Turn, Upload,
};
use super::scalar::{Scalar, json, scalar};
use super::yaml::{Kind, Node};
use super::{duration, keys};
use crate::model::AppMode;
use serde_json::Value;
use std::time::Duration;

/// Builds the scenario of a file that has no problems.
pub(crate) fn scenario(file: &str, root: &Node) -> Option<Scenario> {
    let target = root.get("target")?;
    let rules = root.get("rules").map(Node::items).unwrap_or_default();
    Some(Scenario {
        file: file.to_owned(),
        id: text(root.get("id")?)?,
        title: text(root.get("title")?)?,
        apps: one_or_more(target.get("app")?).iter().map(|n| AppMode::parse(n.text()?)).collect::<Option<_>>()?,
        mode: target.get("mode").and_then(mode).unwrap_or(ResponseMode::Streaming),
        needs: root.get("needs").map(Node::items).unwrap_or_default().iter().map(need).collect::<Option<_>>()?,
        slow: flag(root, "slow").unwrap_or(false),
        rules: rules.iter().map(text).collect::<Option<_>>()?,
        rules_at: rules.iter().map(|n| n.at).collect(),
        vars: named(root.get("vars"), |n| Some(json(n)))?,
        data: named(root.get("data"), data)?,
        steps: steps(root.get("steps"))?,
        finally: steps(root.get("finally"))?,
        snapshot: root.get("snapshot").map_or(Some(Snapshot::default()), snapshot)?,
    })
}

fn snapshot(node: &Node) -> Option<Snapshot> {
    let texts = match node.get("texts").and_then(Node::text) {
        None => None,
        Some("exact") => Some(Texts::Exact),
        Some("shape") => Some(Texts::Shape),
        Some("ignored") => Some(Texts::Ignored),
        Some(_) => return None,
    };
    Some(Snapshot { texts, headers: self::texts(node.get("headers"))? })
}

fn text(node: &Node) -> Option<String> {
    node.text().map(str::to_owned)
}

fn optional_text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(text)
}

fn flag(node: &Node, key: &str) -> Option<bool> {
    match scalar(node.get(key)?)? {
        Scalar::Flag(flag) => Some(flag),
        _ => None,
    }
}

fn float(node: &Node, key: &str) -> Option<f64> {
    match scalar(node.get(key)?)? {
        Scalar::Number(number) => number.as_f64(),
        _ => None,
    }
}

fn whole(node: &Node) -> Option<u64> {
    match scalar(node)? {
        Scalar::Number(number) => number.as_u64(),
        _ => None,
    }
}

fn count(node: &Node, key: &str) -> Option<u32> {
    node.get(key).and_then(whole).and_then(|n| u32::try_from(n).ok())
}

fn time(node: &Node) -> Option<Duration> {
    duration::parse(node.text()?).ok()
}

fn one_or_more(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// Entries of a map with free keys; none if the map is not there.
fn named<T>(node: Option<&Node>, read: impl Fn(&Node) -> Option<T>) -> Option<Vec<(String, T)>> {
    let entries = node.map(Node::entries).unwrap_or_default();
    entries.iter().map(|(key, value)| Some((text(key)?, read(value)?))).collect()
}

fn texts(node: Option<&Node>) -> Option<Vec<String>> {
    node.map(Node::items).unwrap_or_default().iter().map(text).collect()
}

fn mode(node: &Node) -> Option<ResponseMode> {
    match node.text()? {
        "streaming" => Some(ResponseMode::Streaming),
        "blocking" => Some(ResponseMode::Blocking),
        _ => None,
    }
}

fn need(node: &Node) -> Option<Need> {
    match node.text()? {
        "text-input" => Some(Need::TextInput),
        "required-input" => Some(Need::RequiredInput),
        "no-required-input" => Some(Need::NoRequiredInput),
        "limited-input" => Some(Need::LimitedInput),
        "select-input" => Some(Need::SelectInput),
        "number-input" => Some(Need::NumberInput),
        "default-input" => Some(Need::DefaultInput),
        "blocking" => Some(Need::Blocking),
        "other-app" => Some(Need::OtherApp),
        _ => None,
    }
}

fn data(node: &Node) -> Option<Data> {
    if let Some(random) = node.get("random") {
        return count(random, "words").map(Data::RandomWords);
    }
    let pick = match node.get("pick").and_then(Node::text) {
        None | Some("per-iteration") => Pick::PerIteration,
        Some("per-user") => Pick::PerUser,
        Some("random") => Pick::Random,
        Some(_) => return None,
    };
    Some(Data::Rows { rows: node.get("each")?.items().iter().map(json).collect(), pick })
}

fn steps(node: Option<&Node>) -> Option<Vec<Step>> {
    node.map(Node::items).unwrap_or_default().iter().map(step).collect()
}

fn step(node: &Node) -> Option<Step> {
    let (name, body) = node.entries().iter().find(|(k, _)| k.text().is_some_and(|t| keys::ACTIONS.contains(&t)))?;
    let for_each = named(node.get("for-each"), |n| Some(n.items().iter().map(json).collect()))?;
    Some(Step {
        id: text(node.get("id")?)?,
        at: node.at,
        action: action(name.text()?, body)?,
        for_each: for_each.into_iter().next(),
        user: optional_text(node, "user"),
        auth: node.get("auth").map_or(Some(Auth::Key), auth)?,
        headers: named(node.get("headers"), |n| Some(header_value(n)))?,
        capture: named(node.get("capture"), text)?,
        or_skip: optional_text(node, "or-skip"),
        expect: expectations(node.get("expect"))?,
        timeout: node.get("timeout").map(timeouts).unwrap_or_default(),
        think: node.get("think").map(think).map_or(Some(None), |t| t.map(Some))?,
        wait: node.get("wait").and_then(time),
        snapshot: node.get("snapshot").map_or(Some(Snapshot::default()), snapshot)?,
    })
}

fn header_value(node: &Node) -> Option<String> {
    match scalar(node) {
        Some(Scalar::Text(text)) => Some(text.to_owned()),
        _ => None,
    }
}

fn auth(node: &Node) -> Option<Auth> {
    if let Some(header) = node.get("header") {
        return text(header).map(Auth::Header);
    }
    match node.text()? {
        "key" => Some(Auth::Key),
        "none" => Some(Auth::None),
        "unknown" => Some(Auth::Unknown),
        "other-app" => Some(Auth::OtherApp),
        _ => None,
    }
}

fn action(name: &str, body: &Node) -> Option<Action> {
    Some(match name {
        "chat" => Action::Chat(turn(body)?),
        "completion" => Action::Completion(turn(body)?),
        "workflow" => Action::Workflow(turn(body)?),
        "history" => Action::History(query(body)?),
        "conversations" => Action::Conversations(query(body)?),
        "rename" => Action::Rename {
            conversation: text(body.get("conversation")?)?,
            name: body.get("name").map(json),
            auto: flag(body, "auto"),
        },
        "delete" => Action::Delete { conversation: text(body.get("conversation")?)? },
        "feedback" => Action::Feedback {
            message: text(body.get("message")?)?,
            rating: json(body.get("rating")?),
            content: optional_text(body, "content"),
        },
        "stop" => Action::Stop { task: text(body.get("task")?)? },
        "info" => Action::Info,
        "parameters" => Action::Parameters,
        "upload" => Action::Upload(Upload {
            speech: body.get("to").and_then(Node::text) == Some("speech"),
            files: body.get("files")?.items().iter().map(file_part).collect::<Option<_>>()?,
            no_user: flag(body, "no-user").unwrap_or(false),
        }),
        "request" => Action::Request(Raw {
            method: text(body.get("method")?)?,
            path: text(body.get("path")?)?,
            body: body
                .get("json")
                .map(json)
                .map(RawBody::Json)
                .or_else(|| optional_text(body, "text").map(RawBody::Text)),
        }),
        "parallel" => Action::Parallel(parallel(body)?),
        "pause" => Action::Pause(time(body)?),
        _ => return None,
    })
}

fn turn(body: &Node) -> Option<Turn> {
    let during = match body.get("during") {
        None => None,
        Some(node) => Some(During { after_events: count(node, "after-events")?, steps: steps(node.get("steps"))? }),
    };
    Some(Turn {
        query: body.get("query").map(json),
        inputs: named(body.get("inputs"), |n| Some(json(n)))?,
        no_fill: flag(body, "fill") == Some(false),
        conversation: body.get("conversation").map(json),
        mode: body.get("mode").and_then(mode),
        auto_name: flag(body, "auto-name"),
        with: named(body.get("with"), |n| Some(json(n)))?,
        omit: texts(body.get("omit"))?,
        omit_inputs: texts(body.get("omit-inputs"))?,
        during,
        hang_up_after: count(body, "hang-up-after"),
        version: optional_text(body, "version"),
    })
}

fn query(body: &Node) -> Option<Query> {
    let wire = |key: &str| match key {
        "conversation" => "conversation_id".to_owned(),
        key => key.replace('-', "_"),
    };
    let params = named(Some(body), text)?.into_iter().filter(|(key, _)| key != "no-user");
    Some(Query {
        params: params.map(|(key, value)| (wire(&key), value)).collect(),
        no_user: flag(body, "no-user").unwrap_or(false),
    })
}

fn file_part(node: &Node) -> Option<FilePart> {
    let text = |key| optional_text(node, key);
    let content = text("text").map(Content::Text).or_else(|| text("base64").map(Content::Base64));
    Some(FilePart {
        part: text("part"),
        name: text("name"),
        mime: text("mime"),
        content: content.or_else(|| text("size").map(Content::Size))?,
    })
}

fn parallel(body: &Node) -> Option<Parallel> {
    let branches = match body.get("branches") {
        Some(branches) => branches.items().iter().map(|b| steps(Some(b))).collect::<Option<_>>()?,
        None => vec![steps(body.get("steps"))?],
    };
    Some(Parallel { branches, times: count(body, "times").unwrap_or(1) })
}

fn timeouts(node: &Node) -> Timeouts {
    let limit = |key| node.get(key).and_then(time);
    Timeouts {
        connect: limit("connect"),
        tls: limit("tls"),
        first_byte: limit("first-byte"),
        first_event: limit("first-event"),
        idle: limit("idle"),
        total: limit("total"),
    }
}

fn think(node: &Node) -> Option<Think> {
    if let Some(shape) = node.get("lognormal") {
        return Some(Think::Lognormal {
            median: time(shape.get("median")?)?,
            sigma: float(shape, "sigma")?,
            max: time(shape.get("max")?)?,
        });
    }
    let (from, to) = duration::parse_range(node.text()?).ok()?;
    Some(if from == to { Think::Fixed(from) } else { Think::Uniform(from, to) })
}

fn expectations(node: Option<&Node>) -> Option<Vec<Expect>> {
    let mut all = Vec::new();
    for item in node.map(Node::items).unwrap_or_default() {
        let (key, body) = item.entries().first()?;
        let checks = match key.text()? {
            "status" => vec![Check::Status(
                one_or_more(body)
                    .iter()
                    .map(|n| whole(n).and_then(|n| u16::try_from(n).ok()))
                    .collect::<Option<_>>()?,
            )],
            "header" => {
                let name = text(body.get("name")?)?;
                tests(body)?.into_iter().map(|test| Check::Header { name: name.clone(), test }).collect()
            }
            "json" => {
                let at = text(body.get("at")?)?;
                tests(body)?.into_iter().map(|test| Check::Json { at: at.clone(), test }).collect()
            }
            "answer" => tests(body)?.into_iter().map(Check::Answer).collect(),
            "events" => vec![Check::Events(text(body)?)],
            "timing" => vec![Check::Timing { of: text(body.get("of")?)?, max: time(body.get("max")?)? }],
            _ => return None,
        };
        all.extend(checks.into_iter().map(|check| Expect { at: item.at, check }));
    }
    Some(all)
}

/// The tests of a map in file order; `min` and `max` are one test.
fn tests(body: &Node) -> Option<Vec<Test>> {
    let mut all = Vec::new();
    let mut range_done = false;
    for (key, node) in body.entries() {
        let value: Value = json(node);
        all.push(match key.text()? {
            "equals" => Test::Equals(value),
            "not-equals" => Test::NotEquals(value),
            "contains" => Test::Contains(value),
            "not-contains" => Test::NotContains(value),
            "is" => Test::Is(text(node)?),
            "exists" => Test::Exists(value.as_bool()?),
            "length" => Test::Length(value.as_u64()?),
            "matches" => Test::Matches(text(node)?),
            "media-type" => Test::MediaType(text(node)?),
            "min" | "max" if !range_done => {
                range_done = true;
                Test::Range { min: float(body, "min"), max: float(body, "max") }
            }
            _ => continue,
        });
    }
    Some(all)
}
