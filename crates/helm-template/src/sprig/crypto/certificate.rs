//! Certificates as sprig makes them with Go's `crypto/x509`.
//!
//! In: a common name, addresses and names, days, and a signer. Out: a pair of PEM texts that templates see as
//! `sprig.certificate`. Subjects have a common name only; serial numbers are random numbers of 128 bits.

use super::der::{self, Reader, element, sequence};
use super::key::Key;
use super::pem;
use crate::gotmpl::format::{display, quote};
use crate::gotmpl::{Host, Object, Value};
use crate::sprig::json_write;
use crate::sprig::random::fill;
use sha2::{Digest, Sha256};
use std::any::Any;
use std::net::IpAddr;
use std::rc::Rc;

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// Nanoseconds in a day.
const DAY: i64 = 24 * 3_600 * 1_000_000_000;

/// `2.5.4.3`, the common name.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// `2.5.29.14`
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
/// `2.5.29.15`
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// `2.5.29.17`
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
/// `2.5.29.19`
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// `2.5.29.35`
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
/// `2.5.29.37`
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
/// `1.3.6.1.5.5.7.3.1`
const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// `1.3.6.1.5.5.7.3.2`
const CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// Digital signature and key encipherment, and the count of unused bits before them.
const LEAF_USAGE: &[u8] = &[5, 0b1010_0000];
/// The same and the signing of certificates.
const AUTHORITY_USAGE: &[u8] = &[2, 0b1010_0100];

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
        let text = |bytes: &[u8]| json_write::compact(&Value::string(bytes), true);
        Ok(format!("{{\"Cert\":{},\"Key\":{}}}", text(&self.cert)?, text(&self.key)?))
    }

    fn as_any(&self) -> &dyn Any {
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
    /// Of an authority.
    pub(super) fn authority(common_name: &[u8], days: i64) -> Self {
        let (addresses, dns_names) = (Vec::new(), Vec::new());
        Self { common_name: common_name.to_vec(), addresses, dns_names, days, is_authority: true }
    }

    /// Of a server or client; addresses and names are lists of texts, or nil.
    ///
    /// # Errors
    /// An item is no text, or no address.
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
    cert: Parsed,
}

impl Authority {
    /// The authority in a template value.
    ///
    /// # Errors
    /// The texts are no certificate or no key.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        let pair = match value {
            Value::Object(o) => o.as_any().downcast_ref::<Pair>(),
            _ => None,
        };
        let (_, der) = pair.and_then(|p| pem::decode(&p.cert)).ok_or("unable to decode certificate")?;
        let cert = Parsed::read(&der).ok_or_else(malformed)?;
        let key = Key::read(pair.map(|p| p.key.as_slice()).unwrap_or_default());
        Ok(Self { key: key.map_err(|e| format!("error parsing private key: {e}"))?, cert })
    }
}

fn malformed() -> String {
    "error parsing certificate: decodedCert.Bytes: x509: malformed certificate".to_owned()
}

/// What is needed of a certificate that signs another.
struct Parsed {
    subject: Vec<u8>,
    public_info: Vec<u8>,
    key_id: Vec<u8>,
}

impl Parsed {
    /// RFC 5280, 4.1; `None` for anything that is not built so.
    fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut certificate = outer.sequence()?;
        let mut fields = certificate.sequence()?;
        certificate.sequence()?;
        certificate.bits()?;
        fields.skip(der::explicit(0));
        fields.take(der::INTEGER)?;
        // Signature algorithm, issuer, validity.
        for _ in 0..3 {
            fields.sequence()?;
        }
        let (subject, _) = fields.whole(der::SEQUENCE)?;
        let (public_info, _) = fields.whole(der::SEQUENCE)?;
        let key_id = fields.take(der::explicit(3)).and_then(find_key_id).unwrap_or_default();
        let is_whole = certificate.is_done() && outer.is_done();
        is_whole.then(|| Self { subject: subject.to_vec(), public_info: public_info.to_vec(), key_id })
    }
}

/// The subject key identifier among extensions.
fn find_key_id(extensions: &[u8]) -> Option<Vec<u8>> {
    let mut list = Reader::new(extensions).sequence()?;
    while let Some(mut extension) = list.sequence() {
        let is_wanted = extension.take(der::OID)? == SUBJECT_KEY_ID;
        // The mark of a critical extension.
        extension.skip(0x01);
        if is_wanted {
            let value = extension.take(der::OCTET_STRING)?;
            return Reader::new(value).take(der::OCTET_STRING).map(<[u8]>::to_vec);
        }
    }
    None
}

/// A certificate for `key`, signed by itself.
pub(super) fn self_signed(host: &Host, template: &Template, key: &Key) -> Result<Value, String> {
    let issuer = || Ok(Issuer { key, subject: name(&template.common_name)?, key_id: &[] });
    let cert = issuer().and_then(|issuer| create(host, template, key, &issuer));
    finished(cert, key)
}

/// A certificate for `key`, signed by an authority.
pub(super) fn signed(host: &Host, template: &Template, key: &Key, authority: &Authority) -> Result<Value, String> {
    let Authority { key: signing, cert } = authority;
    let issuer = Issuer { key: signing, subject: cert.subject.clone(), key_id: &cert.key_id };
    let cert = if signing.algorithm().is_ok() && Ok(&cert.public_info) != signing.public_info().as_ref() {
        Err("x509: provided PrivateKey doesn't match parent's PublicKey".to_owned())
    } else {
        create(host, template, key, &issuer)
    };
    finished(cert, key)
}

