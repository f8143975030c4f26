//! Speech to text and text to speech.

use serde_json::{Value, json};

use super::answer::Answer;
use super::core::Core;
use super::fault::Fault;
use super::multipart::parts;
use super::refusal::Refusal;
use super::request::Request;

/// What every server takes.
const AUDIO: &[&str] = &["audio/mp3", "audio/m4a", "audio/wav", "audio/amr", "audio/mpga"];
/// What the documentation adds.
const MORE_AUDIO: &[&str] = &["audio/mpeg", "audio/webm", "audio/mp4", "audio/x-m4a"];
const MOST_BYTES: usize = 30 * 1024 * 1024;

impl Core {
    /// `POST /audio-to-text`.
    pub(super) fn audio_to_text(&self, app: usize, request: &Request) -> Result<Answer, Refusal> {
        let named = self.behaviour.version.is_some();
        let form = parts(request);
        let Some(file) = form.iter().find(|part| part.name == "file" && part.file_name.is_some()) else {
            return Err(if named {
                Refusal::form_key_missing()
            } else {
                Refusal::new(400, "no_audio_uploaded", "Please upload your audio.")
            });
        };
        if !self.apps[app].hears() {
            if self.broken(Fault::SpeechWhenDisabled) {
                return Ok(self.json(200, &json!({"text": ""})));
            }
            let code = if named { "invalid_param" } else { "speech_to_text_disabled" };
            return Err(Refusal::new(400, code, "Speech to text is not enabled"));
        }
        let media_type = file.media_type.as_deref().unwrap_or_default();
        if !AUDIO.contains(&media_type) && (named || !MORE_AUDIO.contains(&media_type)) {
            return Err(Refusal::new(415, "unsupported_audio_type", "Audio type not allowed."));
        }
        if file.content.len() > MOST_BYTES {
            return Err(Refusal::new(413, "audio_too_large", "Audio size larger than 30 mb"));
        }
        Ok(self.json(200, &json!({"text": format!("STT:{} bytes", file.content.len())})))
    }

    /// `POST /text-to-audio`.
    pub(super) fn text_to_audio(&self, app: usize, request: &Request) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let said = match text("message_id") {
            Some(id) => match self.state(app).answer_of(id) {
                Some(answer) => answer,
                None if self.behaviour.version.is_some() => return Ok(self.json(200, &Value::Null)),
                None => return Err(Refusal::not_found("Message Not Exists.")),
            },
            None => text("text").map(str::to_owned).ok_or_else(|| Refusal::invalid("Text is required"))?,
        };
        if !self.apps[app].speaks() {
            return Err(Refusal::invalid("TTS is not enabled"));
        }
        let audio: String = (0..3).map(|piece| format!("ID3TTS{piece}:{said}")).collect();
        if self.broken(Fault::VoiceAsJson) {
            return Ok(self.json(200, &json!({"audio": audio})));
        }
        Ok(Answer { status: 200, headers: self.headers("audio/mpeg", true), body: audio.into_bytes() })
    }
}
