//! Holds the times that the client reports against those that `difyprobe serve --record` wrote.
//!
//! `cargo run --release --example clocks -- http://127.0.0.1:8080/v1 app-KEY clock.jsonl`
#![allow(clippy::print_stdout)]

use difyprobe::client::{Call, Client, Limits, Options, ProxySettings};
use difyprobe::metrics::{Sample, sample};
use difyprobe::model::{AppMode, Exchange};
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio_util::sync::CancellationToken;

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Users at the same time, and streams of each.
const USERS: usize = 8;
const STREAMS: usize = 50;

fn call(base_url: &str, key: &str) -> Call {
    let inputs = json!({"query": "one two three four five six seven eight"});
    let body = json!({"inputs": inputs, "response_mode": "streaming", "user": "clocks"}).to_string();
    let headers = [("Authorization", format!("Bearer {key}")), ("Content-Type", "application/json".to_owned())];
    Call {
        method: "POST".to_owned(),
        url: format!("{base_url}/completion-messages"),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: Some(body.into()),
        limits: Limits::default(),
        planned: None,
        hang_up_after: None,
    }
}

/// Message id, what was measured, and the time it took to connect: the server cannot know of that.
async fn measure(client: &Client, call: Call) -> Result<(String, Sample, u64), Problem> {
    let recorded = client.send(call, None, &CancellationToken::new()).await;
    let exchange = Exchange {
        id: 1,
        app: "completion".to_owned(),
        origin: Default::default(),
        request: recorded.request,
        reply: recorded.reply,
        fault: recorded.fault,
        timing: recorded.timing,
    };
    let body = exchange.reply.as_ref().and_then(|r| r.body.text()).unwrap_or_default();
    let id = body.split_once("\"message_id\":\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
    let sample = sample(&exchange, Some(AppMode::Completion)).ok_or("no generation")?;
    sample.outcome.map_err(|class| format!("failed: {} ({body})", class.as_str()))?;
    Ok((id.to_owned(), sample, exchange.timing.connect_us.unwrap_or_default()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Problem> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [base_url, key, record] = words.as_slice() else {
        return Err("usage: clocks BASE_URL KEY RECORD_FILE".into());
    };
    let client = Client::new(Options { proxy: ProxySettings::none(), ..Options::default() });
    let users = (0..USERS).map(|_| async {
        let mut samples = Vec::new();
        for _ in 0..STREAMS {
            samples.push(measure(&client, call(base_url, key)).await?);
        }
        Ok::<_, Problem>(samples)
    });
    let samples: Vec<_> = futures_util::future::try_join_all(users).await?.into_iter().flatten().collect();
    let played = std::fs::read_to_string(record)?;
    let played: Vec<Value> = played.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let by_id: HashMap<&str, &Value> = played.iter().filter_map(|p| Some((p["message_id"].as_str()?, p))).collect();
    let (mut ttft, mut gaps, mut e2e) = (Vec::new(), Vec::new(), Vec::new());
    for (id, sample, connect) in &samples {
        let played = by_id.get(id.as_str()).ok_or("a stream is not in the record")?;
        let received = played["received_us"].as_u64().ok_or("no received_us")?;
        let events: Vec<u64> = played["events_us"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let (Some(first), Some(last)) = (events.first(), events.last()) else { continue };
        ttft.push(sample.ttft_us.unwrap_or_default().abs_diff(first - received + connect));
        e2e.push(sample.e2e_us.abs_diff(last - received + connect));
        let theirs = events.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.extend(sample.gaps_us.iter().zip(theirs).map(|(ours, theirs)| ours.abs_diff(theirs)));
    }
    for (name, mut of) in [("ttft", ttft), ("gaps", gaps), ("e2e", e2e)] {
        of.sort_unstable();
        let at = |share: f64| of.get(((of.len() - 1) as f64 * share) as usize).copied().unwrap_or_default();
        println!("  {name}: n {}, p50 {} us, p99 {} us, max {} us", of.len(), at(0.5), at(0.99), at(1.0));
    }
    Ok(())
}
