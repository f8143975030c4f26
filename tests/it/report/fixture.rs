//! A report as a run against a real server would give it, written by hand.

use difyprobe::metrics::LatencyRow;
use difyprobe::model::{App, AppMode, Finding, Level, Outcome};
use difyprobe::report::run::{
    BaselineResult, EntryResult, EntryState, Evidence, ExpectationFailure, Place, ProposedEntry, REPORT_SCHEMA,
    RuleResult, RunReport, ScenarioResult, Target,
};
use difyprobe::report::{summary, verdict};
use std::collections::BTreeMap;

pub fn rule(id: &str, area: &str, level: Level, outcome: Outcome, statement: &str) -> RuleResult {
    RuleResult {
        id: id.into(),
        area: area.into(),
        level,
        title: statement.split(' ').take(5).collect::<Vec<_>>().join(" "),
        statement: statement.into(),
        source: "openapi_service.json, ChatEvent; guides/streaming.mdx".into(),
        outcome,
        reason: None,
        judged: if matches!(outcome, Outcome::NotApplicable | Outcome::CouldNotRun) { 0 } else { 12 },
        apps: BTreeMap::new(),
        findings: Vec::new(),
    }
}

pub fn finding(rule: &str, app: &str, message: &str, exchange: u64) -> Finding {
    Finding {
        rule: rule.into(),
        check: "one-value".into(),
        outcome: Outcome::Fail,
        app: app.into(),
        message: message.into(),
        expected: "one conversation_id over all events: 16af03de-8ff5-4346-91ea-6f790962c846".into(),
        actual: "7b0c1d52-0000-4d0e-9f2b-8f2f5d7f6c11 on event 3 (message)".into(),
        exchanges: vec![exchange],
        frame: Some(3),
        known: None,
    }
}

pub fn evidence(exchange: u64) -> Evidence {
    let head = [
        "> POST /v1/chat-messages",
        "> Authorization: Bearer [key:chat]",
        "> Content-Type: application/json",
        "> {",
        ">   \"inputs\": {\"name\": \"Alice\"},",
        ">   \"query\": \"hello\",",
        ">   \"response_mode\": \"streaming\",",
        ">   \"user\": \"difyprobe-1\"",
        "> }",
        "< 200 HTTP/1.1",
        "< Content-Type: text/event-stream; charset=utf-8",
        "< X-Version: 1.12.1",
    ];
    let chunk = |n: usize| {
        let (mark, id) = if n == 3 {
            ("*", "7b0c1d52-0000-4d0e-9f2b-8f2f5d7f6c11")
        } else {
            (" ", "16af03de-8ff5-4346-91ea-6f790962c846")
        };
        format!(
            "{mark} #{n} +{}.2 ms  data: {{\"event\":\"message\",\"conversation_id\":\"{id}\",\"message_id\":\"525e8f06-1729-44d0-b2bc-a27c66baa81e\",\"answer\":\"chunk {n}\"}}",
            1281 + n
        )
    };
    let frames = (1..=6).map(chunk);
    let end =
        ["  ... 21 more events ...".to_owned(), "! cut after 1.4 s: truncated: connection reset by peer".to_owned()];
    Evidence {
        exchange,
        place: "chat-three-turns.first (conformance/chat-three-turns.yaml:12:5)".into(),
        at: Place::parse("conformance/chat-three-turns.yaml:12:5"),
        head_us: Some(1_281_100),
        end_us: Some(1_400_000),
        wire: head.iter().map(|l| (*l).to_owned()).chain(frames).chain(end).collect(),
        curl: "curl -sS -i -N -X POST http://127.0.0.1:5001/v1/chat-messages \\\n  \
               -H \"Authorization: Bearer $DIFY_API_KEY\" \\\n  -H 'Content-Type: application/json' \\\n  \
               --data-raw '{\"inputs\":{\"name\":\"Alice\"},\"query\":\"hello\",\"response_mode\":\"streaming\",\"user\":\"difyprobe-1\"}'"
            .into(),
        repeat: "difyprobe check --base-url http://127.0.0.1:5001/v1 conformance/chat-three-turns.yaml".into(),
    }
}

fn rules() -> Vec<RuleResult> {
    use Level::{May, Must, Should};
    use Outcome::{CouldNotRun, Fail, KnownDeviation, NotApplicable, Pass, Warn};
    let mut rules = Vec::new();
    for (n, name) in ["missing-key.401", "wrong-scheme.401", "unknown-key.401", "case-of-scheme", "empty-token.401"]
        .iter()
        .enumerate()
    {
        let level = if n == 3 { May } else { Must };
        rules.push(rule(
            &format!("auth.{name}"),
            "authentication",
            level,
            Pass,
            "Every endpoint answers 401 with the three-field error body.",
        ));
    }
    let mut stable = rule(
        "chat.conversation-id.stable",
        "chat",
        Must,
        Fail,
        "All events of one stream carry one and the same conversation_id, which is the conversation that the request named or, on a first turn, the one that was created.",
    );
    stable.findings = vec![
        finding(&stable.id, "advanced-chat", "the conversation_id changes within the stream", 41),
        finding(&stable.id, "chat", "the conversation_id changes within the stream", 41),
        finding(&stable.id, "chat", "the conversation_id changes within the stream", 57),
    ];
    stable.apps = BTreeMap::from([("advanced-chat".into(), Fail), ("chat".into(), Fail)]);
    rules.push(stable);
    for name in ["first-turn.creates", "later-turn.keeps", "unknown-conversation.404", "query.required"] {
        rules.push(rule(&format!("chat.{name}"), "chat", Must, Pass, "A first turn creates a conversation."));
    }
    let mut known = rule(
        "chat.inputs.ignored-later",
        "chat",
        Must,
        KnownDeviation,
        "New inputs on a continued conversation are ignored.",
    );
    known.findings = vec![difyprobe::model::Finding {
        outcome: KnownDeviation,
        known: Some("Dify applies new inputs on later turns since 1.0.0 (PR #7955); the documentation still says they are ignored".into()),
        ..finding(&known.id, "chat", "the second turn saw the new inputs", 42)
    }];
    rules.push(known);
    let mut warned = rule("sse.charset.utf-8", "sse-framing", Should, Warn, "Event streams name their charset.");
    warned.findings = vec![finding(&warned.id, "chat", "Content-Type has no charset parameter", 43)];
    rules.push(warned);
    rules.push(rule("sse.blank-line", "sse-framing", Must, Pass, "Every event ends with a blank line."));
    let mut stuck = rule("stop.right-user", "stop", Must, CouldNotRun, "A stop ends the stream.");
    stuck.reason = Some("the stream ended before the stop could be sent".into());
    rules.push(stuck);
    for name in ["paused", "resumed", "form.404", "token.404"] {
        let mut absent =
            rule(&format!("human-input.{name}"), "human-input", Must, NotApplicable, "A paused run can be resumed.");
        absent.reason = Some("Dify offers human input from 1.14 on; this server says 1.12.1".into());
        rules.push(absent);
    }
    rules
}

