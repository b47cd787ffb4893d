//! `derivePassword`: the Master Password algorithm, version 1. The same inputs give the same password everywhere.

use hmac::{Hmac, KeyInit as _, Mac as _};
use scrypt::Params;
use sha2::Sha256;

/// What the algorithm's salts begin with.
const SCOPE: &[u8] = b"com.lyndir.masterpassword";

/// The cost of the master key: 2 to this power, block size, parallelism.
const COST: (u8, u32, u32) = (15, 8, 2);

/// Templates by type of password; each letter stands for a class of [`CLASSES`].
const TEMPLATES: &[(&str, &[&str])] = &[
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

/// Characters by class.
const CLASSES: &[(u8, &[u8])] = &[
    (b'C', b"BCDFGHJKLMNPQRSTVWXYZ"),
    (b'v', b"aeiou"),
    (b'c', b"bcdfghjklmnpqrstvwxyz"),
    (b'a', b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"),
    (b'n', b"0123456789"),
    (b'o', b"@&%?,=[]_:-+*$#!'^~;()/."),
    (b'x', b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()"),
];

/// The password of a type for a site, or a text that says what is wrong.
pub(super) fn derive(counter: u32, kind: &[u8], password: &[u8], user: &[u8], site: &[u8]) -> Vec<u8> {
    let Some((_, templates)) = TEMPLATES.iter().find(|(name, _)| name.as_bytes() == kind) else {
        return [b"cannot find password template ", kind].concat();
    };
    let (log_n, r, p) = COST;
    let mut master = [0; 64];
    let derived = Params::new(log_n, r, p)
        .map_err(|e| e.to_string())
        .and_then(|params| scrypt::scrypt(password, &salt(user), &params, &mut master).map_err(|e| e.to_string()));
    if let Err(e) = derived {
        return format!("failed to derive password: {e}").into_bytes();
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&master) else { return Vec::new() };
    mac.update(&salt(site));
    mac.update(&counter.to_be_bytes());
    let seed = mac.finalize().into_bytes();
    let mut seed = seed.iter().copied().map(usize::from);
    let template = pick(templates, seed.next()).copied().unwrap_or_default();
    let chosen = template.bytes().zip(seed).filter_map(|(letter, byte)| {
        let (_, class) = CLASSES.iter().find(|(name, _)| *name == letter)?;
        pick(class, Some(byte)).copied()
    });
    chosen.collect()
}

/// Scope, length of a text in four bytes, and the text.
fn salt(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [SCOPE, &length.to_be_bytes(), text].concat()
}

/// The item that a byte of the seed selects.
fn pick<T>(items: &[T], byte: Option<usize>) -> Option<&T> {
    items.get(byte?.checked_rem(items.len())?)
}
