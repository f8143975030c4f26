//! Files: transcripts saved and read back, captured exchanges, outputs that are never half written.

use difyprobe::model::{AppMode, Body, Credential, FaultClass, Transcript};
use difyprobe::store::{OutputFile, StoreError, load, load_transcripts, read_text, save_transcript, write_atomic};
use std::fs;
use std::path::{Path, PathBuf};

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn load_captures() -> difyprobe::store::Loaded {
    load(&[captures()]).expect("tests/captures is part of the repository")
}

fn exchange<'t>(all: &'t [Transcript], file: &str) -> &'t difyprobe::model::Exchange {
    let mut exchanges = all.iter().flat_map(|t| &t.exchanges);
    exchanges.find(|e| e.origin.file.ends_with(file)).unwrap_or_else(|| panic!("no exchange of {file}"))
}

#[test]
fn captures_become_one_transcript_per_server_version_in_order_of_sending() {
    let loaded = load_captures();
    let versions: Vec<_> = loaded.transcripts.iter().map(|t| t.apps[0].server_version.as_deref()).collect();
    assert_eq!(versions, [Some("0.15.3"), Some("1.12.1")]);
    let total: usize = loaded.transcripts.iter().map(|t| t.exchanges.len()).sum();
    assert!(total >= 20, "only {total} captures under tests/captures");
    for transcript in &loaded.transcripts {
        assert!(transcript.exchanges.is_sorted_by_key(|e| e.timing.sent_us));
        assert!(transcript.exchanges.iter().map(|e| e.id).eq(1..=transcript.exchanges.len() as u64));
        assert_eq!(transcript.exchanges[0].timing.sent_us, 0);
        for exchange in &transcript.exchanges {
            let app = transcript.app(&exchange.app).expect("every app is listed");
            assert!(app.mode.is_some(), "{}", exchange.app);
            let reply = exchange.reply.as_ref().expect("every capture has a reply");
            assert!(!reply.truncated() && reply.reads.is_sorted_by_key(|r| r.upto), "{}", exchange.origin.file);
            assert!(exchange.timing.head_us.unwrap() <= exchange.timing.end_us + 100, "{}", exchange.origin.file);
        }
    }
}

#[test]
fn captured_streams_have_a_frame_per_read() {
    let loaded = load_captures();
    let streams: Vec<_> =
        loaded.transcripts.iter().flat_map(|t| &t.exchanges).filter_map(|e| e.reply.as_ref()).collect();
    let streams: Vec<_> = streams.into_iter().filter(|r| r.media_type() == "text/event-stream").collect();
    assert!(streams.len() >= 20, "only {} streams", streams.len());
    for reply in streams {
        let frames = difyprobe::sse::decode(&reply.body.bytes(), &reply.reads);
        let times: Vec<u64> = frames.iter().map(|f| f.at_us).collect();
        assert_eq!(times, reply.reads.iter().map(|r| r.at_us).collect::<Vec<_>>());
    }
}

/// A capture as the real ones are laid out.
fn capture(app: &str, captured_at: &str, elapsed_ms: f64) -> serde_json::Value {
    serde_json::json!({
        "app": app, "app_mode": "chatflow", "name": "a-name", "note": "n", "captured_at": captured_at, "server": "s",
        "request": {
            "method": "POST", "path": "/v1/chat-messages?x=1", "auth": format!("Bearer <key of app '{app}'>"),
            "headers": [["Content-Type", "application/json"]], "body": {"a": 1}, "body_raw": "{\"a\": 1}"
        },
        "response": {
            "http_version": "HTTP/1.1", "status": 200, "reason": "OK", "headers": [["X-Version", "1.2.3"]],
            "body_encoding": "utf-8", "body": "data: 1\n\ndata: 2\n\n", "body_bytes": 18,
            "ttfb_ms": 1.5, "elapsed_ms": elapsed_ms, "transport_error": null
        },
        "sse": {"event_arrival_ms": [1.5, 3.0], "http_chunks": [[1.5, 9], [3.0, 9]]}
    })
}

