//! `serve --app FILE`: an app file becomes an app of the emulator.

use super::exit::Failure;
use super::output::chain;
use crate::emulator::{AppMode, CustomAnswer, CustomApp, Field, Variable, When};
use crate::scenario::app_file::{AppAnswer, AppFile, AppInput, parse_app};
use crate::scenario::render_all;
use crate::store;
use std::path::Path;

/// Characters of a text input whose file does not say.
const LINE: u64 = 48;

/// Whether `--app` names a file rather than a mode.
pub fn is_file(text: &str) -> bool {
    text.contains(['/', '\\']) || text.ends_with(".yaml") || text.ends_with(".yml")
}

/// Reads an app file; problems are shown with their places.
pub fn read(path: &str) -> Result<CustomApp, Failure> {
    let bytes = store::read_bytes(Path::new(path)).map_err(|e| Failure::usage(format!("--app: {}", chain(&e))))?;
    let app = parse_app(path, &bytes).map_err(|problems| {
        let shown = render_all(&problems, &String::from_utf8_lossy(&bytes), false);
        Failure::usage(format!("--app: the file of the app has problems\n\n{shown}"))
    })?;
    Ok(served(app))
}

fn served(app: AppFile) -> CustomApp {
    CustomApp {
        mode: mode(&app.mode),
        form: app.inputs.into_iter().map(variable).collect(),
        name: app.name,
        opening: app.opening,
        questions: app.questions,
        follow_ups: app.follow_ups,
        answers: app.answers.into_iter().map(answer).collect(),
    }
}

/// The words are those that the reader admits.
fn mode(word: &str) -> AppMode {
    match word {
        "completion" => AppMode::Completion,
        "agent-chat" => AppMode::AgentChat,
        "advanced-chat" => AppMode::AdvancedChat,
        "workflow" => AppMode::Workflow,
        _ => AppMode::Chat,
    }
}

fn variable(input: AppInput) -> Variable {
    let field = match input.kind.as_str() {
        "paragraph" => Field::Paragraph,
        "select" => Field::Select(input.options),
        "number" => Field::Number,
        _ => Field::Line(usize::try_from(input.max_length.unwrap_or(LINE)).unwrap_or(usize::MAX)),
    };
    Variable { name: input.variable, label: input.label, required: input.required, field, default: input.default }
}

fn answer(answer: AppAnswer) -> CustomAnswer {
    CustomAnswer {
        when: When { contains: answer.contains, turn: answer.turn },
        say: answer.say,
        first_chunk: answer.first_chunk,
        gap: answer.gap,
        chunks: answer.chunks,
        fail: answer.fail,
    }
}
