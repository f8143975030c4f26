//! Where a call goes, and its request in hyper's form.

use super::Call;
use super::fault::fault;
use super::proxy::{Proxy, ProxySettings};
use crate::model::{Fault, FaultClass};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};
use std::sync::{Arc, PoisonError, RwLock};

const USER_AGENT: &str = concat!("difyprobe/", env!("CARGO_PKG_VERSION"));

/// What connections are pooled by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) https: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) proxy: Option<Proxy>,
}

/// A call's URL, understood.
pub(super) struct Target {
    pub(super) origin: Arc<Origin>,
    /// The whole URL, or its path and query where the rest was known before.
    uri: Uri,
    /// `Host` header, where the call brings none.
    host: HeaderValue,
    /// The request is somebody else's: nothing is added that HTTP does not need.
    passed_on: bool,
}

/// What is known of the servers that were called before, by the beginning of their URLs.
#[derive(Default)]
pub(super) struct Sites {
    known: RwLock<Vec<(String, Arc<Origin>, HeaderValue)>>,
}

/// Servers that are remembered; a run calls one.
const MOST_SITES: usize = 16;

impl Sites {
    /// As [`Target::of`], which costs more than the rest of the preparation of a call.
    pub(super) fn target(&self, call: &Call, proxies: &ProxySettings) -> Result<Target, Fault> {
        let Some((site, rest)) = split_at_path(&call.url) else {
            return Target::of(call, proxies);
        };
        let known = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.iter().find(|(before, ..)| before == site).map(|(_, origin, host)| (Arc::clone(origin), host.clone()))
        };
        if let Some((origin, host)) = known
            && let Ok(path) = PathAndQuery::try_from(rest)
        {
            return Ok(Target { origin, uri: Uri::from(path), host, passed_on: false });
        }
        let target = Target::of(call, proxies)?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_SITES && !known.iter().any(|(before, ..)| before == site) {
            known.push((site.to_owned(), Arc::clone(&target.origin), target.host.clone()));
        }
        Ok(target)
    }
}

/// `scheme://authority` of a URL and what follows it from the first slash on.
fn split_at_path(url: &str) -> Option<(&str, &str)> {
    let authority = url.find("://")? + 3;
    let slash = authority + url.get(authority..)?.find(['/', '?', '#'])?;
    url.split_at_checked(slash).filter(|(_, rest)| rest.starts_with('/'))
}

/// How the request line is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// Path and query; `Host` tells the rest.
    Origin,
    /// The whole URL, for a proxy.
    Absolute,
    /// Pseudo headers of HTTP/2, made from the whole URL.
    Http2,
}

/// Path and query of a URL as they stand on the request line, also of a URL that cannot be used.
pub(super) fn request_target(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let at = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let target = after_scheme.get(at..).unwrap_or("").split('#').next().unwrap_or("");
    if target.starts_with('/') { target.to_owned() } else { format!("/{target}") }
}

