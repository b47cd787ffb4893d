use super::*;
use std::path::Path;
use std::process::Command;

fn openssl(dir: &Path, args: &str) {
    let out = Command::new("openssl").current_dir(dir).args(args.split(' ')).output().unwrap();
    assert!(out.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A key made by these arguments, and a certificate of version 1 for it.
fn made(key: &str) -> (tempfile::TempDir, User) {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    openssl(dir.path(), "req -x509 -key ca.key -subj /CN=ca -days 2 -out ca.crt");
    openssl(dir.path(), key);
    openssl(dir.path(), "req -new -key a.key -passin pass:secret -subj /CN=me -out a.csr");
    openssl(dir.path(), "x509 -req -in a.csr -CA ca.crt -CAkey ca.key -days 2 -out a.crt");
    let user = user(dir.path(), "a.crt", "a.key");
    (dir, user)
}

fn user(dir: &Path, certificate: &str, key: &str) -> User {
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    User { client_certificate: path(certificate), client_key: path(key), ..User::default() }
}

const P256: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out a.key";

fn take(user: &User) -> Result<Option<CertifiedKey>, IdentityError> {
    read(user)?.map(|(certificate, key)| certified(&certificate, &key)).transpose()
}

fn refusal(user: &User) -> String {
    take(user).unwrap_err().to_string()
}

#[test]
fn a_certificate_of_version_1_is_taken_with_each_kind_and_form_of_key() {
    let keys = [
        P256,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out a.key",
        "genpkey -algorithm ED25519 -out a.key",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out a.key",
        "genrsa -traditional -out a.key 2048",
        "ecparam -name prime256v1 -genkey -out a.key",
    ];
    for key in keys {
        let (_dir, user) = made(key);
        assert!(take(&user).unwrap_or_else(|e| panic!("{key}: {e}")).is_some());
    }
}

#[test]
fn data_comes_before_files_and_an_empty_text_is_none() {
    let (dir, files) = made(P256);
    let data = |name: &str| STANDARD.encode(std::fs::read(dir.path().join(name)).unwrap());
    let text = serde_json::json!({"client-certificate-data": data("a.crt"), "client-key-data": data("a.key"),
        "client-key": "/nowhere", "client-certificate": ""});
    assert!(take(&serde_json::from_value(text).unwrap()).unwrap().is_some());
    assert!(take(&User::default()).unwrap().is_none());
    let half = User { client_key: String::new(), ..files };
    assert_eq!(
        refusal(&half),
        "the kubeconfig's user has a client-certificate and no client-key; give both, or neither"
    );
}

#[test]
fn what_is_wrong_with_a_key_is_said_with_what_to_do() {
    let (dir, plain) = made(P256);
    openssl(dir.path(), "pkey -in a.key -aes128 -passout pass:secret -out encrypted.key");
    openssl(dir.path(), "ec -in a.key -aes128 -passout pass:secret -out old-encrypted.key");
    for key in ["encrypted.key", "old-encrypted.key"] {
        assert!(refusal(&user(dir.path(), "a.crt", key)).contains("openssl pkey -in KEY -out PLAIN"), "{key}");
    }
    assert!(refusal(&user(dir.path(), "a.crt", "ca.key")).contains("is not that of its client-certificate"));
    assert!(refusal(&user(dir.path(), "a.crt", "a.crt")).contains("holds no private key in PEM form"));
    assert!(refusal(&user(dir.path(), "a.key", "a.key")).contains("holds no certificate in PEM form"));
    assert!(refusal(&user(dir.path(), "gone.crt", "a.key")).contains("gone.crt, the client-certificate of"));
    let bad = User { client_certificate_data: "%".into(), ..plain };
    assert!(refusal(&bad).contains("client-certificate-data of the kubeconfig's user is not base64"));
    let (_dir, small) = made("genrsa -out a.key 1024");
    assert!(refusal(&small).contains("RSA of 2048 to 8192 bits"));
    let (_dir, other) = made("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out a.key");
    assert!(refusal(&other).contains("ECDSA on P-256 or P-384"));
}

#[test]
fn the_validity_of_any_certificate_is_read() {
    let (dir, _) = made(P256);
    for name in ["a.crt", "ca.crt"] {
        let pem = std::fs::read(dir.path().join(name)).unwrap();
        let (_, der) = sections(&pem).next().unwrap();
        let (from, to) = validity(&der).unwrap();
        assert_eq!(to.as_second() - from.as_second(), 2 * 24 * 3600, "{name}");
        assert!((0..der.len()).all(|end| validity(&der[..end]).is_none()), "no part of it is read as the whole");
    }
    let text = |text: &str| time((if text.len() == 13 { 0x17 } else { 0x18 }, text.as_bytes())).map(|t| t.to_string());
    assert_eq!(text("490102030405Z").unwrap(), "2049-01-02T03:04:05Z");
    assert_eq!(text("500102030405Z").unwrap(), "1950-01-02T03:04:05Z");
    assert_eq!(text("20500102030405Z").unwrap(), "2050-01-02T03:04:05Z");
    assert_eq!(text("nonsense"), None);
}
