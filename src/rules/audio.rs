//! Area `audio`: speech to text and text to speech.

use super::notes::Notes;
use super::offered::{enabled, off, provider_failed};
use super::rule::{ANY, Judge, Load, Rule};
use super::run::Run;
use crate::model::{App, Endpoint, Level};
use serde_json::Value;

/// Most bytes of audio. Source: Dify source, `audio_service.py`.
const MOST_AUDIO: u64 = 30 << 20;
/// Types that every measured version takes. Others differ: 1.12.1 refuses audio/mpeg.
const SAFE_AUDIO: &[&str] = &["audio/mp3", "audio/wav"];

/// Source: OpenAPI `POST /audio-to-text`; Dify source `audio_service.py`.
fn speech_to_text(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::AudioToText).filter(|s| s.has_key() && s.exchange.reply.is_some()) {
        let files: Vec<_> = s.sent.form.as_ref().map(|f| f.files().collect()).unwrap_or_default();
        let ([file], Some(on)) = (files.as_slice(), enabled(run, app, "speech_to_text")) else { continue };
        let mime = file.mime.as_deref().unwrap_or("");
        if !on {
            n.expect(s.is(400), s, "disabled", "status 400 where speech to text is off", || s.outcome_text());
            let code = matches!(s.error_code(), Some("speech_to_text_disabled" | "invalid_param"));
            n.advise(code, s, "disabled-code", "error code `speech_to_text_disabled`", || s.outcome_text());
        } else if !mime.starts_with("audio/") && !mime.starts_with("video/") {
            let refused = s.is(415) && s.error_code() == Some("unsupported_audio_type");
            n.expect(refused, s, "mime", "status 415 `unsupported_audio_type`", || s.outcome_text());
        } else if SAFE_AUDIO.contains(&mime) && file.size > MOST_AUDIO {
            let code = s.json.is_none() || s.error_code() == Some("audio_too_large");
            n.expect(s.is(413) && code, s, "too-large", "status 413 `audio_too_large`", || s.outcome_text());
        } else if SAFE_AUDIO.contains(&mime) && !provider_failed(s) {
            let text = s.is(200) && s.member("text").is_some_and(Value::is_string);
            n.expect(text, s, "text", "status 200 with a string `text`", || s.outcome_text());
        }
    }
}

/// Source: OpenAPI `POST /text-to-audio`.
fn text_to_speech(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::TextToAudio).filter(|s| s.has_key() && s.exchange.reply.is_some()) {
        let text = |name: &str| s.sent.member(name).and_then(Value::as_str).unwrap_or("");
        // messages of others and voices have answers of their own
        let plain = s.sent.body.is_some_and(|b| !b.contains_key("message_id") && !b.contains_key("voice"));
        let (Some(on), true) = (enabled(run, app, "text_to_speech"), plain) else { continue };
        if text("text").is_empty() {
            n.expect(s.is(400), s, "no-text", "status 400 without a text", || s.outcome_text());
        } else if !on {
            let refused = s.is(400) && s.error_code() == Some("invalid_param");
            n.expect(refused, s, "disabled", "status 400 `invalid_param`", || s.outcome_text());
        } else if !provider_failed(s) {
            let media = s.media_type();
            let bytes = s.exchange.reply.as_ref().map_or(0, |r| r.body_bytes);
            let audio = s.is(200) && media.starts_with("audio/") && bytes > 0;
            n.expect(audio, s, "audio", "status 200 with audio", || format!("{}, {bytes} bytes", s.outcome_text()));
        }
    }
}

fn model_behind(run: &Run, app: &App) -> Option<String> {
    let failed = run.on(app).find(|s| s.endpoint() == Endpoint::AudioToText && provider_failed(s));
    failed
        .map(|s| format!("the model for speech failed ({})", s.outcome_text()))
        .or_else(|| off(run, app, "speech_to_text"))
}

fn voice_behind(run: &Run, app: &App) -> Option<String> {
    let failed = run.on(app).find(|s| s.endpoint() == Endpoint::TextToAudio && provider_failed(s));
    failed
        .map(|s| format!("the model for speech failed ({})", s.outcome_text()))
        .or_else(|| off(run, app, "text_to_speech"))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "audio.stt",
        area: "audio",
        level: Level::Should,
        title: "Speech to text contract",
        statement: "Disabled: 400; wrong MIME type: 415 unsupported_audio_type; more than 30 MB: 413 audio_too_large; else {\"text\": string}.",
        source: "spec; src audio.py, audio_service.py",
        modes: ANY,
        tested: "By speech_to_text.enabled of GET /parameters: a tiny audio/mp3 and a text/plain; the size limit is judged where a recording exceeds it, the suite sends no such file.",
        versions: Some(
            "1.12.1 takes audio/mp3 and audio/wav but not audio/mpeg or audio/webm; disabled is invalid_param until 1.12.1, speech_to_text_disabled in the documentation",
        ),
        load: Load::No,
        judge: Judge::Run(speech_to_text),
        absent: model_behind,
    },
    Rule {
        id: "audio.tts",
        area: "audio",
        level: Level::Should,
        title: "Text to speech contract",
        statement: "Enabled: 200 audio/* with bytes; disabled or without text: 400 invalid_param.",
        source: "spec; src",
        modes: ANY,
        tested: "By text_to_speech.enabled of GET /parameters: a short text, and no text.",
        versions: Some(
            "0.15.3 and 1.12.1 answer 200 null for an unknown message_id; 1.12.1 speaks where it is disabled if a voice is named",
        ),
        load: Load::No,
        judge: Judge::Run(text_to_speech),
        absent: voice_behind,
    },
];
