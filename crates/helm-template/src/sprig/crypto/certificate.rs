//! Certificates as sprig makes them with Go's `crypto/x509`.
//!
//! In: a common name, addresses and names, days, and a signer. Out: a pair of PEM texts that templates see as
//! `sprig.certificate`. Subjects have a common name only; serial numbers are random and have 128 bits.

use super::key::{Key, text};
use super::pem;
use crate::gotmpl::format::{display, quote};
use crate::gotmpl::{Host, Object, Value};
use crate::json::{Html, Writer};
use crate::sprig::dates;
use crate::sprig::random::{Source, fill};
use der::asn1::{BitString, Ia5String, OctetString, Uint};
use der::flagset::FlagSet;
use der::oid::AssociatedOid;
use der::oid::db::{rfc4519::COMMON_NAME, rfc5280};
use der::{Any, Decode as _, Encode, Sequence, Tag};
use sha2::{Digest, Sha256};
use std::any::Any as AnyType;
use std::net::IpAddr;
use std::rc::Rc;
use x509_cert::Version;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::RelativeDistinguishedName;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// Nanoseconds in a day.
const DAY: i64 = 24 * 3_600 * 1_000_000_000;

/// A certificate (RFC 5280, 4.1).
///
/// The extensions, keys and algorithms are types of `x509-cert`. Its `Certificate` is not used, for two reasons: it has
/// no times before 1970, which Go writes where the days are negative or overflow; and it decodes names, while the name
/// of an authority must be copied byte for byte.
#[derive(Sequence)]
struct Certificate {
    body: Body,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// The part of a certificate that is signed (`TBSCertificate`).
#[derive(Sequence)]
struct Body {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    version: Version,
    serial_number: Uint,
    algorithm: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    public_key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    issuer_id: Option<BitString>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    subject_id: Option<BitString>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

/// The parts of a name, each in its encoding.
type Name = Vec<Any>;

/// Two times, each in its encoding.
#[derive(Sequence)]
struct Validity {
    not_before: Any,
    not_after: Any,
}

/// `sprig.certificate`: a certificate and its key.
pub(super) struct Pair {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    /// A pair of texts that are already PEM.
    pub(super) fn new(cert: Vec<u8>, key: Vec<u8>) -> Self {
        Self { cert, key }
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

impl Object for Pair {
    fn type_name(&self) -> &'static str {
        "sprig.certificate"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::string(self.cert.as_slice())),
            "Key" => Some(Value::string(self.key.as_slice())),
            _ => None,
        }
    }

    fn display(&self) -> String {
        format!("{{{} {}}}", String::from_utf8_lossy(&self.cert), String::from_utf8_lossy(&self.key))
    }

    fn to_json(&self) -> Result<String, String> {
        let mut writer = Writer::new(Html::Escaped);
        writer.object(|writer| {
            writer.key(b"Cert");
            writer.string(&self.cert);
            writer.key(b"Key");
            writer.string(&self.key);
        });
        Ok(writer.out)
    }

    fn as_any(&self) -> &dyn AnyType {
        self
    }
}

/// What a new certificate says.
pub(super) struct Template {
    common_name: Vec<u8>,
    addresses: Vec<IpAddr>,
    dns_names: Vec<Vec<u8>>,
    days: i64,
    is_authority: bool,
}

impl Template {
    /// A certificate of an authority.
    pub(super) fn authority(common_name: &[u8], days: i64) -> Self {
        let (addresses, dns_names) = (Vec::new(), Vec::new());
        Self { common_name: common_name.to_vec(), addresses, dns_names, days, is_authority: true }
    }