fn put(dir: &Path, name: &str, value: &serde_json::Value) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, value.to_string()).unwrap();
    path
}

#[test]
fn a_capture_is_read_field_by_field() {
    let dir = tempfile::tempdir().unwrap();
    let late = put(dir.path(), "a.json", &capture("flow", "2026-11-23T08:00:02.000000+00:00", 500.0));
    let mut early = capture("flow", "2026-11-23T08:00:03+00:00", 2000.25);
    early["request"]["auth"] = "raw: bearer app-***".into();
    early["response"]["transport_error"] = "client closed the connection on purpose".into();
    let early = put(dir.path(), "b.json", &early);
    let mut picture = capture("other", "2026-11-23T09:00:00+01:00", 1.0);
    picture["response"]["body_encoding"] = "hex".into();
    picture["response"]["body"] = "89ff".into();
    picture["sse"] = serde_json::Value::Null;
    picture["request"]["auth"] = serde_json::Value::Null;
    let picture = put(dir.path(), "c.json", &picture);

    let all = load_transcripts(&[late, early, picture]).unwrap();
    assert_eq!(all.len(), 1);
    let transcript = &all[0];
    let order: Vec<_> = transcript.exchanges.iter().map(|e| (e.id, e.app.as_str(), e.timing.sent_us)).collect();
    assert_eq!(order, [(1, "other", 0), (2, "flow", 1_000_750), (3, "flow", 1_501_000)], "by start, not by end");
    assert_eq!(transcript.app("flow").unwrap().mode, Some(AppMode::AdvancedChat));
    assert_eq!(transcript.app("flow").unwrap().server_version.as_deref(), Some("1.2.3"));

    let [picture, early, late] = &transcript.exchanges[..] else { panic!("three exchanges") };
    assert_eq!(picture.request.credential(), Credential::Missing);
    assert_eq!(picture.reply.as_ref().unwrap().body.bytes().as_ref(), [0x89, 0xff]);
    assert_eq!(early.fault.as_ref().unwrap().class, FaultClass::Cancelled);
    assert_eq!(early.request.header("authorization"), Some("bearer [key:flow]"));
    assert_eq!(late.request.credential(), Credential::Key("flow".into()));
    assert_eq!((late.request.target.as_str(), late.origin.step.as_str()), ("/v1/chat-messages?x=1", "a-name"));
    assert_eq!(late.request.body, Some(Body::Text("{\"a\": 1}".into())));
    assert_eq!((late.timing.head_us, late.timing.end_us), (Some(1500), 500_000));
    let reads: Vec<_> = late.reply.as_ref().unwrap().reads.iter().map(|r| (r.at_us, r.upto)).collect();
    assert_eq!(reads, [(1500, 9), (3000, 18)]);
}

#[test]
fn a_transcript_is_the_same_after_saving_and_loading() {
    let dir = tempfile::tempdir().unwrap();
    let original = &load_captures().transcripts[1];
    let deep = dir.path().join("new/dir");
    let path = save_transcript(&deep, original).unwrap();
    let again = save_transcript(&deep, original).unwrap();
    assert_ne!(path, again, "nothing is overwritten");
    let loaded = load_transcripts(std::slice::from_ref(&path)).unwrap();
    assert_eq!(serde_json::to_value(&loaded[0]).unwrap(), serde_json::to_value(original).unwrap());
    let lines = fs::read_to_string(&path).unwrap().lines().filter(|l| l.starts_with("{\"id\":")).count();
    assert_eq!(lines, original.exchanges.len(), "one exchange per line");
    assert_eq!(load_transcripts(&[deep.clone(), path]).unwrap().len(), 2, "a file found twice is loaded once");
    let left: Vec<_> = fs::read_dir(&deep).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no temporary files: {left:?}");
}

