//! Takes out of what is written whatever is secret, and remembers where.
//!
//! Secrets lose their values. Everywhere else go private keys, tokens, passwords in addresses, and the values of what is
//! called a password, whether in a field, in a variable of a container, or in a line of a log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::{Captures, Regex};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

/// What stands in place of it.
const HIDDEN: &str = "(redacted)";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What the names of secrets end with, but for the mere word `token`, which begins a sentence in many a log.
const WORDS: &str = "password|passwd|passphrase|secret[_-]?key|private[_-]?key|api[_-]?key|access[_-]?key|\
                     client[_-]?secret|client[_-]?key[_-]?data|(?:access|auth|bearer|id|refresh|session)[_-]?token";

/// What is secret in any text: what it is, and where it is found; the first group that takes part is the secret.
static TEXTS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    // In JSON within JSON, within quotes, or up to the next space: of what goes on after a comma nobody knows what it is.
    let quoted = r#"\\+"(.+?)\\+"|"((?:[^"\\\n]|\\.)+)"|'([^'\n]+)'"#;
    let value = format!(r#"(?:{quoted}|\\*["']?([^\s"']{{3,}}))"#);
    let named = format!(r#"(?i)\b[a-z0-9_.-]*(?:(?:{WORDS})\\*["']?\s*[=:]|token\\*["']?\s*=)\s*{value}"#);
    // What goes on after it is a sentence.
    let token = format!(r#"(?im)\b[a-z0-9_.-]*token\\*["']?\s*:\s*{value}\\*["']?\s*(?:[,;}}\]]|\\n|$)"#);
    let all = [
        ("a private key", r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z))"),
        (IN_BASE64, r"\b(LS0tLS1CRUdJTi[A-Za-z0-9+/]+=*)"),
        ("a token", r"(\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)"),
        ("a login", r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9+/=._~-]{12,})"),
        ("a password in an address", r"[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@"),
        ("a login in an address", r#"[a-z][a-z0-9+.-]*://([^\s/:@?\#"',]+)@"#),
        ("a password", &named),
        ("a token, by its name", &token),
    ];
    all.into_iter().filter_map(|(what, pattern)| Some((what, Regex::new(pattern).ok()?))).collect()
});

/// What begins like PEM in base64; only what is no certificate or the like is secret.
const IN_BASE64: &str = "a private key in base64";

/// What a field or a variable is called whose value is secret.
static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("(?i)(?:{WORDS}|token)$")).ok());

/// What was redacted, a line each: where, and what it was.
#[derive(Default)]
pub(super) struct Redacted(pub Vec<String>);

impl Redacted {
    /// An object without what is secret in it.
    pub(super) fn object(&mut self, file: &str, object: &mut Value) {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        self.value(file, &mut String::new(), object);
    }

    fn value(&mut self, file: &str, path: &mut String, value: &mut Value) {
        match value {
            Value::Object(map) => {
                let named = |name: &str| NAMES.as_ref().is_some_and(|names| names.is_match(name));
                let is_variable = map.get("name").and_then(Value::as_str).is_some_and(named);
                let is_secret = map.get("kind").and_then(Value::as_str) == Some("Secret");
                for (name, value) in map {
                    let end = path.len();
                    path.push('.');
                    path.push_str(name);
                    if is_secret && ["data", "stringData"].contains(&name.as_str()) {
                        self.hide_all(file, path, value);
                    } else if name == LAST_APPLIED {
                        // All of the object once more, as text.
                        self.hide(file, path, value, "the object as it was applied");
                    } else if named(name) || (is_variable && name == "value") {
                        self.hide(file, path, value, "a password, by its name");
                    }
                    self.value(file, path, value);
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
                if let Cow::Owned(clean) = self.within(file, path, text) {
                    *text = clean;
                }
            }
            _ => {}
        }
    }

    /// Hides the values of a Secret, whatever they are.
    fn hide_all(&mut self, file: &str, path: &str, values: &mut Value) {
        for (name, value) in values.as_object_mut().into_iter().flatten() {
            *value = HIDDEN.into();
            self.note(file, &format!("{path}.{name}"), "a value of a Secret");
        }
    }

    /// Hides a text or a number.
    fn hide(&mut self, file: &str, path: &str, value: &mut Value, what: &str) {
        let is_filled = value.as_str().is_some_and(|text| !text.is_empty() && text != HIDDEN);
        if is_filled || value.is_number() {
            *value = HIDDEN.into();
            self.note(file, path, what);
        }
    }

    /// A text without what is secret in it.
    pub(super) fn text(&mut self, file: &str, text: &str) -> String {
        self.within(file, "", text).into_owned()
    }

    fn within<'a>(&mut self, file: &str, place: &str, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for (what, pattern) in TEXTS.iter() {
            let mut count = 0;
            let next = pattern.replace_all(&clean, |found: &Captures| {
                let (Some(whole), Some(secret)) = (found.get(0), found.iter().skip(1).flatten().next()) else {
                    return String::new();
                };
                if secret.as_str() == HIDDEN || (*what == IN_BASE64 && is_public(secret.as_str())) {
                    return whole.as_str().to_owned();
                }
                count += 1;
                let around = whole.as_str();
                let (begin, end) = (secret.start() - whole.start(), secret.end() - whole.start());
                format!("{}{HIDDEN}{}", around.get(..begin).unwrap_or_default(), around.get(end..).unwrap_or_default())
            });
            if count > 0 {
                clean = Cow::Owned(next.into_owned());
                let times = if count == 1 { String::new() } else { format!(", {count} times") };
                self.note(file, place, &format!("{what}{times}"));
            }
        }
        clean
    }

    fn note(&mut self, file: &str, place: &str, what: &str) {
        let place = place.trim_start_matches('.');
        let at = if place.is_empty() { String::new() } else { format!(" {place}") };
        self.0.push(format!("{file}{at}: {what}"));
    }
}

