//! The three workflows: an echoing chatflow, a workflow of template and code, a workflow of a model.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::config::Pace;
use super::flow_behaviour::{FlowBehaviour, Members, TextPlace};
use super::form::in_prompt;
use super::graph::{Act, Node, Script, extras, speech, spoken};
use super::model::{self, Ending, Plan};

/// What a script is written from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The differences between servers.
    pub flow: &'a FlowBehaviour,
    /// How fast a model speaks.
    pub pace: Pace,
    /// Inputs as the start node shows them, `sys.*` included.
    pub inputs: &'a Map<String, Value>,
}

/// Words of prompt and answer of the model of a run, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Words of the prompt.
    pub prompt: u64,
    /// Words of the answer.
    pub answer: u64,
}

/// A written script and what its model used.
pub type Written = (Script, Option<Words>);

fn now(act: Act) -> (Duration, Act) {
    (Duration::ZERO, act)
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        some => in_prompt(some),
    }
}

fn start_node(source: &Source) -> Node {
    let inputs = Value::Object(source.inputs.clone());
    Node::new("start", "start", "Start").with(inputs.clone(), inputs)
}

/// A chatflow: start, a model if the query steers one, answer, assignment of `memo`.
pub fn chatflow(source: &Source, memo: &str) -> Written {
    let sys = |name: &str| text_of(source.inputs.get(name));
    let query = sys("sys.query");
    let pieces = [
        ("name=".to_owned(), ["answer", "answer"]),
        (sys("name"), ["start", "name"]),
        (" extra=".to_owned(), ["answer", "answer"]),
        (sys("extra"), ["start", "extra"]),
        (" query=".to_owned(), ["answer", "answer"]),
        (query.clone(), ["sys", "query"]),
        (" memo=".to_owned(), ["answer", "answer"]),
        (memo.to_owned(), ["conversation", "memo"]),
        (" turn=".to_owned(), ["answer", "answer"]),
        (sys("sys.dialogue_count"), ["sys", "dialogue_count"]),
    ];
    let template: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
    let mut script = vec![now(Act::Begin)];
    let extra = extras(&query, source.flow.newest_features);
    if model::steers(&query) {
        let plan = model::recite(template, model::words(&query).max(1), &query, source.pace);
        return modelled_chatflow(source, &plan, &query);
    }
    let paced = |at| if at == 0 { source.pace.first_chunk } else { Duration::from_micros(100).min(source.pace.gap) };
    let said: Script =
        pieces.into_iter().enumerate().map(|(at, (text, from))| (paced(at), Act::Say(text, from))).collect();
    let (mut inside_start, mut before, mut inside_answer) = (Vec::new(), Vec::new(), Vec::new());
    let waits = !extra.is_empty();
    match source.flow.text_place {
        _ if waits => inside_answer = said,
        TextPlace::InsideStart => inside_start = said,
        TextPlace::BeforeAnswer => before = said,
        TextPlace::InsideAnswer => inside_answer = said,
    }
    script.extend(start_node(source).around(inside_start));
    script.extend(extra);
    script.extend(before);
    script.extend(answer_node(&template).around(inside_answer));
    close_chatflow(source, &query, &template, &mut script);
    (script, None)
}

/// A chatflow whose model says a plan: start, model, answer, assignment of `memo`.
pub fn modelled_chatflow(source: &Source, plan: &Plan, query: &str) -> Written {
    let mut script = vec![now(Act::Begin)];
    script.extend(start_node(source).around(Vec::new()));
    script.extend(extras(query, source.flow.newest_features));
    let words = match model_node(source, plan, query, &mut script) {
        Ok(words) => words,
        Err(error) => {
            script.extend([now(Act::Finish(Err(error.clone()))), now(Act::Complain(format!("Run failed: {error}")))]);
            return (script, None);
        }
    };
    script.extend(answer_node(&spoken(plan)).around(Vec::new()));
    close_chatflow(source, query, &spoken(plan), &mut script);
    (script, Some(words))
}

fn answer_node(text: &str) -> Node {
    Node::new("answer", "answer", "Answer").with(Value::Null, json!({"answer": text, "files": []}))
}

