//! Which proxy is before a server: `proxy-url` of the kubeconfig for the API server, or what the environment says.
//!
//! The rules are those of Go's programs, since kubectl is one: the kubeconfig's proxy is used for every address; those of
//! `HTTPS_PROXY` and `HTTP_PROXY` (or in small letters) for none of `NO_PROXY`, and for none of this machine.

use http::Uri;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;

/// A proxy that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the proxy of {origin} cannot be used: {problem}; it must be like http://HOST:PORT, with http, https or socks5"
)]
pub struct ProxyError {
    origin: &'static str,
    problem: String,
}

/// How one speaks with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP, with or without TLS as its address says.
    Http,
    /// SOCKS version 5, which resolves names itself.
    Socks,
}

/// A proxy. It may have a password, so nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub kind: Kind,
    /// Where it is, by `http` or `https`.
    pub address: Uri,
    /// The name and the password it wants.
    pub login: Option<(String, String)>,
}

/// The proxy before a server, if there is one. `variable` gives environment variables.
///
/// # Errors
/// What is said of it cannot be used.
pub(super) fn choose(
    proxy_url: &str,
    server: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, ProxyError> {
    if !proxy_url.is_empty() {
        return parse(proxy_url, "the kubeconfig (proxy-url)", &["http", "https", "socks5"]).map(Some);
    }
    match server.scheme_str() {
        Some("https") => of_environment(&["HTTPS_PROXY", "https_proxy"], "HTTPS_PROXY", server, variable),
        _ => of_environment(&["HTTP_PROXY", "http_proxy"], "HTTP_PROXY", server, variable),
    }
}

/// The proxy before a server that the first of these variables names which is not empty, if there is one. `variable` gives them.
///
/// # Errors
/// What it says cannot be used.
pub(crate) fn of_environment(
    names: &[&str],
    origin: &'static str,
    server: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, ProxyError> {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let Some(url) = first(names) else { return Ok(None) };
    if is_direct(&first(&["NO_PROXY", "no_proxy"]).unwrap_or_default(), server) {
        return Ok(None);
    }
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    parse(&url, origin, &["http", "https", "socks5", "socks5h"]).map(Some)
}

fn parse(url: &str, origin: &'static str, schemes: &[&str]) -> Result<Proxy, ProxyError> {
    // Its password is not for a log.
    let wrong = |problem: &str| ProxyError { origin, problem: problem.to_owned() };
    let uri: Uri = url.trim().parse().map_err(|_| wrong("its address is not valid"))?;
    let scheme = uri.scheme_str().ok_or_else(|| wrong("its address does not begin with what it speaks"))?;
    if !schemes.contains(&scheme) {
        return Err(wrong(&format!("it speaks {scheme}, which is not known here")));
    }
    let authority = uri.authority().ok_or_else(|| wrong("its address has no host"))?.as_str();
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, authority),
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let login = login.map(|login| {
        let (name, password) = login.split_once(':').unwrap_or((login, ""));
        (decoded(name), decoded(password))
    });
    let kind = if scheme.starts_with("socks") { Kind::Socks } else { Kind::Http };
    let (reached_by, port) = match scheme {
        "https" => ("https", 443),
        "http" => ("http", 80),
        _ => ("http", 1080),
    };
    let port = uri.port_u16().unwrap_or(port);
    let host =
        uri.host().filter(|host| !host.is_empty() && !place.is_empty()).ok_or_else(|| wrong("it has no host"))?;
    let address = format!("{reached_by}://{host}:{port}/").parse().map_err(|_| wrong("its address is not valid"))?;
    Ok(Proxy { kind, address, login })
}

/// Whether a server is reached without the environment's proxy.
fn is_direct(no_proxy: &str, server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("https") { 443 } else { 80 });
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| fits(&entry, &host, address, port))
}

