//! Private keys of all kinds: made, read from PEM, written as PEM, and used to sign.

use super::der::{self, Reader, element, sequence};
use super::{dsa, pem, rsa};
use crate::sprig::random::Source;
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// Bits of the RSA keys of `genPrivateKey`.
const RSA_BITS: u32 = 4096;

/// `1.2.840.113549.1.1.1`
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// `1.2.840.113549.1.1.11`
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
/// `1.2.840.10045.2.1`
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// `1.2.840.10045.3.1.7`
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// `1.3.132.0.34`
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
/// `1.2.840.10045.4.3.2`
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// `1.2.840.10045.4.3.3`
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
/// `1.3.101.112`
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A private key.
pub(super) enum Key {
    Rsa(rsa::Key),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519([u8; 32]),
    /// In the form of OpenSSL; it cannot sign.
    Dsa(Vec<u8>),
}

impl Key {
    /// A new RSA key of 2048 bits, as certificates have it.
    pub(super) fn for_certificate(source: &mut Source<'_>) -> Result<Self, String> {
        let key = rsa::Key::generate(source, 2048);
        key.map(Self::Rsa).ok_or_else(|| "error generating rsa key: the random source gives no primes".to_owned())
    }

    /// `genPrivateKey`: a new key of a kind by name; `None` for a name that is not known.
    pub(super) fn generate(source: &mut Source<'_>, kind: &[u8]) -> Option<Self> {
        Some(match kind {
            b"" | b"rsa" => Self::Rsa(rsa::Key::generate(source, RSA_BITS)?),
            b"dsa" => Self::Dsa(dsa::generate(source)?),
            b"ecdsa" => Self::P256(p256::ecdsa::SigningKey::generate_from_rng(source)),
            b"ed25519" => {
                let mut seed = [0; 32];
                super::fill(source, &mut seed);
                Self::Ed25519(seed)
            }
            _ => return None,
        })
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
            "RSA" => rsa::Key::read(&contents).map(Self::Rsa),
            "EC" => Self::read_sec1(&contents, None),
            "DSA" => Some(Self::Dsa(contents)),
            _ => return Err(format!("invalid private key type {label}")),
        };
        key.ok_or_else(|| format!("parsing {kind} private key from PEM: the key cannot be read"))
    }

    /// RFC 5958: version, algorithm, key in its own form.
    fn read_pkcs8(contents: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(contents).sequence()?;
        fields.integer()?;
        let mut algorithm = fields.sequence()?;
        let kind = algorithm.take(der::OID)?;
        let key = fields.take(der::OCTET_STRING)?;
        match kind {
            RSA_ENCRYPTION => rsa::Key::read(key).map(Self::Rsa),
            EC_PUBLIC_KEY => Self::read_sec1(key, algorithm.take(der::OID)),
            ED25519 => {
                let seed = Reader::new(key).take(der::OCTET_STRING)?;
                seed.try_into().ok().map(Self::Ed25519)
            }
            _ => None,
        }
    }

    /// RFC 5915: version, scalar, curve (if it is not known already), public key.
    fn read_sec1(contents: &[u8], curve: Option<&[u8]>) -> Option<Self> {
        let mut fields = Reader::new(contents).sequence()?;
        fields.integer()?;
        let scalar = fields.take(der::OCTET_STRING)?;
        let named = fields.take(der::explicit(0)).and_then(|c| Reader::new(c).take(der::OID));
        match curve.or(named)? {
            P256 => p256::ecdsa::SigningKey::from_slice(&padded(scalar, 32)?).ok().map(Self::P256),
            P384 => p384::ecdsa::SigningKey::from_slice(&padded(scalar, 48)?).ok().map(Self::P384),
            _ => None,
        }
    }

    /// The PEM text: PKCS #1, SEC 1, PKCS #8 or OpenSSL's form for DSA.
    pub(super) fn to_pem(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => pem::encode("RSA PRIVATE KEY", key.to_der()),
            Self::P256(key) => pem::encode("EC PRIVATE KEY", &sec1(P256, &key.to_bytes(), &self.public_bytes())),
            Self::P384(key) => pem::encode("EC PRIVATE KEY", &sec1(P384, &key.to_bytes(), &self.public_bytes())),
            Self::Ed25519(seed) => {
                let algorithm = sequence(&[element(der::OID, ED25519)]);
                let key = element(der::OCTET_STRING, &element(der::OCTET_STRING, seed));
                pem::encode("PRIVATE KEY", &sequence(&[der::integer(&[]), algorithm, key]))
            }
            Self::Dsa(key) => pem::encode("DSA PRIVATE KEY", key),
        }
    }

    /// The public key alone, in its own form.
    pub(super) fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public(),
            Self::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::Ed25519(seed) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed);
                pair.map(|pair| pair.public_key().as_ref().to_vec()).unwrap_or_default()
            }
            Self::Dsa(_) => Vec::new(),
        }
    }

    /// The public key with its algorithm, as certificates hold it.
    ///
    /// # Errors
    /// Go makes no certificates for DSA keys.
    pub(super) fn public_info(&self) -> Result<Vec<u8>, String> {
        let oid = |oid: &[u8]| element(der::OID, oid);
        let algorithm = match self {
            Self::Rsa(_) => sequence(&[oid(RSA_ENCRYPTION), der::NULL.to_vec()]),
            Self::P256(_) => sequence(&[oid(EC_PUBLIC_KEY), oid(P256)]),
            Self::P384(_) => sequence(&[oid(EC_PUBLIC_KEY), oid(P384)]),
            Self::Ed25519(_) => sequence(&[oid(ED25519)]),
            Self::Dsa(_) => return Err("x509: unsupported public key type: *dsa.PublicKey".to_owned()),
        };
        Ok(sequence(&[algorithm, der::bit_string(&self.public_bytes())]))
    }

    /// The algorithm of this key's signatures, in DER.
    ///
    /// # Errors
    /// DSA keys do not sign.
    pub(super) fn algorithm(&self) -> Result<Vec<u8>, String> {
        let oid = |oid: &[u8]| element(der::OID, oid);
        Ok(match self {
            Self::Rsa(_) => sequence(&[oid(SHA256_WITH_RSA), der::NULL.to_vec()]),
            Self::P256(_) => sequence(&[oid(ECDSA_WITH_SHA256)]),
            Self::P384(_) => sequence(&[oid(ECDSA_WITH_SHA384)]),
            Self::Ed25519(_) => sequence(&[oid(ED25519)]),
            Self::Dsa(_) => return Err("x509: certificate private key does not implement crypto.Signer".to_owned()),
        })
    }

    /// Signs a message. Signatures are the same each time for the same key and message.
    ///
    /// # Errors
    /// The key cannot sign.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let bytes = match self {
            Self::Rsa(key) => key.sign(message),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                Some(ecdsa_pair(&signature.to_bytes()))
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                Some(ecdsa_pair(&signature.to_bytes()))
            }
            Self::Ed25519(seed) => {
                Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| pair.sign(message).as_ref().to_vec())
            }
            Self::Dsa(_) => None,
        };
        bytes.ok_or_else(|| "crypto/rsa: message too long for RSA key size".to_owned())
    }
}

/// The two numbers of a signature, in DER.
fn ecdsa_pair(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    sequence(&[der::integer(r), der::integer(s)])
}

/// RFC 5915's form of a key on a named curve.
fn sec1(curve: &[u8], scalar: &[u8], public: &[u8]) -> Vec<u8> {
    sequence(&[
        der::integer(&[1]),
        element(der::OCTET_STRING, scalar),
        element(der::explicit(0), &element(der::OID, curve)),
        element(der::explicit(1), &der::bit_string(public)),
    ])
}

/// Zeros in front up to a length; `None` if it is longer.
fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let missing = length.checked_sub(number.len())?;
    Some([vec![0; missing].as_slice(), number].concat())
}
