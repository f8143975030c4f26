use super::*;
use proptest::prelude::*;

/// A reply with a JSON body, in canonical form.
fn json(status: u16, body: &str) -> String {
    format!("GET /messages?user=user-1\nauthorization: x\n\n-> {status}\ncontent-type: application/json\n\n{body}\n")
}

fn events(body: &str) -> String {
    turn("", body)
}

/// A streamed turn; `inputs` is what it sends in a conversation that goes on.
fn turn(inputs: &str, body: &str) -> String {
    let sent = format!("{{\n  \"conversation_id\": \"conv-1\",\n  \"inputs\": {{\n    \"a\": \"{inputs}\"\n  }}\n}}");
    format!("POST /chat-messages\n\n{sent}\n\n-> 200\ncontent-type: text/event-stream\n\n{body}")
}

fn steps(texts: &[String]) -> Vec<Step> {
    let told = |(at, text): (usize, &String)| Told {
        exchange: at as u64 + 1,
        operation: text.lines().next().unwrap().split('?').next().unwrap().to_owned(),
        text: text.clone(),
    };
    let step = |(at, text): (usize, &String)| Step {
        scenario: "s".to_owned(),
        step: format!("step{at}"),
        app: "chat".to_owned(),
        place: format!("s.yaml:{at}:3"),
        told: vec![told((at, text))],
    };
    texts.iter().enumerate().map(step).collect()
}

/// `kind place path detail` of every group of two recordings.
fn groups(a: &[String], b: &[String]) -> Vec<String> {
    let found = compare(&steps(a), &steps(b));
    let line = |g: &Group| format!("{} {} {} {}", g.kind.as_str(), g.place, g.path, g.detail).trim_end().to_owned();
    found.groups.iter().map(line).collect()
}

fn between(a: &str, b: &str) -> Vec<String> {
    groups(&[a.to_owned()], &[b.to_owned()])
}

#[test]
fn a_status_of_another_class_hides_what_follows_from_it() {
    assert_eq!(
        between(&json(200, "{\n  \"a\": 1\n}"), &json(404, "{\n  \"code\": \"x\"\n}")),
        ["status GET /messages  200 -> 404"]
    );
    let empty = "GET /messages?user=user-1\nauthorization: x\n\n-> 204\n\n(empty body)\n";
    assert_eq!(
        between(&json(200, "{}"), empty),
        ["status GET /messages  200 -> 204", "body GET /messages  JSON -> empty"]
    );
    let page = json(404, "(text/html, under 1 kB)\n<html>").replace("application/json", "text/html");
    assert_eq!(between(&page, &json(401, "{}")), ["status GET /messages  404 -> 401"]);
    assert_eq!(between(&page, &json(404, "{}")), ["header GET /messages content-type text/html -> application/json"]);
}

#[test]
fn refusals_are_one_place_whatever_was_asked() {
    let a = json(400, "{\n  \"code\": \"invalid_param\",\n  \"message\": \"m\",\n  \"params\": \"p\"\n}");
    let b = json(400, "{\n  \"code\": \"bad_request\",\n  \"message\": \"n\",\n  \"status\": 400\n}");
    let elsewhere = |text: &str| text.replace("GET /messages", "GET /conversations");
    let found = compare(&steps(&[a.clone(), elsewhere(&a)]), &steps(&[b.clone(), elsewhere(&b)]));
    let lines: Vec<_> = found.groups.iter().map(|g| (g.kind, g.path.as_str(), g.detail.as_str(), g.count)).collect();
    assert_eq!(
        lines,
        [
            (Kind::ErrorCode, "$.code", "invalid_param -> bad_request", 2),
            (Kind::MemberAdded, "$.status", "", 2),
            (Kind::MemberRemoved, "$.params", "", 2),
            (Kind::Text, "$.message", "", 2),
        ]
    );
    assert_eq!(found.groups[0].steps, ["s.step0@chat", "s.step1@chat"]);
    assert_eq!((found.exchanges, found.equal, found.scenarios), (2, 0, 1));
}

#[test]
fn types_masks_values_items_and_odd_names_are_told_apart() {
    let a = "{\n  \"created_at\": [unix-seconds],\n  \"data\": [\n    {\n      \"n\": 1,\n      \"it's\": \"x\"\n    }\n  ],\n  \"more\": [\n    1\n  ]\n}";
    let b = "{\n  \"created_at\": [NOT unix-seconds: 13 digits],\n  \"data\": [\n    {\n      \"n\": 2,\n      \"it's\": null\n    }\n  ],\n  \"more\": [\n    1,\n    2\n  ]\n}";
    assert_eq!(
        between(&json(200, a), &json(200, b)),
        [
            "member-type GET /messages $.created_at [unix-seconds] -> [NOT unix-seconds: 13 digits]",
            "member-type GET /messages $.data[*]['it\\'s'] string -> null",
            "items GET /messages $.more",
            "value GET /messages $.data[*].n",
        ]
    );
}

