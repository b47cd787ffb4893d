//! The client certificate of a kubeconfig: read, checked, and shown to the API server.
//!
//! It goes to the server as it is, since only the server decides whether it is good: also one of X.509 version 1, which
//! `openssl x509 -req` makes where no extensions are asked for, and which kubectl takes too. What is wrong with the key is
//! said here, with what to do.

use super::file::read_again;
use super::kubeconfig::User;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{SectionKind, from_buf};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

const CERTIFICATE: &str = "client-certificate";
const KEY: &str = "client-key";

/// Why a client certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// One of the two is missing.
    #[error("the kubeconfig's user has a {0} and no {1}; give both, or neither")]
    Half(&'static str, &'static str),
    /// A file cannot be read.
    #[error(
        "cannot read {path}, the {what} of the kubeconfig's user: {source}; mend the path, or put the content into {what}-data"
    )]
    Read {
        /// Which of the two.
        what: &'static str,
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The data is not valid base64.
    #[error("{0}-data of the kubeconfig's user is not base64: {1}; make it with base64 -w0 FILE")]
    Base64(&'static str, base64::DecodeError),
    /// The file is not valid PEM, or has nothing of what it should have.
    #[error("the {0} of the kubeconfig's user holds no {1} in PEM form (-----BEGIN {2}-----)")]
    Empty(&'static str, &'static str, &'static str),
    /// The key has a passphrase.
    #[error(
        "the client-key of the kubeconfig's user is encrypted, and nobody can be asked for its passphrase; \
         write it without: openssl pkey -in KEY -out PLAIN"
    )]
    Encrypted,
    /// A key of a kind that cannot be used.
    #[error(
        "the client-key of the kubeconfig's user is of no kind that can be used here: {0}; these can: RSA of 2048 to 8192 bits, \
         ECDSA on P-256 or P-384, Ed25519; in the forms PKCS#8, PKCS#1 and SEC1"
    )]
    Unfit(rustls::Error),
    /// The two do not belong together.
    #[error(
        "the client-key of the kubeconfig's user is not that of its client-certificate; compare: \
         openssl pkey -in KEY -pubout, and openssl x509 -in CERTIFICATE -noout -pubkey"
    )]
    Mismatch,
    /// There is no cryptography.
    #[error("no cryptography is built in")]
    NoProvider,
}

/// A certificate and its key, in PEM.
pub(super) type Pem = (Vec<u8>, Vec<u8>);

/// The client certificate of a user, if there is one.
pub(super) fn read(user: &User) -> Result<Option<Pem>, IdentityError> {
    let certificate = load(CERTIFICATE, &user.client_certificate_data, &user.client_certificate)?;
    let key = load(KEY, &user.client_key_data, &user.client_key)?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(IdentityError::Half(CERTIFICATE, KEY)),
        (None, Some(_)) => Err(IdentityError::Half(KEY, CERTIFICATE)),
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
    }
}

fn load(what: &'static str, data: &str, path: &str) -> Result<Option<Vec<u8>>, IdentityError> {
    match (data, path) {
        ("", "") => Ok(None),
        ("", path) => {
            read_again(path).map(Some).map_err(|source| IdentityError::Read { what, path: path.into(), source })
        }
        (data, _) => {
            STANDARD.decode(data.replace(['\r', '\n'], "").trim()).map(Some).map_err(|e| IdentityError::Base64(what, e))
        }
    }
}

/// What is shown for a certificate and its key.
///
/// # Errors
/// One of them cannot be used, or they do not belong together.
pub(super) fn certified(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, IdentityError> {
    let chain: Vec<CertificateDer<'static>> = sections(certificate)
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| CertificateDer::from(der))
        .collect();
    let end = chain.first().ok_or(IdentityError::Empty(CERTIFICATE, "certificate", "CERTIFICATE"))?.to_vec();
    if String::from_utf8_lossy(key).lines().any(|l| l.contains("ENCRYPTED")) {
        return Err(IdentityError::Encrypted);
    }
    let key = sections(key)
        .find_map(|(kind, der)| match kind {
            SectionKind::PrivateKey => Some(PrivateKeyDer::Pkcs8(der.into())),
            SectionKind::RsaPrivateKey => Some(PrivateKeyDer::Pkcs1(der.into())),
            SectionKind::EcPrivateKey => Some(PrivateKeyDer::Sec1(der.into())),
            _ => None,
        })
        .ok_or(IdentityError::Empty(KEY, "private key", "PRIVATE KEY"))?;
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let key = provider.key_provider.load_private_key(key).map_err(IdentityError::Unfit)?;
    // The certificate holds its public key as it is; whatever else is in it is the server's to judge.
    if let Some(public) = key.public_key()
        && !end.windows(public.len()).any(|part| part == public.as_ref())
    {
        return Err(IdentityError::Mismatch);
    }
    if let Some((from, to)) = validity(&end) {
        warn_of_time(from, to, Timestamp::now());
    }
    Ok(CertifiedKey::new(chain, key))
}

/// The sections of a PEM file, up to the first that cannot be read.
fn sections(mut pem: &[u8]) -> impl Iterator<Item = (SectionKind, Vec<u8>)> {
    std::iter::from_fn(move || from_buf(&mut pem).ok().flatten())
}

fn warn_of_time(from: Timestamp, to: Timestamp, now: Timestamp) {
    if now > to {
        tracing::warn!("the client-certificate of the kubeconfig's user has expired, on {to}; have another one signed");
    } else if now < from {
        tracing::warn!(
            "the client-certificate of the kubeconfig's user is valid from {from} on only; is the clock right?"
        );
    }
}

/// From when until when a certificate is valid; `None` where that cannot be read.
pub(super) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (certificate, _) = element(certificate).filter(|((tag, _), _)| *tag == SEQUENCE)?;
    let (signed, _) = element(certificate.1)?;
    let mut rest = signed.1;
    let ((tag, _), after) = element(rest)?;
    if tag == VERSION {
        rest = after;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.1;
    }
    let (validity, _) = element(rest)?;
    let (from, rest) = element(validity.1)?;
    let (to, _) = element(rest)?;
    Some((time(from)?, time(to)?))
}

/// A tag with its content.
type Element<'a> = (u8, &'a [u8]);

/// The first element of DER, and what follows it.
fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short if short < 0x80 => (short, rest),
        long => {
            let (length, rest) = rest.split_at_checked(long - 0x80)?;
            (length.iter().fold(0, |sum: usize, byte| sum.saturating_mul(256).saturating_add((*byte).into())), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((*tag, content), rest))
}

/// `UTCTime` or `GeneralizedTime`.
fn time((tag, content): Element<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let text = match (tag, text.get(..2)?) {
        // Years below 50 are of this century.
        (0x17, year) if year < "50" => format!("20{text}"),
        (0x17, _) => format!("19{text}"),
        _ => text.to_owned(),
    };
    let part = |at: std::ops::Range<usize>| text.get(at);
    let (date, clock) = ([part(0..4)?, part(4..6)?, part(6..8)?], [part(8..10)?, part(10..12)?, part(12..14)?]);
    format!("{}T{}Z", date.join("-"), clock.join(":")).parse().ok()
}

/// Shows one certificate to whoever asks.
#[derive(Debug)]
pub(super) struct Always(pub Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
