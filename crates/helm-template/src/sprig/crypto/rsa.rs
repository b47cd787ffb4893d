//! RSA: making keys, signing with PKCS #1 v1.5, and the key's PKCS #1 form.
//!
//! The arithmetic is that of `crypto-bigint`, whose powers do not depend on the exponent in their time.

use super::der::{self, Reader};
use crate::sprig::random::Source;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul as _, NonZero, Odd, Resize as _};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use sha2::{Digest, Sha256};

/// The public exponent of all keys made here.
const EXPONENT: u32 = 65_537;

/// What stands before a SHA-256 digest in a signature: its algorithm, in DER (RFC 8017, 9.2).
const SHA256_PREFIX: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// A private key.
pub(super) struct Key {
    modulus: Odd<BoxedUint>,
    public_exponent: Vec<u8>,
    private_exponent: BoxedUint,
    /// The PKCS #1 form.
    der: Vec<u8>,
}

impl Key {
    /// A new key of so many bits; `None` if the source gives nothing usable.
    pub(super) fn generate(source: &mut Source<'_>, bits: u32) -> Option<Self> {
        loop {
            let p = prime(source, bits / 2)?;
            let q = prime(source, bits / 2)?;
            // Both primes have their two highest bits set, so the product has all its bits. Else another pair.
            if let Some(key) = Self::from_primes(&p, &q, bits) {
                return Some(key);
            }
        }
    }

    fn from_primes(p: &BoxedUint, q: &BoxedUint, bits: u32) -> Option<Self> {
        let one = BoxedUint::one_with_precision(bits / 2);
        let modulus = p.concatenating_mul(q).resize(bits);
        let (p_less, q_less) = (p.wrapping_sub(&one), q.wrapping_sub(&one));
        let totient = Option::<NonZero<BoxedUint>>::from(NonZero::new(p_less.concatenating_mul(&q_less).resize(bits)))?;
        let exponent = BoxedUint::from(EXPONENT).resize(bits);
        let d = Option::<BoxedUint>::from(exponent.invert_mod(&totient))?;
        let reduced = |by: BoxedUint| {
            let by = Option::<NonZero<BoxedUint>>::from(NonZero::new(by))?;
            Some(d.rem(&by))
        };
        let (d_p, d_q) = (reduced(p_less)?, reduced(q_less)?);
        let odd_p = Option::<Odd<BoxedUint>>::from(Odd::new(p.clone()))?;
        let q_inverse = Option::<BoxedUint>::from(q.invert_odd_mod(&odd_p))?;
        let numbers = [&modulus, &exponent, &d, p, q, &d_p, &d_q, &q_inverse];
        let mut elements = vec![der::integer(&[])];
        elements.extend(numbers.map(|n| der::integer(&n.to_be_bytes())));
        Self::read(&der::sequence(&elements))
    }

    /// Reads the PKCS #1 form; `None` if it is not one, or if its numbers do not belong together.
    pub(super) fn read(pkcs1: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(pkcs1);
        let mut fields = outer.sequence()?;
        let version = fields.integer()?;
        let modulus = BoxedUint::from_be_slice_vartime(fields.integer()?);
        let public_exponent = fields.integer()?.to_vec();
        let private_exponent = BoxedUint::from_be_slice_vartime(fields.integer()?);
        let p = BoxedUint::from_be_slice_vartime(fields.integer()?);
        let q = BoxedUint::from_be_slice_vartime(fields.integer()?);
        let fits =
            p.concatenating_mul(&q).cmp_vartime(&modulus).is_eq() && private_exponent.cmp_vartime(&modulus).is_lt();
        if !version.is_empty() || !outer.is_done() || !fits {
            return None;
        }
        let modulus = Option::from(Odd::new(modulus))?;
        Some(Self { modulus, public_exponent, private_exponent, der: pkcs1.to_vec() })
    }

    /// The PKCS #1 form.
    pub(super) fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// The public key's PKCS #1 form.
    pub(super) fn public(&self) -> Vec<u8> {
        der::sequence(&[der::integer(&self.modulus.as_ref().to_be_bytes()), der::integer(&self.public_exponent)])
    }

    /// Signs a message's SHA-256 digest; `None` if the key is too short for that.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let length = usize::try_from(self.modulus.as_ref().bits().div_ceil(8)).ok()?;
        let digest = [SHA256_PREFIX, Sha256::digest(message).as_slice()].concat();
        let padding = length.checked_sub(digest.len() + 3).filter(|n| *n >= 8)?;
        let padded = [&[0, 1], vec![0xff; padding].as_slice(), &[0], &digest].concat();
        let precision = self.modulus.as_ref().bits_precision();
        let number = BoxedUint::from_be_slice(&padded, precision).ok()?;
        let params = BoxedMontyParams::new(self.modulus.clone());
        let power = BoxedMontyForm::new(number, &params).pow(&self.private_exponent).retrieve();
        let bytes = power.to_be_bytes();
        bytes.get(bytes.len().checked_sub(length)?..).map(<[u8]>::to_vec)
    }
}

/// A prime of so many bits, the two highest of them set.
fn prime(source: &mut Source<'_>, bits: u32) -> Option<BoxedUint> {
    let sieve = SmallFactorsSieveFactory::new(Flavor::Any, bits, SetBits::TwoMsb).ok()?;
    sieve_and_find(source, sieve, |_, candidate| is_prime(Flavor::Any, candidate)).ok().flatten()
}
