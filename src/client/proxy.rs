//! Which proxy a request goes through, from the customary environment variables.

use base64::Engine as _;
use hyper::Uri;

/// Proxy settings: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, lower case first, as curl reads them.
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    http: Option<String>,
    https: Option<String>,
    except: Vec<String>,
    /// Whether loopback hosts go through the proxy too. Off: a test server on this machine is never behind a proxy.
    pub loopback: bool,
}

/// A proxy to connect to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// Value of `Proxy-Authorization`.
    pub(super) authorization: Option<String>,
}

impl ProxySettings {
    /// No proxy at all.
    pub fn none() -> ProxySettings {
        ProxySettings::default()
    }

    /// The settings of this process's environment.
    pub fn from_env() -> ProxySettings {
        ProxySettings::from_lookup(|name| std::env::var(name).ok())
    }

    /// The settings of an environment given as a function.
    pub fn from_lookup(var: impl Fn(&str) -> Option<String>) -> ProxySettings {
        let get = |name: &str| {
            let value = var(name).or_else(|| var(&name.to_ascii_uppercase()));
            value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
        };
        let all = get("all_proxy");
        let except = get("no_proxy").unwrap_or_default();
        ProxySettings {
            http: get("http_proxy").or_else(|| all.clone()),
            https: get("https_proxy").or(all),
            except: except.split(',').map(|e| e.trim().to_ascii_lowercase()).filter(|e| !e.is_empty()).collect(),
            loopback: false,
        }
    }

    /// The proxy for a host, if one is to be used. The error is for people.
    pub(super) fn pick(&self, https: bool, host: &str, port: u16) -> Result<Option<Proxy>, String> {
        let Some(url) = (if https { &self.https } else { &self.http }) else {
            return Ok(None);
        };
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        if (!self.loopback && is_loopback(&host)) || self.except.iter().any(|e| matches(e, &host, port)) {
            return Ok(None);
        }
        parse(url).map(Some)
    }
}

fn is_loopback(host: &str) -> bool {
    let ip = host.parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// `*` matches all; `example.com`, `.example.com` and `*.example.com` match the host and what is below it; a port
/// narrows it down.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let bare = entry.trim_matches(['[', ']']);
    if bare == host {
        return true;
    }
    let (name, entry_port) = match entry.rsplit_once(':') {
        Some((name, p)) if p.parse::<u16>().is_ok() && (!name.contains(':') || name.ends_with(']')) => {
            (name.trim_matches(['[', ']']), p.parse().ok())
        }
        _ => (bare, None),
    };
    let suffix = name.trim_start_matches('*').trim_start_matches('.');
    let below = host.strip_suffix(suffix).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    !suffix.is_empty() && below && entry_port.is_none_or(|p: u16| p == port)
}

fn parse(url: &str) -> Result<Proxy, String> {
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    // the text may hold a password, so errors do not repeat it
    let uri: Uri = full.parse().map_err(|_| "the proxy's address in the environment is not a URL".to_owned())?;
    if uri.scheme_str() != Some("http") {
        let scheme = uri.scheme_str().unwrap_or("");
        return Err(format!("proxies of scheme '{scheme}' are not supported; use an http:// proxy"));
    }
    let host = uri.host().unwrap_or("").trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        return Err("the proxy's address in the environment names no host".to_owned());
    }
    let bare = uri.authority().map_or("", |a| a.as_str().rsplit('@').next().unwrap_or(""));
    let port_text = bare.rsplit_once(']').map_or(bare, |(_, rest)| rest).rsplit_once(':');
    if port_text.is_some() && uri.port_u16().is_none() {
        return Err("the proxy's address in the environment has a port that is not a number".to_owned());
    }
    let userinfo = uri.authority().and_then(|a| a.as_str().rsplit_once('@')).map(|(user, _)| percent_decode(user));
    let authorization =
        userinfo.map(|user| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user)));
    Ok(Proxy { host, port: uri.port_u16().unwrap_or(80), authorization })
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, next)) = rest.split_first() {
        let hex = next.get(..2).filter(|_| byte == b'%').and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = next.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = next;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> ProxySettings {
        ProxySettings::from_lookup(|n| vars.iter().find(|(name, _)| *name == n).map(|(_, v)| (*v).to_owned()))
    }

    fn picked(vars: &[(&str, &str)], https: bool, host: &str) -> Option<String> {
        let proxy = settings(vars).pick(https, host, 443).unwrap();
        proxy.map(|p| format!("{}:{}", p.host, p.port))
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_is_the_fallback() {
        let vars = [("http_proxy", "http://a:1"), ("HTTPS_PROXY", "b:2")];
        assert_eq!(picked(&vars, false, "x.example").as_deref(), Some("a:1"));
        assert_eq!(picked(&vars, true, "x.example").as_deref(), Some("b:2"));
        assert_eq!(picked(&[("ALL_PROXY", "http://c")], true, "x.example").as_deref(), Some("c:80"));
        assert_eq!(picked(&[("https_proxy", "")], true, "x.example"), None);
    }

    #[test]
    fn exceptions_match_hosts_suffixes_ports_and_the_star() {
        let excepted =
            |list: &str, host: &str| picked(&[("https_proxy", "p"), ("no_proxy", list)], true, host).is_none();
        for list in ["*", "example.com", ".example.com", "*.example.com", "x, api.example.com ", "example.com:443"] {
            assert!(excepted(list, "api.example.com"), "{list}");
        }
        assert!(excepted("10.0.0.1", "10.0.0.1") && excepted("[fe80::1]", "[fe80::1]"));
        for list in ["ample.com", "example.com:80", "example.org", ""] {
            assert!(!excepted(list, "api.example.com"), "{list}");
        }
    }

    #[test]
    fn loopback_is_never_proxied_unless_asked() {
        let mut proxied = settings(&[("http_proxy", "p")]);
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "a.localhost"] {
            assert!(proxied.pick(false, host, 80).unwrap().is_none(), "{host}");
        }
        proxied.loopback = true;
        assert!(proxied.pick(false, "127.0.0.1", 80).unwrap().is_some());
    }

    #[test]
    fn credentials_become_a_header_and_are_not_in_errors() {
        let proxy = settings(&[("http_proxy", "http://me:p%40ss@p:3128")]).pick(false, "h", 80).unwrap().unwrap();
        let basic = base64::engine::general_purpose::STANDARD.encode("me:p@ss");
        assert_eq!((proxy.host.as_str(), proxy.port), ("p", 3128));
        assert_eq!(proxy.authorization, Some(format!("Basic {basic}")));
        for bad in ["socks5://me:secret@p", "http://me:secret@p:x/"] {
            let error = settings(&[("http_proxy", bad)]).pick(false, "h", 80).map(|_| ()).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
