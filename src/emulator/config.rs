//! What a caller chooses: profile, apps, pace, address, mutant.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

use super::custom::CustomApp;
use super::mutants::Mutant;

/// Everything that can be set before the emulator starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose behaviour is imitated.
    pub profile: Profile,
    /// The apps served, one key each; the same kind twice is served once.
    pub apps: Vec<AppKind>,
    /// Apps their users described, served after the others.
    pub custom: Vec<CustomApp>,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// How fast the model speaks when the query does not say otherwise.
    pub pace: Pace,
    /// Time between two pings of a stream, counted from its start.
    pub ping_every: Duration,
    /// Seed of keys and ids.
    pub seed: u64,
    /// Chat apps speak: `/parameters` announces automatic playback and streams carry `tts_message` events.
    pub tts_autoplay: bool,
    /// Generations of one end user that an app carries out side by side; further ones are refused. `None`: no limit.
    pub turns_at_once: Option<usize>,
    /// The one promise to break, if any. A mutant may bring its own profile and switches.
    pub mutant: Option<&'static Mutant>,
}

impl Default for Config {
    /// The documented profile with one app of every mode on a free loopback port, a few milliseconds of model
    /// latency and a fresh seed.
    fn default() -> Self {
        Self {
            profile: Profile::Documented,
            apps: AppKind::STANDARD.to_vec(),
            custom: Vec::new(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            pace: Pace::default(),
            ping_every: Duration::from_secs(10),
            seed: fastrand::u64(..),
            tts_autoplay: false,
            turns_at_once: None,
            mutant: None,
        }
    }
}

/// How fast the echo model speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time before the first chunk.
    pub first_chunk: Duration,
    /// Time between two chunks.
    pub gap: Duration,
    /// Characters per chunk; long answers use larger chunks so that a stream has at most 200 of them.
    pub chunk_chars: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first_chunk: Duration::from_millis(3), gap: Duration::from_millis(2), chunk_chars: 16 }
    }
}

/// A name given from outside that names nothing here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown {what} `{name}`; known: {known}")]
pub struct UnknownName {
    /// What was asked for, e.g. "profile".
    pub what: &'static str,
    /// The name as given.
    pub name: String,
    /// The known names, comma separated.
    pub known: String,
}

/// Whose behaviour the emulator imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// What the documentation of the service API promises.
    Documented,
    /// Dify 0.15.3 as captured.
    Dify015,
    /// Dify 1.12.1 as captured.
    Dify112,
    /// Dify 1.13.3 as its issues and pull requests tell; nothing was captured.
    Dify113,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Profile; 4] = [Profile::Documented, Profile::Dify015, Profile::Dify112, Profile::Dify113];

    /// The name used on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Profile::Documented => "documented",
            Profile::Dify015 => "dify-0.15",
            Profile::Dify112 => "dify-1.12",
            Profile::Dify113 => "dify-1.13",
        }
    }
}

impl FromStr for Profile {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|p| p.id() == name).ok_or_else(|| UnknownName {
            what: "profile",
            name: name.to_owned(),
            known: Self::ALL.map(Profile::id).join(", "),
        })
    }
}

/// The modes of apps the emulator serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppMode {
    /// Conversations with a model.
    Chat,
    /// One prompt, one text.
    Completion,
    /// Conversations with a model that uses tools.
    AgentChat,
    /// The New Agent of the documentation.
    Agent,
    /// Conversations whose turns run a workflow.
    AdvancedChat,
    /// A workflow without conversation.
    Workflow,
}

impl AppMode {
    /// The mode as `/info` and blocking answers name it.
    pub fn wire(self) -> &'static str {
        match self {
            AppMode::Chat => "chat",
            AppMode::Completion => "completion",
            AppMode::AgentChat => "agent-chat",
            AppMode::Agent => "agent",
            AppMode::AdvancedChat => "advanced-chat",
            AppMode::Workflow => "workflow",
        }
    }

    /// Whether `POST /chat-messages` serves it.
    pub fn converses(self) -> bool {
        matches!(self, AppMode::Chat | AppMode::AgentChat | AppMode::Agent | AppMode::AdvancedChat)
    }

    /// Whether its turns are written as thoughts and `agent_message` events.
    pub fn thinks(self) -> bool {
        matches!(self, AppMode::AgentChat | AppMode::Agent)
    }

    /// Whether its turns run a workflow.
    pub fn runs(self) -> bool {
        matches!(self, AppMode::AdvancedChat | AppMode::Workflow)
    }
}