impl Target {
    /// Understands the call's URL. The fault says what is wrong with it; nothing was sent then.
    pub(super) fn of(call: &Call, proxies: &ProxySettings) -> Result<Target, Fault> {
        let unsent = |why: String| fault(FaultClass::Protocol, format!("request not sent: {why}"));
        let uri: Uri = call.url.parse().map_err(|e| unsent(format!("URL '{}' cannot be used: {e}", call.url)))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(unsent(format!("URL '{}' is neither http nor https", call.url))),
        };
        let host = uri.host().unwrap_or("").to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let default_port = port == if https { 443 } else { 80 };
        let shown = if default_port { host.clone() } else { format!("{host}:{port}") };
        let host_header = HeaderValue::from_str(&shown).map_err(|e| unsent(format!("host '{host}': {e}")))?;
        let connect_fault = |why| fault(FaultClass::Connect, why);
        let proxy = proxies.pick(https, &host, port).map_err(connect_fault)?;
        let origin = Origin { https, host: host.trim_matches(['[', ']']).to_owned(), port, proxy };
        Ok(Target { origin: Arc::new(origin), uri, host: host_header, passed_on: false })
    }

    /// The target of a request that is only passed on.
    pub(super) fn passed_on(self) -> Target {
        Target { passed_on: true, ..self }
    }

    /// `host:port` for `CONNECT`.
    pub(super) fn authority(&self) -> String {
        let Origin { host, port, .. } = &*self.origin;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The form for a connection of HTTP/1.1.
    pub(super) fn http1_form(&self) -> Form {
        if self.origin.proxy.is_some() && !self.origin.https { Form::Absolute } else { Form::Origin }
    }

    /// The call as a request of hyper. The fault names the part that HTTP cannot carry; nothing was sent then.
    pub(super) fn request(&self, call: &Call, form: Form) -> Result<hyper::Request<Full<Bytes>>, Fault> {
        let unsent = |why: String| fault(FaultClass::Protocol, format!("request not sent: {why}"));
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_| unsent(format!("'{}' is no HTTP method", call.method)))?;
        let mut headers = HeaderMap::with_capacity(call.headers.len() + 4);
        for (name, value) in &call.headers {
            let bad = || unsent(format!("header '{name}' has a name or value that HTTP cannot carry"));
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            headers.append(parsed, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?);
        }
        self.add_own_headers(&mut headers, call, &method, form);
        let mut request = hyper::Request::new(Full::new(call.body.clone().unwrap_or_default()));
        *request.uri_mut() = match form {
            Form::Absolute | Form::Http2 if self.uri.scheme().is_some() => self.uri.clone(),
            Form::Absolute | Form::Http2 => call.url.parse().map_err(|e| unsent(format!("URL '{}': {e}", call.url)))?,
            Form::Origin => self.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default(),
        };
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn add_own_headers(&self, headers: &mut HeaderMap, call: &Call, method: &Method, form: Form) {
        if form != Form::Http2 && !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, self.host.clone());
        }
        if !self.passed_on && !headers.contains_key(header::USER_AGENT) {
            headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        }
        let empty = call.body.as_ref().is_none_or(|b| b.is_empty());
        let expects_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        if empty && expects_body && !headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let credentials = self.origin.proxy.as_ref().filter(|_| form == Form::Absolute);
        let value = credentials.and_then(|p| p.authorization.as_deref()).map(HeaderValue::from_str);
        if let Some(Ok(value)) = value {
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_called_before_is_known_by_the_beginning_of_the_url() {
        let sites = Sites::default();
        let proxies = ProxySettings::none();
        let call = |url: &str| Call { url: url.into(), ..call() };
        let of = |url: &str| sites.target(&call(url), &proxies).map(|t| (t.origin.port, request_line(&t, &call(url))));
        let once = of("http://h:81/v1/a?b=c#d").map_err(|f| f.detail);
        assert_eq!(once, Ok((81, "/v1/a?b=c".to_owned())));
        assert_eq!(of("http://h:81/v1/a?b=c#d").map_err(|f| f.detail), once, "the second time");
        assert_eq!(of("http://h:82/").map_err(|f| f.detail), Ok((82, "/".to_owned())));
        assert!(of("http://h:81/a b").is_err(), "a path that no request line can hold");
        let target = sites.target(&call("http://h:81/x"), &proxies).ok();
        let whole = target.and_then(|t| t.request(&call("http://h:81/x"), Form::Absolute).ok());
        assert_eq!(whole.map(|r| r.uri().to_string()).as_deref(), Some("http://h:81/x"));
    }

    fn call() -> Call {
        let limits = super::super::Limits::default();
        let (method, url) = ("GET".to_owned(), String::new());
        Call { method, url, headers: vec![], body: None, limits, planned: None, hang_up_after: None }
    }

    fn request_line(target: &Target, call: &Call) -> String {
        target.request(call, Form::Origin).map(|r| r.uri().to_string()).unwrap_or_default()
    }

    #[test]
    fn the_request_target_is_path_and_query() {
        assert_eq!(request_target("http://h:1/v1/messages?user=a#x"), "/v1/messages?user=a");
        assert_eq!(request_target("http://h"), "/");
        assert_eq!(request_target("http://h?a=b"), "/?a=b");
    }
}
