//! Digests, passwords, encryption, keys and certificates.
//!
//! In: texts. Out: texts, and certificates. The cryptography is that of the RustCrypto crates, and of `ring` for
//! Ed25519; what sprig and Go make of it (which algorithms, which fields, which errors) is here. Randomness comes from
//! [`Host::entropy`] alone: the same entropy gives the same keys and certificates.
//!
//! Differences from Go: keys on the curves P-224 and P-521, RSA keys of more than 8192 bits and RSA keys of more than
//! two primes cannot be read; the errors for keys and certificates that cannot be read say less about the reason.

mod certificate;
mod dsa;
mod key;
mod password;
mod pem;
#[cfg(test)]
mod tests;

use super::args::{at, fixed, int, text};
use super::base::{base64, decode64};
use super::random::{self, Source};
use crate::gotmpl::Type::{Certificate, Int, List, String as GoString, Uint32};
use crate::gotmpl::{Function, Host, Value};
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use certificate::{Authority, Template, custom, self_signed, signed};
use key::Key;
use sha2::Digest as _;

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("sha1sum", &[GoString], |_, a| Ok(hex(&sha1::Sha1::digest(text(a, 0))))),
    fixed("sha256sum", &[GoString], |_, a| Ok(hex(&sha2::Sha256::digest(text(a, 0))))),
    fixed("sha512sum", &[GoString], |_, a| Ok(hex(&sha2::Sha512::digest(text(a, 0))))),
    fixed("adler32sum", &[GoString], |_, a| Ok(Value::string(adler2::adler32_slice(text(a, 0)).to_string()))),
    fixed("bcrypt", &[GoString], |host, a| Ok(Value::string(bcrypt(host, text(a, 0))))),
    fixed("htpasswd", &[GoString, GoString], |host, a| Ok(Value::string(htpasswd(host, text(a, 0), text(a, 1))))),
    fixed("derivePassword", &[Uint32, GoString, GoString, GoString, GoString], |_, a| {
        let counter = u32::try_from(int(a, 0) & i64::from(u32::MAX)).unwrap_or(0);
        Ok(Value::string(password::derive(counter, text(a, 1), text(a, 2), text(a, 3), text(a, 4))))
    }),
    fixed("encryptAES", &[GoString, GoString], |host, a| Ok(encrypt(host, text(a, 0), text(a, 1)))),
    fixed("decryptAES", &[GoString, GoString], |_, a| decrypt(text(a, 0), text(a, 1))),
    fixed("genPrivateKey", &[GoString], |host, a| Ok(Value::string(private_key(host, text(a, 0))))),
    fixed("buildCustomCert", &[GoString, GoString], |_, a| {
        let cert = decode64(text(a, 0)).map_err(|_| "unable to decode base64 certificate")?;
        let key = decode64(text(a, 1)).map_err(|_| "unable to decode base64 private key")?;
        custom(cert, key)
    }),
    fixed("genCA", &[GoString, Int], |host, a| {
        self_signed(host, &Template::authority(text(a, 0), int(a, 1)), &new_key(host)?)
    }),
    fixed("genCAWithKey", &[GoString, Int, GoString], |host, a| {
        self_signed(host, &Template::authority(text(a, 0), int(a, 1)), &given_key(a, 2)?)
    }),
    fixed("genSelfSignedCert", &[GoString, List, List, Int], |host, a| self_signed(host, &leaf(a)?, &new_key(host)?)),
    fixed("genSelfSignedCertWithKey", &[GoString, List, List, Int, GoString], |host, a| {
        let key = given_key(a, 4)?;
        self_signed(host, &leaf(a)?, &key)
    }),
    fixed("genSignedCert", &[GoString, List, List, Int, Certificate], |host, a| {
        let authority = Authority::of(at(a, 4))?;
        signed(host, &leaf(a)?, &new_key(host)?, &authority)
    }),
    fixed("genSignedCertWithKey", &[GoString, List, List, Int, Certificate, GoString], |host, a| {
        let key = given_key(a, 5)?;
        let authority = Authority::of(at(a, 4))?;
        signed(host, &leaf(a)?, &key, &authority)
    }),
];

/// The cost of a bcrypt hash.
const BCRYPT_COST: u32 = 10;

/// Go refuses longer passwords, since the algorithm ignores what is beyond.
const BCRYPT_MAX: usize = 72;

/// Length of an AES block.
const BLOCK: usize = 16;