/// An app that can be served: a mode and a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppKind {
    /// Chat with a required `name`, an optional `lang` (en, fr) and an optional number `age`.
    Chat,
    /// Chat without variables and without any extra feature.
    ChatPlain,
    /// Completion with an optional `query` and an optional `tone`; nothing is required.
    Completion,
    /// Completion with a required `query` and an optional `tone`.
    CompletionQuery,
    /// Completion with an optional `tone` only; the query is the top-level one.
    CompletionNoQuery,
    /// Agent with a required `name` and the tool `current_time`; it streams only.
    AgentChat,
    /// New Agent without variables; it streams only. Served by the documented profile alone.
    Agent,
    /// Chatflow with a required `name`, an optional `extra` and the conversation variables `memo` and `counter`.
    AdvancedChat,
    /// Workflow of a template and a code node, with a required `name` and an optional number `count`.
    Workflow,
    /// Workflow of a model node, with a required paragraph `q`.
    WorkflowLlm,
}

impl AppKind {
    /// Every kind.
    pub const ALL: [AppKind; 10] = [
        AppKind::Chat,
        AppKind::ChatPlain,
        AppKind::Completion,
        AppKind::CompletionQuery,
        AppKind::CompletionNoQuery,
        AppKind::AgentChat,
        AppKind::Agent,
        AppKind::AdvancedChat,
        AppKind::Workflow,
        AppKind::WorkflowLlm,
    ];

    /// What is served when nothing else is asked for: one app of every mode, and both kinds of workflow.
    pub const STANDARD: [AppKind; 7] = [
        AppKind::Chat,
        AppKind::Completion,
        AppKind::AgentChat,
        AppKind::Agent,
        AppKind::AdvancedChat,
        AppKind::Workflow,
        AppKind::WorkflowLlm,
    ];

    /// The name under which [`super::Running::keys`] lists the key.
    pub fn id(self) -> &'static str {
        match self {
            AppKind::Chat => "chat",
            AppKind::ChatPlain => "chat-plain",
            AppKind::Completion => "completion",
            AppKind::CompletionQuery => "completion-query",
            AppKind::CompletionNoQuery => "completion-noquery",
            AppKind::AgentChat => "agent-chat",
            AppKind::Agent => "agent",
            AppKind::AdvancedChat => "advanced-chat",
            AppKind::Workflow => "workflow",
            AppKind::WorkflowLlm => "workflow-llm",
        }
    }

    /// The mode of the app.
    pub fn mode(self) -> AppMode {
        match self {
            AppKind::Chat | AppKind::ChatPlain => AppMode::Chat,
            AppKind::Completion | AppKind::CompletionQuery | AppKind::CompletionNoQuery => AppMode::Completion,
            AppKind::AgentChat => AppMode::AgentChat,
            AppKind::Agent => AppMode::Agent,
            AppKind::AdvancedChat => AppMode::AdvancedChat,
            AppKind::Workflow | AppKind::WorkflowLlm => AppMode::Workflow,
        }
    }
}

impl FromStr for AppKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|kind| kind.id() == name).ok_or_else(|| UnknownName {
            what: "app",
            name: name.to_owned(),
            known: Self::ALL.map(AppKind::id).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_ids_parse_back_to_their_profile() {
        for profile in Profile::ALL {
            assert_eq!(profile.id().parse(), Ok(profile));
        }
    }

    #[test]
    fn an_unknown_profile_is_refused_with_the_known_names() {
        let refused = "dify-9".parse::<Profile>().unwrap_err();
        assert_eq!(refused.to_string(), "unknown profile `dify-9`; known: documented, dify-0.15, dify-1.12, dify-1.13");
    }

    #[test]
    fn app_ids_parse_back_to_their_kind() {
        for kind in AppKind::ALL {
            assert_eq!(kind.id().parse(), Ok(kind));
        }
    }
}