#[test]
fn an_id_more_on_one_side_is_one_difference_and_another_identity_is_one_too() {
    let a = json(200, "{\n  \"extra\": \"id-1\",\n  \"id\": \"id-2\",\n  \"same\": \"id-2\"\n}");
    let b = json(200, "{\n  \"id\": \"id-1\",\n  \"same\": \"id-1\"\n}");
    assert_eq!(between(&a, &b), ["member-removed GET /messages $.extra"]);
    let other = json(200, "{\n  \"id\": \"id-1\",\n  \"same\": \"id-3\"\n}");
    assert_eq!(between(&b, &other), ["id GET /messages $.same"]);
}

#[test]
fn order_kind_number_and_content_of_events_are_told_apart() {
    let end = "event message_end\n{\n  \"id\": \"msg-1\"\n}\n";
    let finished = "event workflow_finished\n{\n  \"a\": 1\n}\n";
    let message = "event message x3\n{\n  \"answer\": [delta]\n}\n";
    let all = |parts: &[&str]| events(&parts.concat());
    assert_eq!(
        between(&all(&[message, end, finished]), &all(&[message, finished, end])),
        ["event-order POST /chat-messages message_end"]
    );
    assert_eq!(
        between(&all(&[message, end]), &all(&[message, finished, end])),
        ["event-added POST /chat-messages workflow_finished"]
    );
    assert_eq!(
        between(&all(&[message, finished, end]), &all(&[message, end])),
        ["event-removed POST /chat-messages workflow_finished"]
    );
    assert_eq!(
        between(&all(&[finished, finished, end]), &all(&[finished, end])),
        ["event-count POST /chat-messages workflow_finished"]
    );
    assert_eq!(
        between(&all(&[end]), &all(&[&end.replace("message_end", "message_end (event line: end)")])),
        ["framing event message_end"]
    );
    assert_eq!(between(&all(&[finished]), &all(&[&finished.replace("1", "2")])), ["value event workflow_finished $.a"]);
    assert_eq!(between(&all(&[message, end]), &all(&[&message.replace("x3", "x7"), end])), [""; 0]);
}

#[test]
fn an_answer_that_speaks_of_new_inputs_on_one_side_tells_the_policy() {
    let answer = |text: &str| format!("event message_end\n{{}}\n\nanswer:\n  |{text}|\n");
    let (old, new) = (turn("amber", &answer("in: first")), turn("amber", &answer("in: amber")));
    assert_eq!(between(&old, &new), ["inputs POST /chat-messages answer new inputs ignored on A, applied on B"]);
    assert_eq!(between(&new, &old), ["inputs POST /chat-messages answer new inputs applied on A, ignored on B"]);
    let (one, other) = (turn("amber", &answer("one")), turn("amber", &answer("two")));
    assert_eq!(between(&one, &other), ["text POST /chat-messages answer"]);
}

#[test]
fn what_one_side_did_not_send_or_answer_is_named() {
    let body = json(200, "{}");
    assert_eq!(groups(&[body.clone(), body.clone()], std::slice::from_ref(&body)), ["unsent scenario s  A only"]);
    assert_eq!(groups(std::slice::from_ref(&body), &[body.clone(), body.clone()]), ["unsent scenario s  B only"]);
    let none = "GET /messages?user=user-1\nauthorization: x\n\nno response\n\nfault: connect\n";
    assert_eq!(
        between(&body, none),
        ["transport GET /messages  200 -> no response", "transport GET /messages  whole -> connect"]
    );
    let other = compare(&steps(std::slice::from_ref(&body)), &[]);
    assert_eq!((other.only_a, other.scenarios), (vec![("s".to_owned(), "chat".to_owned())], 0));
}

#[test]
fn headers_count_unless_the_body_is_empty() {
    let page = json(200, "{}").replace("content-type: application/json", "content-type: text/json");
    assert_eq!(between(&json(200, "{}"), &page), ["header GET /messages content-type application/json -> text/json"]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_a_text_equals_itself(a in "\\PC{0,60}|(event [a-z]{1,3}( x[0-9])?\n\\{\\}?\n){0,5}", b in "[ -~\n]{0,80}") {
        for (a, b) in [(&a, &b), (&b, &a)] {
            let (a, b) = (events(a), json(200, b));
            let _ = between(&a, &b);
            prop_assert_eq!(between(&a, &a), [""; 0]);
            prop_assert_eq!(between(&b, &b), [""; 0]);
        }
    }
}