/// Whether what base64 has is sure to be no private key.
fn is_public(text: &str) -> bool {
    let whole = text.trim_end_matches('=');
    // What was cut off within four characters says nothing of the rest.
    let whole = whole.get(..whole.len() / 4 * 4).unwrap_or_default();
    let pem = STANDARD.decode(whole).map(|pem| String::from_utf8_lossy(&pem).into_owned());
    pem.is_ok_and(|pem| pem.contains("-----END ") && !pem.contains("PRIVATE KEY"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PRIVATE: &str = "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCmh1c2gKLS0tLS1FTkQgRUMgUFJJVkFURSBLRVktLS0tLQo=";
    const PUBLIC: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCnNlZW4KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";

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
        let mut list = json!({"kind": "List", "items": [
            {"kind": "Secret", "metadata": {"annotations": {LAST_APPLIED: "hush"}}, "data": {"key": "hush"}, "stringData": {"n": 77}},
            {"kind": "ConfigMap", "data": {"apiKey": 77, "token": "hush", "ca": PUBLIC, "kubeconfig": format!("key: {PRIVATE}")}}]});
        let mut of_list = Redacted::default();
        of_list.object("f", &mut list);
        let text = list.to_string();
        assert!(["hush", "77", PRIVATE].iter().all(|secret| !text.contains(secret)) && text.contains(PUBLIC), "{text}");
        assert!(of_list.0.iter().any(|line| line == "f items[0].data.key: a value of a Secret"), "{:?}", of_list.0);
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

    #[test]
    fn each_way_to_write_a_secret_is_known_and_what_reads_like_one_stays() {
        let mut redacted = Redacted::default();
        for text in [
            "https://hush@host/x",
            "GITHUB_TOKEN=hush-hush",
            "access_token: hush-hush",
            r#"{"token": "hush-hush", "a": 1}"#,
            "a:\n  token: hush-hush\nb: 1",
            "PRIVATE_KEY=hush-hush",
            "passphrase: 'hush-hush'",
            "id-token=hush-hush next",
            "password=hush,hush;hush",
            r#"{"password":"hush, \"hush\"; hush hush","a":1}"#,
            r#"{"msg":"sent {\"clientSecret\":\"hush,hush\",\"token\":\"hush hush\"}"}"#,
            "password: 'hush, hush' next",
            r#"{"password": "hush-hush"#,
            r#"{"msg":"{\"password\": \"hush-hush"#,
            "password=hush}hush]hush",
            r#"{"file":"a: b\n  token: hush-hush\nb: 1"}"#,
            r#"said "token: hush-hush""#,
        ] {
            let clean = redacted.text("l", text);
            assert!(!clean.contains("hush") && clean.contains(HIDDEN), "{text}: {clean}");
        }
        assert!(!redacted.text("l", &format!("client-key-data: {PRIVATE}")).contains(PRIVATE));
        assert!(!redacted.text("l", &format!("read {PRIVATE}")).contains(PRIVATE));
        for text in ["failed to fetch token: rpc error: code = Unavailable", "https://host/x?mail=me@host", "ca is"] {
            let text = format!("{text} {PUBLIC}");
            assert_eq!(redacted.text("l", &text), text);
        }
        // A secret in each of many lines takes no minutes.
        let log = "db.password=hush\n".repeat(1 << 16);
        assert!(!redacted.text("l", &log).contains("hush"));
    }
}