    /// A certificate of a server or client; addresses and names are lists of texts, or nil.
    ///
    /// # Errors
    /// An item is not a text, or not an address.
    pub(super) fn leaf(common_name: &[u8], addresses: &Value, dns_names: &Value, days: i64) -> Result<Self, String> {
        let addresses = items(addresses).iter().map(address).collect::<Result<_, _>>()?;
        let dns_names = items(dns_names).iter().map(dns_name).collect::<Result<_, _>>()?;
        Ok(Self { common_name: common_name.to_vec(), addresses, dns_names, days, is_authority: false })
    }
}

fn items(list: &Value) -> Vec<Value> {
    match list {
        Value::List(l) => l.snapshot(),
        _ => Vec::new(),
    }
}

fn shown(value: &Value) -> String {
    String::from_utf8_lossy(&display(value)).into_owned()
}

fn address(value: &Value) -> Result<IpAddr, String> {
    let Value::String(text) = value else {
        return Err(format!("error parsing ip: {} is not a string", shown(value)));
    };
    let address = text.to_str().parse::<IpAddr>();
    address.map(|a| a.to_canonical()).map_err(|_| format!("error parsing ip: {}", text.to_str()))
}

fn dns_name(value: &Value) -> Result<Vec<u8>, String> {
    match value {
        Value::String(text) => Ok(text.as_bytes().to_vec()),
        other => Err(format!("error processing alternate dns name: {} is not a string", shown(other))),
    }
}

/// A certificate that signs others, with its key.
pub(super) struct Authority {
    key: Key,
    body: Body,
}

impl Authority {
    /// The authority in a template value.
    ///
    /// # Errors
    /// The texts are not a certificate and a key.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        let pair = match value {
            Value::Object(o) => o.as_any().downcast_ref::<Pair>(),
            _ => None,
        };
        let Certificate { body, .. } = read(pair.map(|p| p.cert.as_slice()).unwrap_or_default())?;
        let key = Key::read(pair.map(|p| p.key.as_slice()).unwrap_or_default());
        Ok(Self { key: key.map_err(|e| format!("error parsing private key: {e}"))?, body })
    }

    /// The identifier of its key, if its certificate has one.
    fn key_id(&self) -> Option<OctetString> {
        let extensions = self.body.extensions.as_ref()?;
        let extension = extensions.iter().find(|e| e.extn_id == SubjectKeyIdentifier::OID)?;
        SubjectKeyIdentifier::from_der(extension.extn_value.as_bytes()).ok().map(|id| id.0)
    }
}

/// The certificate in a PEM text.
fn read(pem: &[u8]) -> Result<Certificate, String> {
    let (_, contents) = pem::decode(pem).ok_or("unable to decode certificate")?;
    let malformed = |_| "error parsing certificate: decodedCert.Bytes: x509: malformed certificate".to_owned();
    Certificate::from_der(&contents).map_err(malformed)
}

/// A certificate for `key`, signed by itself.
pub(super) fn self_signed(host: &Host, template: &Template, key: &Key) -> Result<Value, String> {
    let issuer = || Ok(Issuer { key, subject: name(&template.common_name)?, key_id: None });
    let cert = issuer().and_then(|issuer| create(host, template, key, issuer));
    finished(cert, key)
}

/// A certificate for `key`, signed by an authority.
pub(super) fn signed(host: &Host, template: &Template, key: &Key, authority: &Authority) -> Result<Value, String> {
    let Authority { key: signing, body } = authority;
    let cert = if signing.algorithm().is_ok() && Ok(&body.public_key) != signing.public_info().as_ref() {
        Err("x509: provided PrivateKey doesn't match parent's PublicKey".to_owned())
    } else {
        let issuer = Issuer { key: signing, subject: body.subject.clone(), key_id: authority.key_id() };
        create(host, template, key, issuer)
    };
    finished(cert, key)
}

fn finished(cert: Result<Vec<u8>, String>, key: &Key) -> Result<Value, String> {
    let cert = cert.map_err(|e| format!("error creating certificate: {e}"))?;
    Ok(Pair::new(pem::encode("CERTIFICATE", &cert)?.into_bytes(), key.to_pem()?.into_bytes()).into_value())
}

/// The signer of a certificate.
struct Issuer<'a> {
    key: &'a Key,
    subject: Name,
    key_id: Option<OctetString>,
}

/// `x509.CreateCertificate`
fn create(host: &Host, template: &Template, key: &Key, issuer: Issuer<'_>) -> Result<Vec<u8>, String> {
    let algorithm = issuer.key.algorithm()?;
    let subject = name(&template.common_name)?;
    let mut serial = [0; 16];
    fill(host, &mut serial);
    let (now, nanoseconds) = (host.now)();
    // Days beyond what nanoseconds can count wrap around, as in Go.
    let validity = template.days.wrapping_mul(DAY);
    let end = i128::from(now) * SECOND + i128::from(nanoseconds) + i128::from(validity);
    let end = i64::try_from(end.div_euclid(SECOND)).unwrap_or(now);
    let public_key = key.public_info()?;
    let key_id = issuer.key_id.filter(|id| issuer.subject != subject && !id.as_bytes().is_empty());
    let body = Body {
        version: Version::V3,
        serial_number: Uint::new(&serial).map_err(text)?,
        algorithm: algorithm.clone(),
        issuer: issuer.subject,
        validity: Validity { not_before: time(now)?, not_after: time(end)? },
        subject,
        extensions: Some(extensions(template, &public_key, key_id)?),
        public_key,
        issuer_id: None,
        subject_id: None,
    };
    let signature = issuer.key.sign(&mut Source(host), &body.to_der().map_err(text)?)?;
    let signature = BitString::from_bytes(&signature).map_err(text)?;
    Certificate { body, algorithm, signature }.to_der().map_err(text)
}

