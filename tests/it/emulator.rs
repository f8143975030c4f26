//! The emulator over HTTP, driven by a client that knows nothing of it.

use difyprobe::emulator::{Config, start};
use serde_json::{Value, json};

#[tokio::test]
async fn a_turn_is_answered() {
    let server = start(Config::default()).await.unwrap();
    let key = &server.keys()[0].1;
    let body = json!({"inputs": {"name": "Alice"}, "query": "hello", "response_mode": "streaming", "user": "u1"});
    let client = reqwest::Client::new();
    let text = client
        .post(format!("{}/chat-messages", server.base_url()))
        .bearer_auth(key)
        .json(&body)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    println!("{text}");
    let conv: Value = client
        .get(format!("{}/conversations?user=u1", server.base_url()))
        .bearer_auth(key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    println!("{conv}");
    assert!(text.contains("message_end"));
    server.stop().await;
}
