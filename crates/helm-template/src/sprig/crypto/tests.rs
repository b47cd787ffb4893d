//! Texts with what Helm made of them; keys and certificates by their structure and signatures. The keys in the recorded
//! expressions were made for them and protect nothing.

use super::key::Key;
use super::{Source, pem};
use crate::gotmpl::format::display;
use crate::gotmpl::{Host, Usage, Value};
use crate::sprig::testing::check;
use der::Decode as _;
use der::asn1::Uint;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use std::cell::RefCell;
use x509_cert::time::Time;
use x509_cert::{Certificate, Version};

/// 2024-01-31 10:20:31 UTC, and a source that gives the same bytes each time (splitmix64).
fn host() -> Host {
    let mut state: u64 = 7;
    let entropy = move |buffer: &mut [u8]| {
        for byte in buffer {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (mixed ^ (mixed >> 31)).to_le_bytes()[0];
        }
    };
    Host {
        now: || (1_706_696_431, 0),
        timezone: "UTC".to_owned(),
        entropy: RefCell::new(Box::new(entropy)),
        usage: Usage::default(),
    }
}

fn call(host: &Host, name: &str, args: &[Value]) -> Result<Value, String> {
    (crate::sprig::function(name).expect("a function").call)(host, args)
}

fn run(host: &Host, name: &str, args: &[Value]) -> String {
    let value = call(host, name, args).expect("no error");
    String::from_utf8(display(&value)).expect("UTF-8")
}

fn text(s: &str) -> Value {
    Value::string(s)
}

fn field(pair: &Value, name: &str) -> String {
    let Value::Object(o) = pair else { panic!("no object") };
    String::from_utf8(display(&o.field(name).expect("a field"))).expect("UTF-8")
}

fn der(part: &impl der::Encode) -> Vec<u8> {
    part.to_der().expect("DER")
}

/// The parts of a certificate that the tests look at.
struct Cert {
    body: Vec<u8>,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    validity: String,
    subject: Vec<u8>,
    public: Vec<u8>,
    extensions: Vec<u8>,
}

impl Cert {
    fn of(pair: &Value) -> Self {
        let (label, contents) = pem::decode(field(pair, "Cert").as_bytes()).expect("PEM");
        assert_eq!(label, "CERTIFICATE");
        let whole = Certificate::from_der(&contents).expect("a certificate");
        assert_eq!(der(&whole), contents);
        let body = whole.tbs_certificate();
        assert_eq!(body.version(), Version::V3);
        assert!(body.serial_number().as_bytes().len() <= 17);
        assert_eq!(body.signature(), whole.signature_algorithm());
        // What stands behind tag and length.
        let time = |time: &Time| String::from_utf8(der(time).split_off(2)).expect("ASCII");
        let validity = body.validity();
        Self {
            signature: whole.signature().raw_bytes().to_vec(),
            issuer: der(body.issuer()),
            validity: format!("{}-{}", time(&validity.not_before), time(&validity.not_after)),
            subject: der(body.subject()),
            public: body.subject_public_key_info().subject_public_key.raw_bytes().to_vec(),
            extensions: der(body.extensions().expect("extensions")),
            body: der(body),
        }
    }

    fn is_signed_by(&self, signer: &Self, algorithm: &'static dyn VerificationAlgorithm) -> bool {
        UnparsedPublicKey::new(algorithm, &signer.public).verify(&self.body, &self.signature).is_ok()
    }

    fn says(&self, bytes: &[u8]) -> bool {
        self.extensions.windows(bytes.len()).any(|w| w == bytes)
    }
}

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IS_AUTHORITY: &[u8] = &[0x30, 3, 1, 1, 0xff];
const SIGNS_CERTIFICATES: &[u8] = &[3, 2, 2, 0xa4];
const SIGNS_AND_ENCIPHERS: &[u8] = &[3, 2, 5, 0xa0];

#[test]
fn digests_passwords_and_refusals_are_those_of_helm() {
    check(include_str!("../testdata/crypto.txt"));
}