fn close_chatflow(source: &Source, query: &str, text: &str, script: &mut Script) {
    let old = source.flow.members == Members::Old;
    let mut assigner = Node::new("assigner", "assigner", "Assign");
    assigner.inputs = json!({
        "title": "Assign", "desc": "", "version": "2", "error_strategy": null, "default_value": null,
        "retry_config": {"max_retries": 0, "retry_interval": 0, "retry_enabled": false},
        "items": [{"variable_selector": ["conversation", "memo"], "input_type": "variable",
                   "operation": "over-write", "value": ["sys", "query"]}]
    });
    assigner.process = json!({"memo": query});
    if !old {
        assigner.process["__updated_variables"] = json!([
            {"name": "memo", "selector": ["conversation", "memo"], "value_type": "string", "new_value": query}
        ]);
    }
    script.extend(assigner.around(vec![now(Act::Memorise)]));
    let outputs = if old { json!({"answer": text}) } else { json!({"answer": text, "files": []}) };
    let mut ends = [now(Act::Finish(Ok(outputs))), now(Act::EndMessage)];
    if source.flow.message_end_first {
        ends.reverse();
    }
    script.extend(ends);
}

/// Start, template, code and end.
pub fn workflow(source: &Source) -> Written {
    let name = text_of(source.inputs.get("name"));
    let count = source.inputs.get("count");
    let greeting = format!("Hello {name} x{}!", in_prompt(count));
    let length = name.chars().count();
    let mut plan = model::recite(greeting.clone(), 1, &name, source.pace);
    let sleep = plan.first.saturating_sub(source.pace.first_chunk);
    plan.first = source.pace.first_chunk;
    if !["gap:", "chunks:"].iter().any(|word| name.contains(word)) {
        plan.chunks = vec![greeting.clone()];
    }
    plan.ending = Ending::Complete;
    let mut said = speech(&plan, ["tmpl", "output"]);
    if source.flow.all_outputs_streamed {
        said.push(now(Act::Say("\n".to_owned(), ["end", "answer"])));
    }
    let mut script = vec![now(Act::Begin)];
    script.extend(start_node(source).around(Vec::new()));
    let template = Node::new("tmpl", "template-transform", "Template");
    script.extend(template.with(json!({"name": name, "count": count}), json!({"output": greeting})).around(said));
    script.extend(extras(&name, source.flow.newest_features));
    let code = Node::new("code", "code", "Code").with(json!({"name": name}), json!({"length": length}));
    if name.split_whitespace().any(|word| word.starts_with("fail")) {
        let error = format!(
            "Traceback (most recent call last):\n  File \"/sandbox/main.py\", line 5, in main\nValueError: code node \
             failure for {name}\n"
        );
        script.push(now(Act::Enter(Box::new(code.clone()))));
        script.push((sleep, Act::Leave(Box::new(code), Some(error.clone()))));
        script.push(now(Act::Finish(Err(error))));
        return (script, None);
    }
    let mut computed = code.around(Vec::new());
    if source.flow.all_outputs_streamed {
        computed.insert(1, now(Act::Say(length.to_string(), ["code", "length"])));
    }
    if let Some((delay, _)) = computed.get_mut(1) {
        *delay = sleep;
    }
    script.extend(computed);
    close_workflow(json!({"greeting": greeting, "length": length}), &mut script);
    (script, None)
}

/// Start, model and end.
pub fn workflow_llm(source: &Source) -> Written {
    let query = text_of(source.inputs.get("q"));
    let text = format!("ECHO:system: sys | user: {query}");
    let words = model::words(&text);
    let plan = model::recite(text, words, &query, source.pace);
    modelled_workflow(source, &plan, &query)
}

/// A workflow whose model says a plan: start, model and end with the output `text`.
pub fn modelled_workflow(source: &Source, plan: &Plan, query: &str) -> Written {
    let mut script = vec![now(Act::Begin)];
    script.extend(start_node(source).around(Vec::new()));
    script.extend(extras(query, source.flow.newest_features));
    match model_node(source, plan, query, &mut script) {
        Ok(words) => {
            close_workflow(json!({"text": spoken(plan)}), &mut script);
            (script, Some(words))
        }
        Err(error) => {
            script.push(now(Act::Finish(Err(error))));
            (script, None)
        }
    }
}

fn close_workflow(outputs: Value, script: &mut Script) {
    script.extend(Node::new("end", "end", "End").with(outputs.clone(), outputs.clone()).around(Vec::new()));
    script.push(now(Act::Finish(Ok(outputs))));
}

