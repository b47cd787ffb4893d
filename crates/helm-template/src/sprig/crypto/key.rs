//! Private keys of all kinds: made, read from PEM, written as PEM, and used to sign.

use super::{dsa, pem};
use crate::sprig::random::Source;
use der::asn1::{BitString, ObjectIdentifier, OctetString, OctetStringRef};
use der::oid::db::{rfc5912, rfc8410::ID_ED_25519};
use der::pem::LineEnding;
use der::{Any, Decode as _, Encode as _};
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{PrivateKeyInfoOwned, PrivateKeyInfoRef};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::traits::PublicKeyParts as _;
use sec1::EcPrivateKey;
use sha2::Sha256;
use x509_cert::spki::{AlgorithmIdentifier, AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Bits of the RSA keys of `genPrivateKey`.
const RSA_BITS: usize = 4096;

/// Bits of the RSA keys of new certificates.
const RSA_CERTIFICATE_BITS: usize = 2048;

/// A private key.
pub(super) enum Key {
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    Ed25519([u8; 32]),
    /// In the form of OpenSSL; it cannot sign.
    Dsa(Vec<u8>),
}

impl Key {
    /// A new RSA key for a certificate.
    ///
    /// # Errors
    /// The random source gives no two primes.
    pub(super) fn for_certificate(source: &mut Source<'_>) -> Result<Self, String> {
        let key = rsa::PrivateKey::new(source, RSA_CERTIFICATE_BITS);
        key.map(|key| Self::Rsa(Box::new(key))).map_err(|e| format!("error generating rsa key: {e}"))
    }

    /// `genPrivateKey`: a new key of a kind by name; `None` for a name that is not known.
    ///
    /// # Errors
    /// The random source gives no primes.
    pub(super) fn generate(source: &mut Source<'_>, kind: &[u8]) -> Result<Option<Self>, String> {
        Ok(Some(match kind {
            b"" | b"rsa" => Self::Rsa(Box::new(rsa::PrivateKey::new(source, RSA_BITS).map_err(text)?)),
            b"dsa" => Self::Dsa(dsa::generate(source)?),
            b"ecdsa" => Self::P256(p256::SecretKey::generate_from_rng(source)),
            b"ed25519" => {
                let mut seed = [0; 32];
                super::fill(source, &mut seed);
                Self::Ed25519(seed)
            }
            _ => return Ok(None),
        }))
    }

    /// Reads a key from PEM.
    ///
    /// # Errors
    /// What sprig says of a text that holds no key.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let (label, contents) = pem::decode(text).ok_or("no PEM data in input")?;
        if label == "PRIVATE KEY" {
            let key = Self::read_pkcs8(&contents);
            return key.ok_or_else(|| "decoding PEM as PKCS#8: the key cannot be read".to_owned());
        }
        let Some(kind) = label.strip_suffix(" PRIVATE KEY") else {
            return Err(format!("no private key data in PEM block of type {label}"));
        };
        let key = match kind {
            "RSA" => Self::read_pkcs1(&contents),
            "EC" => Self::read_sec1(&contents, None),
            "DSA" => dsa::is_key(&contents).then(|| Self::Dsa(contents)),
            _ => return Err(format!("invalid private key type {label}")),
        };
        key.ok_or_else(|| format!("parsing {kind} private key from PEM: the key cannot be read"))
    }

    /// An RSA key in PKCS #1; its numbers are checked.
    fn read_pkcs1(contents: &[u8]) -> Option<Self> {
        // The numbers of a key are four and a half times as long as its modulus. Longer keys would take longer than the
        // prices of these functions allow.
        if contents.len() > rsa::PublicKey::MAX_SIZE / 8 * 5 {
            return None;
        }
        rsa::PrivateKey::from_pkcs1_der(contents).ok().map(|key| Self::Rsa(Box::new(key)))
    }

    /// A key of any kind but DSA in PKCS #8. What follows it is ignored, as in Go.
    fn read_pkcs8(contents: &[u8]) -> Option<Self> {
        let (info, _) = PrivateKeyInfoRef::from_der_partial(contents).ok()?;
        let key = info.private_key.as_bytes();
        match info.algorithm.oid {
            rfc5912::RSA_ENCRYPTION => Self::read_pkcs1(key),
            rfc5912::ID_EC_PUBLIC_KEY => Self::read_sec1(key, info.algorithm.parameters_oid().ok()),
            ID_ED_25519 => {
                let (seed, _) = <&OctetStringRef>::from_der_partial(key).ok()?;
                seed.as_bytes().try_into().ok().map(Self::Ed25519)
            }
            _ => None,
        }
    }

    /// An elliptic curve key in SEC 1; it names its curve itself unless PKCS #8 does. What follows it is ignored, as in
    /// Go.
    fn read_sec1(contents: &[u8], curve: Option<ObjectIdentifier>) -> Option<Self> {
        let (key, _) = EcPrivateKey::from_der_partial(contents).ok()?;
        match curve.or_else(|| key.parameters?.named_curve())? {
            rfc5912::SECP_256_R_1 => p256::SecretKey::from_bytes(&scalar(key.private_key)?.into()).ok().map(Self::P256),
            rfc5912::SECP_384_R_1 => p384::SecretKey::from_bytes(&scalar(key.private_key)?.into()).ok().map(Self::P384),
            _ => None,
        }
    }

    /// The PEM text: PKCS #1, SEC 1, PKCS #8 or OpenSSL's form for DSA.
    ///
    /// # Errors
    /// It cannot be encoded, which no key that was read or generated here is known to do.
    pub(super) fn to_pem(&self) -> Result<String, String> {
        match self {
            Self::Rsa(key) => key.to_pkcs1_pem(LineEnding::LF).map(|pem| pem.to_string()).map_err(text),
            Self::P256(key) => key.to_sec1_pem(LineEnding::LF).map(|pem| pem.to_string()).map_err(text),
            Self::P384(key) => key.to_sec1_pem(LineEnding::LF).map(|pem| pem.to_string()).map_err(text),
            Self::Ed25519(seed) => {
                let seed = OctetString::new(*seed).and_then(|seed| seed.to_der()).map_err(text)?;
                let key = OctetString::new(seed).map_err(text)?;
                let info: PrivateKeyInfoOwned = PrivateKeyInfoOwned::new(plain(ID_ED_25519), key);
                pem::encode("PRIVATE KEY", &info.to_der().map_err(text)?)
            }
            Self::Dsa(key) => pem::encode("DSA PRIVATE KEY", key),
        }
    }

    /// The public key with its algorithm, as it stands in certificates.
    ///
    /// # Errors
    /// Go makes no certificates for DSA keys.
    pub(super) fn public_info(&self) -> Result<SubjectPublicKeyInfoOwned, String> {
        match self {
            Self::Rsa(key) => SubjectPublicKeyInfoOwned::from_key(key.as_public_key()).map_err(text),
            Self::P256(key) => SubjectPublicKeyInfoOwned::from_key(&key.public_key()).map_err(text),
            Self::P384(key) => SubjectPublicKeyInfoOwned::from_key(&key.public_key()).map_err(text),
            Self::Ed25519(seed) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(text)?;
                let subject_public_key = BitString::from_bytes(pair.public_key().as_ref()).map_err(text)?;
                Ok(SubjectPublicKeyInfoOwned { algorithm: plain(ID_ED_25519), subject_public_key })
            }
            Self::Dsa(_) => Err("x509: unsupported public key type: *dsa.PublicKey".to_owned()),
        }
    }

    /// The algorithm of this key's signatures.
    ///
    /// # Errors
    /// DSA keys do not sign.
    pub(super) fn algorithm(&self) -> Result<AlgorithmIdentifierOwned, String> {
        Ok(match self {
            Self::Rsa(_) => {
                AlgorithmIdentifier { oid: rfc5912::SHA_256_WITH_RSA_ENCRYPTION, parameters: Some(Any::null()) }
            }
            Self::P256(_) => plain(rfc5912::ECDSA_WITH_SHA_256),
            Self::P384(_) => plain(rfc5912::ECDSA_WITH_SHA_384),
            Self::Ed25519(_) => plain(ID_ED_25519),
            Self::Dsa(_) => return Err("x509: certificate private key does not implement crypto.Signer".to_owned()),
        })
    }

    /// Signs a message. The signature depends on key and message alone; the random source only blinds the computation,
    /// so that its duration tells nothing about the key.
    ///
    /// # Errors
    /// The key cannot sign.
    pub(super) fn sign(&self, source: &mut Source<'_>, message: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Rsa(key) => {
                let bits = key.n().bit_width();
                if bits < 1024 {
                    let see = "see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size";
                    return Err(format!("crypto/rsa: {bits}-bit keys are insecure ({see})"));
                }
                key.pkcs1v15_sign_with_rng::<Sha256, _>(source, message).map_err(text)
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::DerSignature = p256::ecdsa::SigningKey::from(key).sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::DerSignature = p384::ecdsa::SigningKey::from(key).sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Self::Ed25519(seed) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(text)?;
                Ok(pair.sign(message).as_ref().to_vec())
            }
            Self::Dsa(_) => Err("x509: certificate private key does not implement crypto.Signer".to_owned()),
        }
    }
}

/// An algorithm without parameters.
fn plain(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifier { oid, parameters: None }
}

/// A number as `LENGTH` bytes, zeros in front added or removed as in Go; `None` if it is larger.
fn scalar<const LENGTH: usize>(number: &[u8]) -> Option<[u8; LENGTH]> {
    let leading = number.iter().take_while(|b| **b == 0).count();
    let digits = number.get(leading..)?;
    let mut out = [0; LENGTH];
    out.get_mut(LENGTH.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some(out)
}

/// The text of a crate's error.
pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
