//! Addresses: how they are compared and shown, and what is refused in all of them.

use std::net::IpAddr;
use url::{Host, Url};

/// Scheme, host and port of an address.
pub(super) type Origin = (String, String, u16);

/// Scheme, host and port of an address.
pub(super) fn origin(url: &Url) -> Origin {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
    (url.scheme().to_owned(), host, url.port_or_known_default().unwrap_or_default())
}

/// An address without user, password and query.
pub(super) fn redact(url: &Url) -> String {
    let mut shown = url.clone();
    // Only addresses without a host refuse that, and those are not locations.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.set_fragment(None);
    shown.set_query(None);
    if url.query().is_some() { format!("{shown}?<redacted>") } else { shown.into() }
}

/// Whether an address is this machine's own.
pub(super) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => IpAddr::from(*ip).is_loopback(),
        Host::Ipv6(ip) => IpAddr::from(*ip).is_loopback(),
        Host::Domain(name) => *name == "localhost",
    }
}

/// Whether a path, decoded as often as a server may, leads up or hides a character.
pub(super) fn is_disguised(path: &str) -> bool {
    let mut text = path.to_owned();
    for _ in 0..4 {
        let leads_up = text.split(['/', '\\']).any(|segment| segment == "..");
        if leads_up || text.contains('\\') || text.chars().any(char::is_control) {
            return true;
        }
        text = percent_decode(&text);
    }
    false
}

/// A text with its percent-encoding taken off once.
pub(super) fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
