//! Targets that are not there, are something else, or misbehave: no panic, a bounded end, a report, a useful message.

use crate::cli_support::*;
use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const KEY: &str = "app-TargetKey0123456789abcdef";
static CHUNK: [u8; 65536] = [b'x'; 65536];

/// A server on a free port; every connection has a thread. Gives its address and counts connections.
fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let (handle, count) = (Arc::new(handle), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, SeqCst);
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || handle(stream));
        }
    });
    (address, count)
}

/// Reads one request and gives its request line; `None` when the client is gone.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut got = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Some(at) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&got[..at]).into_owned();
            let length = head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
            if got.len() >= at + 4 + length.unwrap_or(0) {
                return head.lines().next().map(str::to_owned);
            }
        }
        match stream.read(&mut part) {
            Ok(read) if read > 0 => got.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
}

fn reply(stream: &mut TcpStream, status: &str, media: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n");
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// Answers everything alike.
fn always(status: &'static str, media: &'static str, body: &'static str) -> SocketAddr {
    let answers = move |mut stream: TcpStream| {
        while request(&mut stream).is_some() {
            reply(&mut stream, status, media, body);
        }
    };
    serve(answers).0
}

/// Waits until the client closes.
fn linger(stream: &mut TcpStream) {
    let mut part = [0; 4096];
    while matches!(stream.read(&mut part), Ok(read) if read > 0) {}
}

/// A check with a short limit; report files must be written whatever comes.
fn check(place: &Place, base_url: &str) -> Ran {
    let (ran, peak) = place
        .start(&["check", "--quick", "--base-url", base_url, "--api-key", KEY, "--timeout", "1s"])
        .wait_watching_memory();
    assert!(peak < 250, "{peak} MB");
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    for name in ["check.json", "check.html", "check.xml", "check.md"] {
        let path = place.path().join("reports").join(name);
        assert!(std::fs::metadata(&path).is_ok_and(|m| m.len() > 200), "{name}");
    }
    ran
}

/// Nothing could be run: exit 3, and these texts.
#[track_caller]
fn incomplete(base_url: &str, texts: &[&str]) {
    let place = Place::new();
    let ran = check(&place, base_url).exits(3).says(texts).says(&["GET /v1/info", "curl", "INCOMPLETE"]);
    assert!(ran.stderr.starts_with("difyprobe: nothing could be run: GET /v1/info: "), "{}", ran.stderr);
    let report = place.report("check.json");
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"incomplete".into(), &3.into()));
    assert!(report["rules"].as_array().unwrap().iter().all(|r| r["outcome"] == "could-not-run"));
}

#[test]
fn servers_that_are_not_there_are_named() {
    incomplete("http://127.0.0.1:1/v1", &["127.0.0.1:1", "Connection refused", "check the base URL"]);
    incomplete("http://no.such.host.invalid/v1", &["cannot resolve 'no.such.host.invalid'", "check the base URL"]);
}

#[test]
fn a_wrong_key_is_named_by_its_app_and_never_shown() {
    let served = Served::start(&[]);
    incomplete(&served.base_url, &["the key of app `app` is refused (401 unauthorized)", "check the key"]);
}

#[test]
fn something_else_than_a_dify_api_is_told() {
    let page = always("200 OK", "text/html", "<html><body>Welcome to nginx</body></html>");
    let hint = "the base URL ends in the API version";
    incomplete(&format!("http://{page}/v1"), &["not a Dify API (status 200 with text/html)", hint, "Welcome to nginx"]);
    let broken = always("500 Internal Server Error", "text/plain", "oops");
    incomplete(&format!("http://{broken}/v1"), &["status 500 with text/plain", "oops"]);
    let list = always("200 OK", "application/json", "[1]");
    incomplete(&format!("http://{list}/v1"), &["not a Dify API (status 200 with application/json)"]);
}

#[test]
fn silence_and_cut_connections_are_told_apart() {
    let (silent, _) = serve(|mut stream| linger(&mut stream));
    incomplete(&format!("http://{silent}/v1"), &["no complete answer", "1 s", "--timeout"]);
    let (cutting, _) = serve(|mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{");
    });
    incomplete(&format!("http://{cutting}/v1"), &["no complete answer", "200", "! cut after"]);
    let (closing, _) = serve(drop);
    incomplete(&format!("http://{closing}/v1"), &["no complete answer"]);
}

#[test]
fn garbage_and_endless_heads_end_in_a_message() {
    let (garbage, _) = serve(|mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"\x00\xff\x13\x37 not http at all \r\n\r\n");
    });
    incomplete(&format!("http://{garbage}/v1"), &["no complete answer", "HTTP server"]);
    let (endless, _) = serve(|mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ");
        while stream.write_all(&CHUNK).is_ok() {}
    });
    incomplete(&format!("http://{endless}/v1"), &["no complete answer"]);
}

#[test]
fn huge_and_endless_bodies_stay_within_bounds() {
    let (huge, _) = serve(|mut stream| {
        request(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", 50 << 20);
        let _ = stream.write_all(head.as_bytes());
        for _ in 0..(50 << 20) / CHUNK.len() {
            let _ = stream.write_all(&CHUNK);
        }
    });
    incomplete(&format!("http://{huge}/v1"), &["not a Dify API", "the body went on past 16777216 bytes"]);
    let (endless, _) = serve(|mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
        while stream.write_all(&CHUNK).is_ok() {}
    });
    incomplete(&format!("http://{endless}/v1"), &["not a Dify API", "the body went on past 16777216 bytes"]);
}