#[test]
fn other_json_is_refused_by_name_and_skipped_in_directories() {
    let dir = tempfile::tempdir().unwrap();
    let array = put(dir.path(), "x/array.json", &serde_json::json!([1, 2]));
    let summary = put(dir.path(), "x/summary.json", &serde_json::json!({"rows": [], "wall_ms": 1, "what": ""}));
    let report = put(dir.path(), "x/report.json", &serde_json::json!({"schema": "difyprobe.report/1"}));
    for (path, wanted) in [(&array, "a JSON array"), (&summary, "rows, wall_ms, what"), (&report, "difyprobe.report/1")]
    {
        let error = load_transcripts(std::slice::from_ref(path)).unwrap_err();
        assert!(matches!(error, StoreError::Layout { .. }));
        let text = error.to_string();
        assert!(text.contains(wanted) && text.contains(path.to_str().unwrap()) && text.contains("expected"), "{text}");
    }
    let error = load(&[dir.path().to_owned()]).unwrap_err();
    assert!(matches!(error, StoreError::Nothing { skipped: 3, .. }), "{error}");
    put(dir.path(), "capture.json", &capture("a", "2026-11-23T08:00:02+00:00", 1.0));
    fs::write(dir.path().join("notes.md"), "no JSON").unwrap();
    let loaded = load(&[dir.path().to_owned()]).unwrap();
    assert_eq!(loaded.transcripts.len(), 1);
    assert_eq!(loaded.skipped.iter().map(|s| &s.path).collect::<Vec<_>>(), [&array, &report, &summary]);
    let real: Vec<_> =
        load_captures().skipped.into_iter().filter(|s| !s.path.starts_with(captures().join("load"))).collect();
    assert_eq!(real, [], "only the summaries of load are no captures");
}

#[test]
fn broken_files_are_errors_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let error = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let text = load(std::slice::from_ref(&path)).unwrap_err().to_string();
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        text
    };
    assert!(error("cut.json", b"{\"schema\": \"difyprobe.tr").contains("line 1"));
    assert!(error("latin.json", b"{\"a\": \"\xe9\"}").contains("byte 7"));
    assert!(error("v2.json", b"{\"schema\": \"difyprobe.transcript/2\"}").contains("difyprobe.transcript/2"));
    assert!(error("less.json", b"{\"schema\": \"difyprobe.transcript/1\"}").contains("base_url"));
    let wrong = capture("a", "yesterday", 1.0);
    assert!(error("when.json", wrong.to_string().as_bytes()).contains("captured_at"));
    let mut twice = Transcript::new("http://h/v1", 0);
    let one = exchange(&load_captures().transcripts, ".json").clone();
    twice.exchanges = vec![one.clone(), one];
    assert!(error("twice.json", &serde_json::to_vec(&twice).unwrap()).contains("occurs twice"));
    assert!(load(&[dir.path().join("none.json")]).unwrap_err().to_string().contains("none.json"));
    assert!(load(&[dir.path().to_owned()]).is_err(), "nothing broken is skipped in a directory");
}

#[test]
fn an_output_is_checked_early_and_written_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/report.json");
    write_atomic(&path, b"old").unwrap();
    let output = OutputFile::open_early(&path).unwrap();
    assert_eq!(read_text(&path).unwrap(), "old", "nothing changes before the end");
    output.write(b"\xEF\xBB\xBFnew").unwrap();
    assert_eq!(read_text(&path).unwrap(), "new", "a mark is dropped");
    let failing = OutputFile::open_early(&path).unwrap().write_with(|out| {
        out.write_all(b"half")?;
        Err(std::io::Error::other("no more"))
    });
    assert!(failing.unwrap_err().to_string().contains("no more"));
    drop(OutputFile::open_early(&dir.path().join("deep/never.json")).unwrap());
    let left: Vec<_> = fs::read_dir(dir.path().join("deep")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!((left, read_text(&path).unwrap().as_str()), (vec!["report.json".into()], "new"));

    for bad in [dir.path().to_owned(), path.join("below-a-file.json"), PathBuf::from("/")] {
        let error = OutputFile::open_early(&bad).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(bad.to_str().unwrap()), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_a_device_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target.txt"), dir.path().join("link.txt"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write_atomic(&link, b"new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read_text(&target).unwrap(), "new");
    write_atomic(Path::new("/dev/null"), b"gone").unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}