fn row(metric: &str, group: &str, turn: &str, n: u64, p50_us: u64) -> LatencyRow {
    LatencyRow {
        metric: metric.into(),
        group: group.into(),
        turn: turn.into(),
        n,
        p50_us,
        p90_us: p50_us * 5 / 4,
        p95_us: p50_us * 4 / 3,
        p99_us: p50_us * 2,
        p999_us: None,
        max_us: p50_us * 2 + 345,
        p50_ci_us: Some([p50_us - p50_us / 10, p50_us + p50_us / 10]),
        ..LatencyRow::default()
    }
}

/// A baseline with an entry of every state.
fn baseline() -> BaselineResult {
    let states = [EntryState::Used, EntryState::Idle, EntryState::UnknownRule, EntryState::Unused, EntryState::Expired];
    let entry = |(index, state): (usize, EntryState)| EntryResult {
        rule: "chat.conversation-id.stable".into(),
        app: Some("chat".into()),
        version: Some(">=1.10".into()),
        reason: "OPS-1".into(),
        expires: Some("2027-03-31".into()),
        line: u32::try_from(index).unwrap_or(0) + 3,
        state,
        message: "the rule holds on chat".into(),
    };
    let text = "  - rule: a.b\n    app: chat\n    reason: \"it fails\"\n".to_owned();
    BaselineResult {
        file: "known.yaml".into(),
        entries: states.into_iter().enumerate().map(entry).collect(),
        proposed: vec![ProposedEntry { rule: "a.b".into(), app: "chat".into(), text }],
    }
}

/// The report.
pub fn report() -> RunReport {
    let rules = rules();
    let scenarios = vec![
        ScenarioResult {
            id: "chat-three-turns".into(),
            title: "Three turns of one conversation".into(),
            file: "conformance/chat-three-turns.yaml".into(),
            app: "chat".into(),
            outcome: Outcome::Fail,
            reason: None,
            failures: vec![ExpectationFailure {
                place: "conformance/chat-three-turns.yaml:31:9".into(),
                step: "second".into(),
                message: "expected status 200, got 400: `inputs` is required".into(),
                exchange: Some(42),
            }],
            cleanup_failures: vec!["delete-conversation: 404 not_found".into()],
            requests: 4,
            elapsed_ms: 3_200,
        },
        ScenarioResult {
            id: "auth".into(),
            title: "Who may call".into(),
            file: "conformance/auth.yaml".into(),
            app: "chat".into(),
            outcome: Outcome::Pass,
            reason: None,
            failures: Vec::new(),
            cleanup_failures: Vec::new(),
            requests: 57,
            elapsed_ms: 900,
        },
    ];
    let (verdict, exit_code) = verdict(&rules, &scenarios, false, false);
    let app = |label: &str, mode| App {
        label: label.into(),
        mode: Some(mode),
        inputs: Vec::new(),
        form_known: true,
        server_version: Some("1.12.1".into()),
    };
    RunReport {
        schema: REPORT_SCHEMA.into(),
        tool_version: "0.1.0".into(),
        command: "check".into(),
        target: Target {
            base_url: "http://127.0.0.1:5001/v1".into(),
            apps: vec![
                app("chat", AppMode::Chat),
                app("shop-assistant", AppMode::AdvancedChat),
                app("completion", AppMode::Completion),
            ],
            profile: "dify-1.12".into(),
            profile_reason: "X-Version is 1.12.1".into(),
            server_version: Some("1.12.1".into()),
        },
        started_unix_ms: 1_795_423_932_563,
        elapsed_ms: 41_234,
        verdict,
        exit_code,
        strict: false,
        summary: summary(verdict, &rules, &scenarios, 61, 41_234),
        rules,
        scenarios,
        latency: vec![
            row("ttfb", "chat", "all", 24, 98_400),
            row("ttfe", "chat", "all", 24, 98_500),
            row("ttft", "chat", "all", 24, 112_200),
            row("ttft", "shop-assistant", "all", 24, 612_200),
            row("e2e", "chat", "all", 24, 268_800),
            row("e2e", "chat", "first", 12, 1_378_900),
            row("e2e", "chat", "later", 12, 255_100),
            row("e2e", "completion", "all", 9, 5_310),
        ],
        notes: vec!["4 slow scenarios were left out; --slow runs them".into()],
        evidence: vec![evidence(41), Evidence { exchange: 42, ..evidence(42) }, evidence(57)],
        baseline: Some(baseline()),
        load: None,
    }
}