#[test]
fn a_redirect_is_told_and_the_key_is_not_taken_elsewhere() {
    let (other, visits) = serve(|mut stream| {
        request(&mut stream);
        reply(&mut stream, "200 OK", "application/json", "{}");
    });
    let (redirecting, _) = serve(move |mut stream| {
        while request(&mut stream).is_some() {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: http://{other}/v1/info\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        }
    });
    let target = format!("http://{other}/v1/info");
    incomplete(&format!("http://{redirecting}/v1"), &["redirects to", &target, "are not followed"]);
    assert_eq!(visits.load(SeqCst), 0);
}

#[test]
fn tls_that_does_not_work_is_told_with_its_reason() {
    let (plain, _) = serve(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
        reply(&mut stream, "400 Bad Request", "text/plain", "this is plain HTTP");
    });
    incomplete(&format!("https://{plain}/v1"), &["the TLS handshake failed", "should start with http://"]);
    let (mute, _) = serve(|mut stream| linger(&mut stream));
    incomplete(&format!("https://{mute}/v1"), &["the connection was not ready within 1 s", "check the scheme"]);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|c| c.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .map(Arc::new)
        .expect("a TLS configuration");
    let (secure, _) = serve(move |mut stream| {
        let mut session = tokio_rustls::rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        while session.is_handshaking() && session.complete_io(&mut stream).is_ok() {}
    });
    let url = format!("https://localhost:{}/v1", secure.port());
    incomplete(&url, &["the TLS handshake failed", "certificate", "SSL_CERT_FILE"]);
}

/// A server that is found to be a chat app, and then does this with every POST.
fn bad_posts(post: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let handle = move |mut stream: TcpStream| {
        while let Some(line) = request(&mut stream) {
            let json = "application/json";
            match line.split(' ').nth(1).unwrap_or("") {
                _ if line.starts_with("POST") => return post(&mut stream),
                "/v1/info" => {
                    reply(&mut stream, "200 OK", json, r#"{"name":"n","description":"","tags":[],"mode":"chat"}"#)
                }
                "/v1/parameters" => reply(&mut stream, "200 OK", json, r#"{"user_input_form":[]}"#),
                _ => reply(&mut stream, "404 Not Found", json, r#"{"code":"not_found","message":"no","status":404}"#),
            }
        }
    };
    serve(handle).0
}

/// Turns that come to nothing are never green.
#[track_caller]
fn bad_turns(server: SocketAddr, texts: &[&str]) {
    let place = Place::new();
    let (url, one) = (format!("http://{server}/v1"), scenario("chat-stream"));
    let flags = ["check", &one, "--base-url", &url, "--api-key", KEY, "--timeout", "500ms"];
    let (ran, peak) = place.start(&flags).wait_watching_memory();
    assert!(matches!(ran.code, 1 | 3), "{} {}", ran.stdout, ran.stderr);
    assert!(peak < 250 && ran.took < Duration::from_secs(6), "{peak} MB in {:?}", ran.took);
    let ran = ran.says(texts);
    assert_eq!(place.report("check.json")["exit_code"], ran.code);
    let load = place.run(&[&["load", "--iterations", "1"], &flags[1..]].concat());
    assert!(matches!(load.code, 1 | 3), "{} {}", load.stdout, load.stderr);
    assert_eq!(place.report("chat.stream/report.json")["exit_code"], load.code);
}

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

#[test]
fn turns_that_hang_or_are_cut_are_findings() {
    bad_turns(bad_posts(linger), &["chat.stream", "the exchange took longer than 500 ms"]);
    bad_turns(bad_posts(|_| {}), &["chat.stream", "closed"]);
    bad_turns(
        bad_posts(|stream| {
            let _ = stream.write_all(STREAM);
            let _ = stream.write_all(b"data: {\"event\":\"message\",\"ans");
        }),
        &["sse.terminal.exactly-one"],
    );
}

#[test]
fn turns_that_never_end_stay_within_bounds() {
    let flood = |stream: &mut TcpStream| {
        let event = format!("data: {{\"event\":\"message\",\"answer\":\"{}\"}}\n\n", "x".repeat(2000));
        let events = event.repeat(30);
        let _ = stream.write_all(STREAM);
        while stream.write_all(events.as_bytes()).is_ok() {}
    };
    bad_turns(bad_posts(flood), &["the body went on past 16777216 bytes"]);
    let line = |stream: &mut TcpStream| {
        let _ = stream.write_all(STREAM);
        let _ = stream.write_all(b"data: ");
        while stream.write_all(&CHUNK).is_ok() {}
    };
    bad_turns(bad_posts(line), &["chat.stream"]);
}

#[test]
fn many_floods_together_stays_within_bounds() {
    let place = Place::new();
    let server = bad_posts(|stream| {
        let _ = stream.write_all(STREAM);
        while stream.write_all(&CHUNK).is_ok() {}
    });
    let url = format!("http://{server}/v1");
    let files = ["chat-parallel", "chat-isolation", "chat-inputs", "chat-conversation-ids"].map(scenario);
    let args = ["check", "-q", "--base-url", &url, "--api-key", KEY, "--timeout", "200ms"];
    let (ran, peak) = place.start(&with(&args, &files)).wait_watching_memory();
    assert!(matches!(ran.code, 1 | 3), "{} {}", ran.stdout, ran.stderr);
    assert!(peak < 800, "{peak} MB");
}