/// Whether an entry of `NO_PROXY` means a host.
fn fits(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    match entry {
        "" => return false,
        "*" => return true,
        _ => {}
    }
    if let Some((network, bits)) = entry.split_once('/')
        && let (Ok(network), Ok(bits)) = (network.parse(), bits.parse())
    {
        return address.is_some_and(|address| is_within(address, network, bits));
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        // More colons without brackets are those of an address.
        Some((name, wanted)) if !name.contains(':') || name.ends_with(']') => (name, Some(wanted)),
        _ => (entry, None),
    };
    if wanted.is_some_and(|wanted| wanted.parse() != Ok(port)) {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let Ok(one) = name.parse::<IpAddr>() {
        return address == Some(one);
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some("") | None if name.trim_start_matches('.').is_empty() => false,
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same =
        |one: u128, other: u128, width: u32| bits <= width && (bits == 0 || (one ^ other) >> (width - bits) == 0);
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(u32::from(one).into(), u32::from(other).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Uri {
        text.parse().unwrap()
    }

    fn chosen(proxy_url: &str, to: &str, variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        choose(proxy_url, &server(to), variable).unwrap().map(|proxy| proxy.address.to_string())
    }

    #[test]
    fn the_kubeconfigs_proxy_comes_first_and_is_for_every_address() {
        let all = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "*")];
        assert_eq!(chosen("http://own:8", "https://a", &all).unwrap(), "http://own:8/");
        assert_eq!(chosen("socks5://own", "https://localhost", &all).unwrap(), "http://own:1080/");
        assert_eq!(chosen("", "https://a", &all), None);
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme_but_not_for_this_machine() {
        let all = [("HTTPS_PROXY", ""), ("https_proxy", "s:1"), ("HTTP_PROXY", "http://p")];
        assert_eq!(chosen("", "https://a", &all).unwrap(), "http://s:1/");
        assert_eq!(chosen("", "http://a", &all).unwrap(), "http://p:80/");
        for own in ["https://localhost:6443", "https://127.0.0.9", "https://[::1]:1"] {
            assert_eq!(chosen("", own, &all), None, "{own}");
        }
    }

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        let rows = [
            ("a.example", "https://a.example", true),
            ("example", "https://a.example", true),
            ("example", "https://aexample", false),
            (".example", "https://a.example", true),
            (".example", "https://example", false),
            ("*.example", "https://A.Example", true),
            ("x, a:6443", "https://a:6443", true),
            ("a:6443", "https://a", false),
            ("a:443", "https://a", true),
            ("10.0.0.0/8", "https://10.1.2.3:6443", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("10.0.0.0/33", "https://10.0.0.0", false),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("fd00::/8", "https://[fd00::1]:6443", true),
            ("fd00::1", "https://[fd00::1]", true),
            ("[fd00::1]:6443", "https://[fd00::1]:6443", true),
            ("*", "https://a", true),
            (" ,, .", "https://a", false),
        ];
        for (no_proxy, to, is_so) in rows {
            assert_eq!(is_direct(no_proxy, &server(to)), is_so, "{no_proxy} for {to}");
        }
    }

    #[test]
    fn a_name_and_a_password_are_decoded_and_never_told() {
        let proxy = parse("socks5://me:p%40ss@h:1", "x", &["socks5"]).unwrap();
        assert_eq!(proxy.login, Some(("me".into(), "p@ss".into())));
        assert_eq!((proxy.kind, proxy.address.to_string().as_str()), (Kind::Socks, "http://h:1/"));
        for wrong in ["ftp://me:secret@h", "http://", "://secret", "http:// secret"] {
            let error = parse(wrong, "x", &["http"]).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let error = parse("ftp://me:secret@h:1", "HTTPS_PROXY", &["http"]).err().unwrap().to_string();
        let begin = "the proxy of HTTPS_PROXY cannot be used: it speaks ftp, which is not known here; ";
        assert!(error.starts_with(begin), "{error}");
    }
}