/// A model that says its plan; `Err` with its error if it fails.
fn model_node(source: &Source, plan: &Plan, query: &str, script: &mut Script) -> Result<Words, String> {
    const FROM: [&str; 2] = ["llm", "text"];
    let text = spoken(plan);
    let words = Words { prompt: plan.prompt_words, answer: model::words(&text) };
    let mut node = Node::new("llm", "llm", "LLM");
    script.push(now(Act::Enter(Box::new(node.clone()))));
    let mut said = speech(plan, FROM);
    if let Ending::Failure(error) = &plan.ending {
        let delay = if said.is_empty() { plan.first } else { plan.gap };
        script.extend(said);
        script.push((delay, Act::Leave(Box::new(node), Some(error.clone()))));
        return Err(error.clone());
    }
    if source.flow.members != Members::Old {
        let at = said.iter().rposition(|(_, act)| matches!(act, Act::Say(..))).map_or(0, |at| at + 1);
        said.insert(at, now(Act::Say(String::new(), FROM)));
    }
    script.extend(said);
    node.tokens = words.prompt + words.answer;
    let usage = node_usage(words);
    node.process = json!({
        "model_mode": "chat",
        "prompts": [{"role": "system", "text": "sys", "files": []}, {"role": "user", "text": query, "files": []}],
        "usage": usage, "finish_reason": "stop", "model_provider": "difyprobe/echo/echo", "model_name": "echo-1"
    });
    node.outputs = json!({"text": text, "reasoning_content": "", "usage": usage, "finish_reason": "stop"});
    script.push(now(Act::Leave(Box::new(node), None)));
    Ok(words)
}

fn node_usage(words: Words) -> Value {
    let price = |millionths: u64| format!("0.{millionths:06}0");
    json!({
        "prompt_tokens": words.prompt, "prompt_unit_price": "0.001", "prompt_price_unit": "0.001",
        "prompt_price": price(words.prompt), "completion_tokens": words.answer, "completion_unit_price": "0.002",
        "completion_price_unit": "0.001", "completion_price": price(words.answer * 2),
        "total_tokens": words.prompt + words.answer, "total_price": price(words.prompt + words.answer * 2),
        "currency": "USD", "latency": 0.077, "time_to_first_token": 0.036, "time_to_generate": 0.041
    })
}

#[cfg(test)]
mod tests {
    use super::super::flow_behaviour::{DIFY_0_15, DIFY_1_12, DOCUMENTED};
    use super::*;

    fn inputs(members: Value) -> Map<String, Value> {
        members.as_object().unwrap().clone()
    }

    fn source<'a>(flow: &'a FlowBehaviour, inputs: &'a Map<String, Value>) -> Source<'a> {
        Source { flow, pace: Pace::default(), inputs }
    }

    fn said(script: &Script) -> String {
        script
            .iter()
            .filter_map(|(_, act)| if let Act::Say(text, _) = act { Some(text.as_str()) } else { None })
            .collect()
    }

    #[test]
    fn a_chatflow_says_the_same_with_and_without_a_model() {
        let plain = inputs(json!({"name": "A", "extra": null, "sys.query": "q", "sys.dialogue_count": 2}));
        let steered = inputs(json!({"name": "A", "extra": null, "sys.query": "gap:0 q", "sys.dialogue_count": 2}));
        for flow in [DOCUMENTED, DIFY_0_15, DIFY_1_12] {
            let (script, words) = chatflow(&source(&flow, &plain), "m");
            assert_eq!((said(&script), words), ("name=A extra= query=q memo=m turn=2".to_owned(), None));
            let (script, words) = chatflow(&source(&flow, &steered), "m");
            assert_eq!(said(&script), "name=A extra= query=gap:0 q memo=m turn=2");
            assert!(words.is_some());
        }
    }

    #[test]
    fn a_failing_model_leaves_no_answer_node() {
        let failing = inputs(json!({"name": "A", "sys.query": "fail"}));
        let (script, _) = chatflow(&source(&DOCUMENTED, &failing), "m");
        assert!(!script.iter().any(|(_, act)| matches!(act, Act::Enter(node) if node.id == "answer")));
        assert_eq!(script.last().unwrap().1, Act::Complain("Run failed: fake model failure".to_owned()));
    }

    #[test]
    fn a_workflow_streams_its_greeting_and_in_one_version_its_number() {
        let given = inputs(json!({"name": "World", "count": 3}));
        assert_eq!(said(&workflow(&source(&DOCUMENTED, &given)).0), "Hello World x3!");
        assert_eq!(said(&workflow(&source(&DIFY_1_12, &given)).0), "Hello World x3!\n5");
    }
}
