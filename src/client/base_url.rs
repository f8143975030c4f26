//! The base URL of a target, as typed by a person.

use hyper::Uri;

/// A checked base URL: `http` or `https`, a host, no query, no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    path_at: usize,
}

/// Why a text is no base URL. The texts name the remedy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BaseUrlError {
    /// Nothing was given.
    #[error("the base URL is empty; give the API's address, e.g. https://dify.example/v1")]
    Empty,
    /// No scheme.
    #[error("base URL '{0}' has no scheme; write http://{0} or https://{0}")]
    NoScheme(String),
    /// A scheme that is not HTTP.
    #[error("base URL '{0}' has the scheme '{1}'; only http and https are supported")]
    Scheme(String, String),
    /// No host.
    #[error("base URL '{0}' names no host; write e.g. https://dify.example/v1")]
    NoHost(String),
    /// Credentials in front of the host.
    #[error("base URL of host '{0}' has credentials before the host; remove them and pass the key with --api-key")]
    Credentials(String),
    /// A query or a fragment.
    #[error("base URL '{0}' has a query or a fragment; remove everything from '?' or '#' on")]
    Query(String),
    /// Not a URL.
    #[error("'{0}' is not a URL ({1}); write e.g. https://dify.example/v1")]
    Malformed(String, String),
}

/// Reads a base URL. A trailing slash is dropped.
///
/// # Errors
/// [`BaseUrlError`], with the remedy in its text.
pub fn parse_base_url(text: &str) -> Result<BaseUrl, BaseUrlError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BaseUrlError::Empty);
    }
    let owned = || text.to_owned();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(BaseUrlError::NoScheme(owned()));
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(BaseUrlError::Scheme(owned(), scheme));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if let Some((_, host)) = authority.rsplit_once('@') {
        return Err(BaseUrlError::Credentials(host.to_owned()));
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(BaseUrlError::NoHost(owned()));
    }
    if rest.contains(['?', '#']) {
        return Err(BaseUrlError::Query(owned()));
    }
    let malformed = |why: String| BaseUrlError::Malformed(owned(), why);
    let uri: Uri = text.parse().map_err(|e: hyper::http::uri::InvalidUri| malformed(e.to_string()))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(BaseUrlError::NoHost(owned()));
    }
    if authority_port(authority).is_some_and(|p| p.parse::<u16>().is_err()) {
        return Err(malformed("the port is not a number up to 65535".to_owned()));
    }
    let path = uri.path().trim_end_matches('/');
    let origin = format!("{scheme}://{authority}");
    Ok(BaseUrl { text: format!("{origin}{path}"), path_at: origin.len() })
}

/// The text after the host's colon, if there is one.
fn authority_port(authority: &str) -> Option<&str> {
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    after_host.rsplit_once(':').map(|(_, port)| port)
}

impl BaseUrl {
    /// The URL without a trailing slash, e.g. `https://dify.example/v1`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its path without a trailing slash, e.g. `/v1`; empty at the root.
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or("")
    }

    /// Its scheme and authority, e.g. `https://dify.example`.
    pub fn origin(&self) -> &str {
        self.text.get(..self.path_at).unwrap_or("")
    }

    /// The absolute URL of a path (and query) below this base, e.g. of `/messages?user=a`.
    pub fn join(&self, path_and_query: &str) -> String {
        let slash = if path_and_query.starts_with('/') || path_and_query.is_empty() { "" } else { "/" };
        format!("{}{slash}{path_and_query}", self.text)
    }

    /// What is unusual about this base URL, for a warning: the Service API lives under `/v1`.
    pub fn warning(&self) -> Option<String> {
        if self.path().ends_with("/v1") {
            return None;
        }
        Some(format!("base URL '{0}' does not end in /v1; Dify's API is usually at {0}/v1", self.text))
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_urls_are_normalised_and_joined() {
        let base = parse_base_url(" HTTPS://dify.example:8443/api/v1/ ").unwrap();
        assert_eq!((base.as_str(), base.path()), ("https://dify.example:8443/api/v1", "/api/v1"));
        assert_eq!(base.origin(), "https://dify.example:8443");
        assert_eq!(base.join("/info?user=a"), "https://dify.example:8443/api/v1/info?user=a");
        assert_eq!(base.join("info"), "https://dify.example:8443/api/v1/info");
        assert_eq!(base.warning(), None);
        assert_eq!(parse_base_url("http://[::1]:80/v1").unwrap().join("/x"), "http://[::1]:80/v1/x");
    }

    #[test]
    fn a_path_without_the_version_is_warned_about() {
        let root = parse_base_url("http://127.0.0.1:5001/").unwrap();
        assert_eq!((root.as_str(), root.path()), ("http://127.0.0.1:5001", ""));
        assert!(root.warning().unwrap().contains("http://127.0.0.1:5001/v1"));
    }

    #[test]
    fn bad_urls_are_refused_with_a_remedy() {
        let error = |text: &str| parse_base_url(text).unwrap_err();
        assert_eq!(error(" "), BaseUrlError::Empty);
        assert_eq!(error("dify.example/v1"), BaseUrlError::NoScheme("dify.example/v1".into()));
        assert!(matches!(error("ftp://x/v1"), BaseUrlError::Scheme(_, s) if s == "ftp"));
        for text in ["http:///v1", "http://", "http://:80/v1"] {
            assert_eq!(error(text), BaseUrlError::NoHost(text.into()));
        }
        assert!(matches!(error("http://h/v1?a=b"), BaseUrlError::Query(_)));
        assert!(matches!(error("http://h/v1#x"), BaseUrlError::Query(_)));
        let secret = error("http://user:hunter2@h/v1");
        assert!(!secret.to_string().contains("hunter2"), "{secret}");
        for text in ["http://h:99999/v1", "http://h:x/v1", "http://a b/v1"] {
            assert!(matches!(error(text), BaseUrlError::Malformed(..)), "{text}");
        }
    }
}