/// Fills a buffer from a source.
fn fill(source: &mut Source<'_>, buffer: &mut [u8]) {
    random::fill(source.0, buffer);
}

fn hex(bytes: &[u8]) -> Value {
    let digits = bytes.iter().flat_map(|b| [b >> 4, b & 0xf]);
    Value::string(digits.filter_map(|d| char::from_digit(d.into(), 16)).collect::<String>())
}

/// A salted hash, or a text that says what is wrong.
fn bcrypt(host: &Host, password: &[u8]) -> String {
    let mut salt = [0; 16];
    random::fill(host, &mut salt);
    let failed = |e: &dyn std::fmt::Display| format!("failed to encrypt string with bcrypt: {e}");
    if password.len() > BCRYPT_MAX {
        return failed(&"bcrypt: password length exceeds 72 bytes");
    }
    match bcrypt::hash_with_salt(password, BCRYPT_COST, salt) {
        Ok(parts) => parts.format_for_version(bcrypt::Version::TwoA),
        Err(e) => failed(&e),
    }
}

/// A line of a password file.
fn htpasswd(host: &Host, user: &[u8], password: &[u8]) -> Vec<u8> {
    if user.contains(&b':') {
        return [b"invalid username: ", user].concat();
    }
    [user, b":", bcrypt(host, password).as_bytes()].concat()
}

/// The password itself as a key: padded with zeros, or cut.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    for (slot, byte) in key.iter_mut().zip(password) {
        *slot = *byte;
    }
    key
}

/// The initialization vector and the encrypted text, in base64; an empty text stays empty.
fn encrypt(host: &Host, password: &[u8], plain: &[u8]) -> Value {
    if plain.is_empty() {
        return Value::string("");
    }
    let mut start = [0; BLOCK];
    random::fill(host, &mut start);
    let cipher = cbc::Encryptor::<aes::Aes256>::new(&aes_key(password).into(), &start.into());
    let encrypted = cipher.encrypt_padded_vec::<Pkcs7>(plain);
    Value::string(base64(&[&start, encrypted.as_slice()].concat()))
}

/// The decrypted text. A wrong password is only noticed if it gives an impossible padding.
fn decrypt(password: &[u8], encoded: &[u8]) -> Result<Value, String> {
    let encrypted = decode64(encoded)?;
    if encoded.is_empty() {
        return Ok(Value::string(""));
    }
    let out_of_range = |what: String| format!("runtime error: {what}");
    let Some((start, body)) = encrypted.split_at_checked(BLOCK) else {
        return Err(out_of_range(format!("slice bounds out of range [:{BLOCK}] with capacity {}", encrypted.len())));
    };
    let start: [u8; BLOCK] = start.try_into().map_err(|_| "the block has another length")?;
    let cipher = cbc::Decryptor::<aes::Aes256>::new(&aes_key(password).into(), &start.into());
    let not_full = |_| "crypto/cipher: input not full blocks".to_owned();
    let plain = cipher.decrypt_padded_vec::<NoPadding>(body).map_err(not_full)?;
    let padding = plain.last().copied().map(usize::from);
    let padding = padding.ok_or_else(|| out_of_range("index out of range [-1]".to_owned()))?;
    let length = plain.len().checked_sub(padding);
    let length =
        length.ok_or_else(|| out_of_range(format!("slice bounds out of range [:-{}]", padding - plain.len())))?;
    Ok(Value::string(plain.get(..length).unwrap_or_default()))
}

/// The PEM text of a new key, or a text that says what is wrong.
fn private_key(host: &Host, kind: &[u8]) -> Vec<u8> {
    match Key::generate(&mut Source(host), kind).and_then(|key| key.map(|key| key.to_pem()).transpose()) {
        Ok(Some(pem)) => pem.into_bytes(),
        Ok(None) => [b"Unknown type ", kind].concat(),
        Err(e) => format!("failed to generate private key: {e}").into_bytes(),
    }
}

/// A new key for a certificate.
fn new_key(host: &Host) -> Result<Key, String> {
    Key::for_certificate(&mut Source(host))
}

/// The key in a PEM argument.
fn given_key(args: &[Value], index: usize) -> Result<Key, String> {
    Key::read(text(args, index)).map_err(|e| format!("parsing private key: {e}"))
}

/// The certificate that the first four arguments ask for.
fn leaf(args: &[Value]) -> Result<Template, String> {
    Template::leaf(text(args, 0), at(args, 1), at(args, 2), int(args, 3))
}