fn finished(cert: Result<Vec<u8>, String>, key: &Key) -> Result<Value, String> {
    let cert = cert.map_err(|e| format!("error creating certificate: {e}"))?;
    Ok(Pair::new(pem::encode("CERTIFICATE", &cert), key.to_pem()).into_value())
}

/// Who signs.
struct Issuer<'a> {
    key: &'a Key,
    /// The subject in DER.
    subject: Vec<u8>,
    /// Empty if the issuer's certificate has none.
    key_id: &'a [u8],
}

/// `x509.CreateCertificate`
fn create(host: &Host, template: &Template, key: &Key, issuer: &Issuer<'_>) -> Result<Vec<u8>, String> {
    let algorithm = issuer.key.algorithm()?;
    let subject = name(&template.common_name)?;
    let mut serial = [0; 16];
    fill(host, &mut serial);
    let (now, nanoseconds) = (host.now)();
    // Days beyond what nanoseconds can count wrap around, as in Go.
    let validity = template.days.wrapping_mul(DAY);
    let end = i128::from(now) * SECOND + i128::from(nanoseconds) + i128::from(validity);
    let end = i64::try_from(end.div_euclid(SECOND)).unwrap_or(now);
    let body = sequence(&[
        element(der::explicit(0), &der::integer(&[2])),
        der::integer(&serial),
        algorithm.clone(),
        issuer.subject.clone(),
        sequence(&[time(now)?, time(end)?]),
        subject.clone(),
        key.public_info()?,
        element(der::explicit(3), &extensions(template, key, &subject, issuer)?),
    ]);
    let signature = issuer.key.sign(&body)?;
    Ok(sequence(&[body, algorithm, der::bit_string(&signature)]))
}

/// The extensions in Go's order.
fn extensions(template: &Template, key: &Key, subject: &[u8], issuer: &Issuer<'_>) -> Result<Vec<u8>, String> {
    let usage = if template.is_authority { AUTHORITY_USAGE } else { LEAF_USAGE };
    let constraints = if template.is_authority { sequence(&[der::TRUE]) } else { sequence::<&[u8]>(&[]) };
    let purposes = [SERVER, CLIENT].map(|oid| element(der::OID, oid));
    let mut list = vec![
        extension(KEY_USAGE, true, &element(der::BIT_STRING, usage)),
        extension(EXTENDED_KEY_USAGE, false, &sequence(&purposes)),
        extension(BASIC_CONSTRAINTS, true, &constraints),
    ];
    if template.is_authority {
        let digest = Sha256::digest(key.public_bytes());
        let id = digest.get(..20).unwrap_or_default();
        list.push(extension(SUBJECT_KEY_ID, false, &element(der::OCTET_STRING, id)));
    }
    if issuer.subject != subject && !issuer.key_id.is_empty() {
        let id = sequence(&[element(der::implicit(0), issuer.key_id)]);
        list.push(extension(AUTHORITY_KEY_ID, false, &id));
    }
    let mut names = Vec::new();
    for name in &template.dns_names {
        if !name.is_ascii() {
            let shown = String::from_utf8_lossy(&quote(name)).into_owned();
            return Err(format!("x509: {shown} cannot be encoded as an IA5String"));
        }
        names.push(element(der::implicit(2), name));
    }
    names.extend(template.addresses.iter().map(|address| match address {
        IpAddr::V4(v4) => element(der::implicit(7), &v4.octets()),
        IpAddr::V6(v6) => element(der::implicit(7), &v6.octets()),
    }));
    if !names.is_empty() {
        // Names matter more where the subject says nothing.
        let is_critical = template.common_name.is_empty();
        list.push(extension(ALTERNATIVE_NAMES, is_critical, &sequence(&names)));
    }
    Ok(sequence(&list))
}

fn extension(oid: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let mut fields = vec![element(der::OID, oid)];
    if is_critical {
        fields.push(der::TRUE.to_vec());
    }
    fields.push(element(der::OCTET_STRING, value));
    sequence(&fields)
}

/// A name of a common name only; an empty one has no parts.
fn name(common_name: &[u8]) -> Result<Vec<u8>, String> {
    if common_name.is_empty() {
        return Ok(sequence::<&[u8]>(&[]));
    }
    if std::str::from_utf8(common_name).is_err() {
        return Err("asn1: string not valid UTF-8".to_owned());
    }
    let is_printable = common_name.iter().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(b));
    let tag = if is_printable { der::PRINTABLE_STRING } else { der::UTF8_STRING };
    let attribute = sequence(&[element(der::OID, COMMON_NAME), element(tag, common_name)]);
    Ok(sequence(&[element(der::SET, &attribute)]))
}

/// A time in the form that its year asks for.
fn time(seconds: i64) -> Result<Vec<u8>, String> {
    let year = String::from_utf8_lossy(&crate::sprig::dates::utc(b"2006", seconds)).parse().unwrap_or(-1);
    match year {
        1950..2050 => Ok(element(der::UTC_TIME, &crate::sprig::dates::utc(b"060102150405Z", seconds))),
        0..=9999 => Ok(element(der::GENERALIZED_TIME, &crate::sprig::dates::utc(b"20060102150405Z", seconds))),
        _ => Err("asn1: structure error: cannot represent time as GeneralizedTime".to_owned()),
    }
}

/// `buildCustomCert`: a pair of texts that the caller has.
///
/// # Errors
/// A text is no PEM, no certificate or no key.
pub(super) fn custom(cert: Vec<u8>, key: Vec<u8>) -> Result<Value, String> {
    let (_, der) = pem::decode(&cert).ok_or("unable to decode certificate")?;
    Parsed::read(&der).ok_or_else(malformed)?;
    Key::read(&key).map_err(|e| format!("error parsing private key: {e}"))?;
    Ok(Pair::new(cert, key).into_value())
}
