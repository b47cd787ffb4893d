//! Redacts secrets from what is written, and remembers where.
//!
//! Secrets lose their values. Everywhere else go private keys, tokens, passwords in addresses, and the values of what is
//! called a password, whether in a field, in a variable of a container, or in a line of a log.

mod names;
mod shapes;

use names::certainty;
use serde_json::Value;
use shapes::{finders, is_plain};
use std::borrow::Cow;
use std::fmt::Write;

/// What stands in place of it.
const HIDDEN: &str = "(redacted)";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// How the entry of a list says what its `value` is.
const NAMED_BY: [&str; 3] = ["name", "key", "header"];
/// Flags of commands whose values are `USER:PASSWORD`.
const LOGINS: [&str; 3] = ["-u", "--user", "--proxy-user"];

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
                let by = NAMED_BY.iter().filter_map(|by| map.get(*by).and_then(Value::as_str));
                let variable = by.into_iter().find(|name| is_secret(name)).map(str::to_owned);
                let is_of_secret = map.get("kind").and_then(Value::as_str) == Some("Secret");
                for (name, value) in map {
                    let end = path.len();
                    path.push('.');
                    path.push_str(name);
                    if is_of_secret && ["data", "stringData"].contains(&name.as_str()) {
                        self.hide_all(file, path, value);
                    } else if name == LAST_APPLIED {
                        // All of the object once more, as text.
                        self.hide(file, path, value, "the object as it was applied");
                    } else if is_secret(name) {
                        self.hide_named(file, path, name, value);
                    } else if let Some(variable) = variable.as_deref().filter(|_| name == "value") {
                        self.hide_named(file, path, variable, value);
                    }
                    self.value(file, path, value);
                    path.truncate(end);
                }
            }
            Value::Array(list) => self.list(file, path, list),
            Value::String(text) => {
                if let Cow::Owned(clean) = self.within(file, path, text) {
                    *text = clean;
                }
            }
            _ => {}
        }
    }

    /// A list, perhaps of arguments: the one before may say what the next is.
    fn list(&mut self, file: &str, path: &mut String, list: &mut [Value]) {
        let mut before = String::new();
        for (number, value) in list.iter_mut().enumerate() {
            let end = path.len();
            // Writing to a string cannot fail.
            let _ = write!(path, "[{number}]");
            let next = value.as_str().unwrap_or_default().to_owned();
            let is_flag = before.starts_with('-') && !before.contains(['=', ' ']) && !next.starts_with('-');
            if is_flag && is_secret(&before) {
                self.hide_named(file, path, &before, value);
            } else if LOGINS.contains(&before.as_str()) && next.contains(':') {
                self.hide(file, path, value, "a password of a command");
            }
            self.value(file, path, value);
            path.truncate(end);
            before = next;
        }
    }

    /// Hides what a name says is secret, also each of a list.
    fn hide_named(&mut self, file: &str, path: &str, name: &str, value: &mut Value) {
        if let Value::Array(list) = value {
            for (number, value) in list.iter_mut().enumerate() {
                self.hide_named(file, &format!("{path}[{number}]"), name, value);
            }
        } else if value.as_str().is_none_or(|text| !is_plain(name, text)) {
            self.hide(file, path, value, "a password, by its name");
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
        for (what, find) in finders() {
            let (mut next, mut count, mut end) = (String::new(), 0, 0);
            for secret in find(&clean).into_iter().filter(|secret| clean.get(secret.clone()) != Some(HIDDEN)) {
                next.push_str(clean.get(end..secret.start).unwrap_or_default());
                next.push_str(HIDDEN);
                (count, end) = (count + 1, secret.end);
            }
            if count > 0 {
                next.push_str(clean.get(end..).unwrap_or_default());
                clean = Cow::Owned(next);
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

/// Whether a name says that its value is secret.
fn is_secret(name: &str) -> bool {
    certainty(name).is_some()
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

    #[test]
    fn what_people_put_into_annotations_commands_and_addresses_goes() {
        let mut redacted = Redacted::default();
        for text in [
            "curl -u admin:hush https://host/x",
            "mysql -u root -phush db",
            "tool --password hush --verbose",
            r#"args: ["--password","hush"]"#,
            "- --token\n- hush\n- --other",
            "https://hooks.slack.com/services/T0/B0/hush",
            "GET https://host/x?page=1&sig=hush&se=2",
            "https://host/x?X-Amz-Credential=a&X-Amz-Signature=hush",
            "Cookie: session=hush; theme=hush",
            r#"{"set-cookie":"session=hush; Path=/"}"#,
            "Server=db;Uid=sa;Pwd=hush;",
            "PWD=hush",
            "authorization: Basic hush",
            r#""authorization":"hush""#,
            "- name: ENCRYPTION_KEY\n  value: hush\n",
            r#"{"name":"PGPASS","value":"hush"}"#,
            "level=info msg: password=hush",
            "pass: hush\n",
            "LICENSE_KEY=hush",
            "vault/creds: hush",
            "ghp_hush0123456789hush0123456789hush0123",
            "key AKIAHUSH23456789HUSH is used",
            "xoxb-hush-123456789012-hush",
            "password: |\n  hush\nnext: 1",
        ] {
            let clean = redacted.text("l", text);
            assert!(!clean.to_lowercase().contains("hush") && clean.contains(HIDDEN), "{text}: {clean}");
        }
        let kept = "GET https://host/x?page=1&design=2 cookie: not there; key: istio.io/rev; PWD=/home/me\n\
                    token: true\ncredential: cannot be read by anybody; path=/var/run/secrets/token\ntopologyKey: kubernetes.io/hostname\n\
                    -u 1000 --user=me --namespace istio-system";
        assert_eq!(redacted.text("l", kept), kept);
    }

    #[test]
    fn what_fields_variables_and_arguments_name_as_secret_goes() {
        let names = ["ENCRYPTION_KEY", "LICENSE_KEY", "CLIENT_CRED", "MY_PASS", "PGPASS", "PSK"];
        let variables = names.map(|name| json!({"name": name, "value": "hush"}));
        let mut object = json!({
            "kind": "Pod",
            "metadata": {"annotations": {"x/credential": "hush", "vault/creds": "hush", "note": "ghp_hush0123456789hush"}},
            "spec": {"containers": [{
                "command": ["tool", "--password", "hush", "--verbose", "-u", "me:hush"],
                "args": ["curl -u admin:hush https://seen/", "--token", "--seen"],
                "env": variables,
            }]},
            "extension": {"includeAdditionalHeadersInCheck": {"authorization": "hush"}, "passwords": ["hush", "hush"]},
            "affinity": {"topologyKey": "seen"}, "match": {"key": "seen", "value": "seen"}, "token": "true",
        });
        let mut redacted = Redacted::default();
        redacted.object("f", &mut object);
        let text = object.to_string();
        assert!(!text.contains("hush") && text.matches("seen").count() == 5 && text.contains("--verbose"), "{text}");
        assert!(text.contains(r#""token":"true""#), "{text}");
        assert_eq!(redacted.0.len(), 15, "{:#?}", redacted.0);
    }
}
