//! The server under test and its apps.

use crate::client::Secret;
use crate::model::App;

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
