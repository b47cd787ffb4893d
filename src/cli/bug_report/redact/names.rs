//! Names of fields, variables, flags and headers whose values are secret.

/// How such names end, whatever stands before: letters and digits only, so that `api-key`, `api_key` and `apiKey` are one.
const ENDS: [&str; 30] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pgpass",
    "secretkey",
    "privatekey",
    "apikey",
    "accesskey",
    "accesskeyid",
    "accountkey",
    "encryptionkey",
    "licensekey",
    "licencekey",
    "masterkey",
    "sharedkey",
    "signingkey",
    "clientkeydata",
    "clientsecret",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "idtoken",
    "refreshtoken",
    "securitytoken",
    "sessiontoken",
    "sessionid",
    "connectionstring",
    "webhookurl",
];

/// Their last words that also begin sentences: where a colon follows, the value must stand alone.
const LAST_WORDS: [&str; 15] = [
    "token",
    "secret",
    "pass",
    "pwd",
    "psk",
    "cred",
    "creds",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "jwt",
    "dsn",
    "pat",
    "key",
];

/// What stands before the last word of a name that is not a secret: keys that things are sorted or found by, and names of Secrets.
const PLAIN: [(&str, &[&str]); 2] = [
    (
        "key",
        &[
            "annotation",
            "cache",
            "foreign",
            "hash",
            "header",
            "label",
            "lookup",
            "map",
            "partition",
            "primary",
            "public",
            "row",
            "sort",
            "taint",
            "topology",
        ],
    ),
    ("secret", &["existing", "pull", "tls"]),
];

/// Whole names of parameters of addresses, beside the others.
const PARAMETERS: [&str; 2] = ["sig", "key"];

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Whatever follows is secret.
    Sure,
    /// It may also be a word of a sentence.
    Likely,
}

/// Whether what a name stands for is secret, and how sure that is.
pub(super) fn certainty(name: &str) -> Option<Certainty> {
    let words = words(name);
    let whole = words.concat();
    if ENDS.iter().any(|end| whole.ends_with(end)) {
        return Some(Certainty::Sure);
    }
    let (last, before) = words.split_last()?;
    let is_known = LAST_WORDS.contains(&last.as_str()) || (before.is_empty() && last == "auth");
    let qualifier = before.last().map(String::as_str);
    let plain = PLAIN.iter().find(|(word, _)| word == last).map_or(&[][..], |(_, plain)| plain);
    let is_plain = match qualifier {
        // A mere key may be any.
        None => last == "key",
        Some(qualifier) => plain.contains(&qualifier),
    };
    (is_known && !is_plain).then_some(Certainty::Likely)
}

/// Whether a parameter of an address is secret.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    let words = words(name);
    // Those of signed addresses have more before it: X-Amz-Signature.
    let is_signature = words.last().is_some_and(|last| last == "signature");
    is_signature || certainty(name).is_some() || PARAMETERS.contains(&words.concat().as_str())
}

/// The words of a name, in small letters: `db.adminPassword` has three.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    let mut was = ' ';
    for letter in name.chars() {
        let begins = !was.is_alphanumeric() || (was.is_lowercase() && letter.is_uppercase());
        if letter.is_alphanumeric() {
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        was = letter;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in [
            "ENCRYPTION_KEY",
            "LICENSE_KEY",
            "CLIENT_CRED",
            "MY_PASS",
            "PGPASS",
            "PSK",
            "Pwd",
            "x/credential",
            "vault/creds",
            "--password",
            "adminPassword",
            "X-Api-Key",
            "apiKey",
            "HMAC_KEY",
            "authorization",
            "auth",
            "Cookie",
            "API_TOKEN",
            "aws_access_key_id",
            "MY_SECRET",
            "secret",
            "x-amz-security-token",
            "FOO_PAT",
            "GITHUB_TOKEN",
            "ssh-key",
        ] {
            assert!(certainty(name).is_some(), "{name}");
        }
        for name in [
            "key",
            "topologyKey",
            "public_key",
            "labelKey",
            "secretName",
            "tokens",
            "bypass",
            "compass",
            "API_TOKEN_FILE",
            "credentialName",
            "passes",
            "monkey",
            "istio.io/rev",
            "",
            "--",
            "imagePullSecret",
            "authority",
            "path",
        ] {
            assert_eq!(certainty(name), None, "{name}");
        }
        assert!(["sig", "X-Amz-Signature", "key", "token", "X-Goog-Signature"].into_iter().all(is_secret_parameter));
        assert!(!["page", "design", "q"].into_iter().any(is_secret_parameter));
    }
}