#[test]
fn an_authority_signs_a_server() {
    let host = host();
    let authority = call(&host, "genCA", &[text("my-ca*"), Value::Int(365)]).expect("an authority");
    let addresses = Value::list(vec![text("10.0.0.1"), text("::1"), text("::ffff:1.2.3.4")]);
    let names = Value::list(vec![text("a.b")]);
    let args = [text("srv"), addresses, names, Value::Int(30), authority.clone()];
    let server = call(&host, "genSignedCert", &args).expect("a certificate");

    let (ca, leaf) = (Cert::of(&authority), Cert::of(&server));
    assert!(ca.is_signed_by(&ca, &RSA_PKCS1_2048_8192_SHA256) && ca.issuer == ca.subject);
    assert!(leaf.is_signed_by(&ca, &RSA_PKCS1_2048_8192_SHA256) && leaf.issuer == ca.subject);
    assert!(!ca.is_signed_by(&leaf, &RSA_PKCS1_2048_8192_SHA256));
    assert_eq!(ca.validity, "240131102031Z-250130102031Z");
    assert_eq!(leaf.validity, "240131102031Z-240301102031Z");
    // An asterisk is not a printable character in DER's sense.
    assert!(ca.subject.ends_with(&[&[UTF8_STRING, 6][..], b"my-ca*"].concat()));
    assert!(leaf.subject.ends_with(&[&[PRINTABLE_STRING, 3][..], b"srv"].concat()));
    assert!(ca.says(IS_AUTHORITY) && ca.says(SIGNS_CERTIFICATES));
    assert!(!leaf.says(IS_AUTHORITY) && leaf.says(SIGNS_AND_ENCIPHERS));
    let names =
        [&[0x82, 3][..], b"a.b", &[0x87, 4, 10, 0, 0, 1, 0x87, 16], &[0; 15], &[1, 0x87, 4, 1, 2, 3, 4]].concat();
    assert!(leaf.says(&names));
    let key = Key::read(field(&server, "Key").as_bytes()).expect("a key");
    assert_eq!(key.public_info().expect("a public key").subject_public_key.raw_bytes(), leaf.public);
    assert!(field(&server, "Key").starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    let custom = ["Cert", "Key"].map(|name| Value::string(crate::sprig::base::base64(field(&server, name).as_bytes())));
    assert_eq!(field(&call(&host, "buildCustomCert", &custom).expect("a pair"), "Cert"), field(&server, "Cert"));
}

#[test]
fn certificates_can_have_keys_of_other_kinds() {
    let host = host();
    let p384 = Key::P384(p384::SecretKey::from_slice(&[7; 48]).expect("a key")).to_pem().expect("PEM");
    let kinds: [(Value, &'static dyn VerificationAlgorithm); 3] = [
        (call(&host, "genPrivateKey", &[text("ecdsa")]).expect("a key"), &ECDSA_P256_SHA256_ASN1),
        (call(&host, "genPrivateKey", &[text("ed25519")]).expect("a key"), &ED25519),
        (Value::string(p384), &ECDSA_P384_SHA384_ASN1),
    ];
    for (key, algorithm) in &kinds {
        let ca = call(&host, "genCAWithKey", &[text("ca"), Value::Int(30_000), key.clone()]).expect("a pair");
        assert_eq!(field(&ca, "Key").as_bytes(), display(key));
        assert!(Cert::of(&ca).is_signed_by(&Cert::of(&ca), *algorithm));
        assert!(Cert::of(&ca).validity.ends_with("-21060322102031Z"));
        for (other, _) in &kinds {
            let args = [text(""), Value::Nil, Value::list(vec![text("x")]), Value::Int(1), ca.clone(), other.clone()];
            let leaf = call(&host, "genSignedCertWithKey", &args).expect("a pair");
            assert!(Cert::of(&leaf).is_signed_by(&Cert::of(&ca), *algorithm));
            // Without a subject its names are critical.
            assert!(Cert::of(&leaf).says(&[0x55, 0x1d, 17, 1, 1, 0xff]));
        }
    }
}

#[test]
fn a_key_of_another_authority_does_not_sign() {
    let host = host();
    let pair = |kind: &str| {
        let key = call(&host, "genPrivateKey", &[text(kind)]).expect("a key");
        call(&host, "genCAWithKey", &[text("ca"), Value::Int(1), key]).expect("a pair")
    };
    let (one, other) = (pair("ecdsa"), pair("ed25519"));
    let base64 = |pair: &Value, name| Value::string(crate::sprig::base::base64(field(pair, name).as_bytes()));
    let mixed = call(&host, "buildCustomCert", &[base64(&one, "Cert"), base64(&other, "Key")]).expect("a pair");
    let args = [text("x"), Value::Nil, Value::Nil, Value::Int(1), mixed, text(&field(&one, "Key"))];
    let error = call(&host, "genSignedCertWithKey", &args).err();
    let want = "error creating certificate: x509: provided PrivateKey doesn't match parent's PublicKey";
    assert_eq!(error.as_deref(), Some(want));
}

#[test]
fn a_certificate_may_have_ended_before_1970() {
    let host = host();
    let key = call(&host, "genPrivateKey", &[text("ecdsa")]).expect("a key");
    let ca = call(&host, "genCAWithKey", &[text("ca"), Value::Int(-30_000), key.clone()]).expect("a pair");
    let (_, contents) = pem::decode(field(&ca, "Cert").as_bytes()).expect("PEM");
    let validity = b"\x17\x0d240131102031Z\x18\x0f19411212102031Z";
    assert!(contents.windows(validity.len()).any(|w| w == validity));
    let args = [text("x"), Value::Nil, Value::Nil, Value::Int(1), ca.clone(), key];
    let leaf = Cert::of(&call(&host, "genSignedCertWithKey", &args).expect("a pair"));
    assert!(leaf.issuer.ends_with(b"ca"));
}

#[test]
fn keys_are_the_same_in_each_form_that_go_reads() {
    use p256::pkcs8::EncodePrivateKey as _;
    let host = host();
    let Ok(Key::Rsa(rsa)) = Key::for_certificate(&mut Source(&host)) else { panic!("no key") };
    let own = |key: Key| key.to_pem().expect("PEM");
    let read = |pem: &str| own(Key::read(pem.as_bytes()).expect("a key"));
    assert_eq!(read(&rsa.to_pkcs8_pem(der::pem::LineEnding::LF).expect("PEM")), own(Key::Rsa(rsa)));
    // Its number has a zero in front.
    let number = [&[0][..], &[7; 31]].concat();
    let p256 = p256::SecretKey::from_slice(&number).expect("a key");
    let pkcs8 = p256.to_pkcs8_pem(der::pem::LineEnding::CRLF).expect("PEM");
    let want = own(Key::P256(p256));
    assert_eq!(read(&pkcs8), want);
    for private_key in [&number[1..], &[&[0; 3], number.as_slice()].concat()] {
        let curve = der::oid::db::rfc5912::SECP_256_R_1.into();
        let key = sec1::EcPrivateKey { private_key, parameters: Some(curve), public_key: None };
        assert_eq!(read(&pem::encode("EC PRIVATE KEY", &[&der(&key)[..], b"more"].concat()).expect("PEM")), want);
    }
}

#[test]
fn a_dsa_key_is_made_but_signs_nothing() {
    let host = host();
    let Ok(Some(Key::Dsa(der))) = Key::generate(&mut Source(&host), b"dsa") else { panic!("no key") };
    let fields = Vec::<Uint>::from_der(&der).expect("a key");
    let numbers: Vec<_> =
        fields.iter().map(|n| crypto_bigint::BoxedUint::from_be_slice_vartime(n.as_bytes())).collect();
    let [version, p, q, _, _, _] = numbers.as_slice() else { panic!("six numbers") };
    assert!(bool::from(version.is_zero()));
    assert_eq!((p.bit_width(), q.bit_width()), (2048, 256));
    assert!(crypto_primes::is_prime(crypto_primes::Flavor::Any, q));
    let pem = Key::Dsa(der).to_pem().expect("PEM");
    let error = call(&host, "genCAWithKey", &[text("ca"), Value::Int(1), Value::string(pem)]).err();
    let want = "error creating certificate: x509: certificate private key does not implement crypto.Signer";
    assert_eq!(error.as_deref(), Some(want));
}

#[test]
fn the_same_source_gives_the_same_keys() {
    let make = || run(&host(), "genCA", &[text("ca"), Value::Int(1)]);
    assert_eq!(make(), make());
}

#[test]
fn encrypted_texts_are_read_again_and_so_are_helms() {
    let host = host();
    for plain in ["a", "0123456789abcdef", "plain text of some length"] {
        let secret = run(&host, "encryptAES", &[text("secret"), text(plain)]);
        assert_eq!(run(&host, "decryptAES", &[text("secret"), text(&secret)]), plain);
    }
    let recorded = [
        ("secret", "qgczu+tVuUP86Rwl+aQHsnqDc73ieGOFzRXwRqi2BMufEKVp1IlmprkIH4odo+jR", "plain text of some length"),
        (
            "a key that is longer than thirty-two bytes",
            "RjVdKmSfy+7R9f/a/PwouRNh9KgtLbFP9au0fRsE+82fg0kHZVc8MkdqKs1a2JW+",
            "0123456789abcdef",
        ),
    ];
    for (password, secret, plain) in recorded {
        assert_eq!(run(&host, "decryptAES", &[text(password), text(secret)]), plain);
    }
}

#[test]
fn hashes_of_passwords_verify() {
    let host = host();
    let hash = run(&host, "bcrypt", &[text("pw")]);
    assert!(hash.starts_with("$2a$10$") && hash.len() == 60);
    assert!(::bcrypt::verify("pw", &hash).expect("a hash"));
    let line = run(&host, "htpasswd", &[text("me"), text("pw")]);
    let (user, hash) = line.split_once(':').expect("a colon");
    assert!(user == "me" && ::bcrypt::verify("pw", hash).expect("a hash"));
}

#[test]
fn pem_blocks_are_found_among_other_text() {
    let block = pem::encode("X", b"some contents that are longer than one line of base64 can hold").expect("PEM");
    let around = [b"noise\n-----BEGIN Y-----\n!\n-----END Y-----\nmore\n", block.as_bytes(), b"tail"].concat();
    assert_eq!(pem::decode(&around).map(|(label, _)| label).as_deref(), Some("X"));
    assert_eq!(pem::decode(b"-----BEGIN X-----\neA==\n"), None);
    // Beginnings without an end cost one pass.
    assert_eq!(pem::decode("-----BEGIN X-----\n".repeat(100_000).as_bytes()), None);
}
