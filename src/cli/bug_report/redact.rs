//! Takes out of what is written whatever is secret, and remembers where.
//!
//! Secrets lose their values. Everywhere else go private keys, tokens, passwords in addresses, and the values of what is
//! called a password, whether in a field, in a variable of a container, or in a line of a log.

use regex::Regex;
use serde_json::Value;
use std::fmt::Write;
use std::sync::LazyLock;

/// What stands in place of it.
const HIDDEN: &str = "(redacted)";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is secret in any text: what it is, and where of it the secret stands.
static TEXTS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let all = [
        (
            "a private key",
            r"(?s)(?P<secret>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z))",
        ),
        ("a token", r"(?P<secret>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)"),
        ("a login", r"(?i)\b(?:bearer|basic)\s+(?P<secret>[A-Za-z0-9+/=._~-]{12,})"),
        ("a password in an address", r"[a-z][a-z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s/@]+)@"),
        (
            "a password",
            r#"(?i)\b[a-z0-9_.-]*(?:password|passwd|secret[_-]?key|api[_-]?key|client[_-]?secret|access[_-]?key)["']?\s*[=:]\s*["']?(?P<secret>[^\s"',;}{\[\]]{3,})"#,
        ),
    ];
    all.into_iter().filter_map(|(what, pattern)| Some((what, Regex::new(pattern).ok()?))).collect()
});

/// What a field or a variable is called whose value is secret.
static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "password|passwd|secret[_-]?key|private[_-]?key|api[_-]?key|access[_-]?key|client[_-]?secret|\
                 access[_-]?token|auth[_-]?token|bearer[_-]?token|id[_-]?token|refresh[_-]?token";
    Regex::new(&format!("(?i)(?:{words})$")).ok()
});

/// What was redacted, a line each: where, and what it was.
#[derive(Default)]
pub(super) struct Redacted(pub Vec<String>);

impl Redacted {
    /// An object without what is secret in it.
    pub(super) fn object(&mut self, file: &str, object: &mut Value) {
        let is_secret = object.get("kind").and_then(Value::as_str) == Some("Secret");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
            // All of the object once more, as text.
            if let Some(text) = annotations.and_then(|all| all.get_mut(LAST_APPLIED)) {
                *text = HIDDEN.into();
                self.note(file, LAST_APPLIED, "the object as it was applied");
            }
        }
        if is_secret {
            for field in ["data", "stringData"] {
                for (name, value) in object.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                    *value = HIDDEN.into();
                    self.note(file, &format!("{field}.{name}"), "a value of a Secret");
                }
            }
        }
        self.value(file, &mut String::new(), object);
    }

    fn value(&mut self, file: &str, path: &mut String, value: &mut Value) {
        match value {
            Value::Object(map) => {
                let named = |name: &str| NAMES.as_ref().is_some_and(|names| names.is_match(name));
                let is_variable = map.get("name").and_then(Value::as_str).is_some_and(named);
                for (name, value) in map {
                    let end = path.len();
                    path.push('.');
                    path.push_str(name);
                    let is_named = named(name) || (is_variable && name == "value");
                    if is_named && value.as_str().is_some_and(|text| !text.is_empty() && text != HIDDEN) {
                        *value = HIDDEN.into();
                        self.note(file, path, "a password, by its name");
                    } else {
                        self.value(file, path, value);
                    }
                    path.truncate(end);
                }
            }
            Value::Array(list) => {
                for (number, value) in list.iter_mut().enumerate() {
                    let end = path.len();
                    // Writing to a string cannot fail.
                    let _ = write!(path, "[{number}]");
                    self.value(file, path, value);
                    path.truncate(end);
                }
            }
            Value::String(text) => {
                let place = path.trim_start_matches('.').to_owned();
                if let Some(clean) = self.within(file, &place, text) {
                    *text = clean;
                }
            }
            _ => {}
        }
    }

    /// A text without what is secret in it.
    pub(super) fn text(&mut self, file: &str, text: &str) -> String {
        self.within(file, "", text).unwrap_or_else(|| text.to_owned())
    }

    /// The same; `None` where there is nothing.
    fn within(&mut self, file: &str, place: &str, text: &str) -> Option<String> {
        let mut clean: Option<String> = None;
        for (what, pattern) in TEXTS.iter() {
            let now = clean.as_deref().unwrap_or(text);
            let spans: Vec<_> = pattern
                .captures_iter(now)
                .filter_map(|found| found.name("secret").map(|secret| secret.range()))
                .filter(|range| now.get(range.clone()) != Some(HIDDEN))
                .collect();
            if spans.is_empty() {
                continue;
            }
            let count = spans.len();
            let mut next = now.to_owned();
            for range in spans.into_iter().rev() {
                next.replace_range(range, HIDDEN);
            }
            clean = Some(next);
            let times = if count == 1 { String::new() } else { format!(", {count} times") };
            self.note(file, place, &format!("{what}{times}"));
        }
        clean
    }

    fn note(&mut self, file: &str, place: &str, what: &str) {
        let place = place.trim_start_matches('.');
        let at = if place.is_empty() { String::new() } else { format!(" {place}") };
        self.0.push(format!("{file}{at}: {what}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_is_secret_goes_from_an_object_and_is_listed() {
        let mut object = json!({
            "kind": "Secret",
            "metadata": {"name": "a", "managedFields": [{}], "annotations": {LAST_APPLIED: "{\"data\":\"hush\"}"}},
            "data": {"key": "hush"}, "stringData": {"other": "hush"},
        });
        let mut redacted = Redacted::default();
        redacted.object("f", &mut object);
        assert!(!object.to_string().contains("hush") && object["metadata"].get("managedFields").is_none());
        assert_eq!(redacted.0.len(), 3, "{:?}", redacted.0);
        let mut pod = json!({"kind": "Pod", "spec": {"containers": [{"env": [
            {"name": "DB_PASSWORD", "value": "hush"}, {"name": "PLAIN", "value": "seen"},
            {"name": "API_TOKEN_FILE", "value": "/var/run/token"}]}], "adminPassword": "hush", "imagePullSecrets": [{"name": "seen"}]}});
        let mut redacted = Redacted::default();
        redacted.object("f", &mut pod);
        let text = pod.to_string();
        assert!(
            !text.contains("hush") && text.matches("seen").count() == 2 && text.contains("/var/run/token"),
            "{text}"
        );
        assert!(redacted.0.iter().any(|line| line == "f spec.containers[0].env[0].value: a password, by its name"));
    }

    #[test]
    fn whatever_is_secret_goes_from_a_log_and_the_rest_stays() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";
        let log = format!(
            "started with token {jwt}\nauthorization: Bearer abcdefghijklmnop\nGET https://me:hush@host/x\n\
             db.password=hush1 user=me\n-----BEGIN RSA PRIVATE KEY-----\nhush\n-----END RSA PRIVATE KEY-----\nend of it\n"
        );
        let mut redacted = Redacted::default();
        let clean = redacted.text("l", &log);
        for secret in [jwt, "hush", "abcdefgh"] {
            assert!(!clean.contains(secret), "{secret}: {clean}");
        }
        for rest in ["started with token", "https://me:", "@host/x", "user=me", "end of it"] {
            assert!(clean.contains(rest), "{rest}: {clean}");
        }
        assert_eq!(redacted.0.len(), 5, "{:?}", redacted.0);
        assert_eq!(redacted.text("l", "nothing here: secretName=a tokens=3"), "nothing here: secretName=a tokens=3");
    }
}