/// The extensions in Go's order.
fn extensions(
    template: &Template,
    public_key: &SubjectPublicKeyInfoOwned,
    authority_key_id: Option<OctetString>,
) -> Result<Extensions, String> {
    let ca = template.is_authority;
    let mut usage: FlagSet<KeyUsages> = KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment;
    if ca {
        usage |= KeyUsages::KeyCertSign;
    }
    let purposes = vec![rfc5280::ID_KP_SERVER_AUTH, rfc5280::ID_KP_CLIENT_AUTH];
    let mut list = vec![
        extension(true, &KeyUsage(usage))?,
        extension(false, &ExtendedKeyUsage(purposes))?,
        extension(true, &BasicConstraints { ca, path_len_constraint: None })?,
    ];
    if ca {
        let digest = Sha256::digest(public_key.subject_public_key.raw_bytes());
        let id = OctetString::new(digest.get(..20).unwrap_or_default()).map_err(text)?;
        list.push(extension(false, &SubjectKeyIdentifier(id))?);
    }
    if authority_key_id.is_some() {
        let id = AuthorityKeyIdentifier { key_identifier: authority_key_id, ..Default::default() };
        list.push(extension(false, &id)?);
    }
    let dns_names = template.dns_names.iter().map(|name| {
        let shown = || format!("x509: {} cannot be encoded as an IA5String", String::from_utf8_lossy(&quote(name)));
        Ia5String::new(name).map(GeneralName::DnsName).map_err(|_| shown())
    });
    let addresses = template.addresses.iter().map(|address| Ok(GeneralName::from(*address)));
    let names = dns_names.chain(addresses).collect::<Result<Vec<_>, String>>()?;
    if !names.is_empty() {
        // Critical where the subject is empty (RFC 5280, 4.2.1.6).
        let is_critical = template.common_name.is_empty();
        list.push(extension(is_critical, &SubjectAltName(names))?);
    }
    Ok(list)
}

fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension, String> {
    let extn_value = value.to_der().and_then(OctetString::new).map_err(text)?;
    Ok(Extension { extn_id: T::OID, critical, extn_value })
}

/// A name with nothing but a common name; without that it is empty.
fn name(common_name: &[u8]) -> Result<Name, String> {
    if common_name.is_empty() {
        return Ok(Vec::new());
    }
    if std::str::from_utf8(common_name).is_err() {
        return Err("asn1: string not valid UTF-8".to_owned());
    }
    let is_printable = common_name.iter().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(b));
    let tag = if is_printable { Tag::PrintableString } else { Tag::Utf8String };
    let value = Any::new(tag, common_name).map_err(text)?;
    let mut part = RelativeDistinguishedName::default();
    part.insert(AttributeTypeAndValue { oid: COMMON_NAME, value }).map_err(text)?;
    Ok(vec![Any::encode_from(&part).map_err(text)?])
}

/// A time as UTCTime for the years 1950 to 2049, else as GeneralizedTime.
fn time(seconds: i64) -> Result<Any, String> {
    let year = String::from_utf8_lossy(&dates::utc(b"2006", seconds)).parse().unwrap_or(-1);
    let (tag, layout): (_, &[u8]) = match year {
        1950..2050 => (Tag::UtcTime, b"060102150405Z"),
        0..=9999 => (Tag::GeneralizedTime, b"20060102150405Z"),
        _ => return Err("asn1: structure error: cannot represent time as GeneralizedTime".to_owned()),
    };
    Any::new(tag, dates::utc(layout, seconds)).map_err(text)
}

/// `buildCustomCert`: a pair of texts that the caller has.
///
/// # Errors
/// A text is not PEM, or not a certificate or key.
pub(super) fn custom(cert: Vec<u8>, key: Vec<u8>) -> Result<Value, String> {
    read(&cert)?;
    Key::read(&key).map_err(|e| format!("error parsing private key: {e}"))?;
    Ok(Pair::new(cert, key).into_value())
}
