//! The server under test and its apps.

use crate::client::Secret;
use crate::model::{App, AppMode};

/// A server and the apps that discovery found on it.
#[derive(Clone)]
pub struct Target {
    /// Base URL that ends in the API version, without a final slash, e.g. `http://127.0.0.1:5001/v1`.
    pub base_url: String,
    /// The apps, in the order they were given; labels are unique.
    pub apps: Vec<AppTarget>,
}

/// One app and the key that opens it.
#[derive(Clone)]
pub struct AppTarget {
    /// What discovery found out.
    pub app: App,
    /// The API key; never printed.
    pub key: String,
}

impl Target {
    /// Key of another app: one of the same kind where there is one, so that the operations of an app are there for it too.
    pub fn other_key(&self, app: &AppTarget) -> Option<&str> {
        let rank = |other: &&AppTarget| match (app.app.mode, other.app.mode) {
            (Some(AppMode::Workflow | AppMode::AdvancedChat), Some(AppMode::Workflow)) => 0,
            (own, mode) if own == mode => 1,
            (Some(own), Some(mode)) if own.is_chat() && mode.is_chat() => 2,
            _ => 3,
        };
        let others = self.apps.iter().filter(|other| other.app.label != app.app.label);
        others.min_by_key(rank).map(|other| other.key.as_str())
    }

    /// The keys, for the client to redact.
    pub fn secrets(&self) -> Vec<Secret> {
        self.apps.iter().map(|a| Secret { label: a.app.label.clone(), key: a.key.clone() }).collect()
    }
}

impl std::fmt::Debug for AppTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppTarget").field("app", &self.app).finish_non_exhaustive()
    }
}
