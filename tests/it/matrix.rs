//! Every rule against its mutant, and nothing found on healthy servers: the kill matrix, whole.

use difyprobe::suite::{builtin, matrix};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutant_is_killed_by_exactly_the_rules_it_breaks() {
    let suite = builtin::conformance().expect("the built-in scenarios are clean");
    let stop = CancellationToken::new();
    let matrix = matrix::run(suite, 24, &stop, &|_| true, Arc::new(|_| ())).await;
    let bad: Vec<_> = matrix.kills.iter().filter(|k| !k.clean()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(matrix.healthy.iter().all(|h| h.findings.is_empty()), "{:#?}", matrix.healthy);
    assert_eq!(matrix.unproven, [] as [String; 0], "rules without a mutant");
    assert!(matrix.kills.len() >= 196 && matrix.passes());
}
