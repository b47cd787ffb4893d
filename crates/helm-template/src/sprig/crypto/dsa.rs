//! DSA keys with 2048-bit parameters. Nobody signs with them any more; `genPrivateKey "dsa"` still makes them.

use super::der;
use crate::sprig::random::Source;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, NonZero, Odd, RandomBits as _, RandomMod as _, Resize as _};
use crypto_primes::{Flavor, is_prime, random_prime};

/// Bits of the modulus.
const MODULUS_BITS: u32 = 2048;
/// Bits of the order of the group.
const ORDER_BITS: u32 = 256;

/// Primes below this are tried before the costly test.
const SMALL: u32 = 2000;

/// A new key in the form that OpenSSL writes: version, p, q, g, y, x.
pub(super) fn generate(source: &mut Source<'_>) -> Option<Vec<u8>> {
    let order: BoxedUint = random_prime(source, Flavor::Any, ORDER_BITS);
    let modulus = modulus_for(source, &order)?;
    let params = BoxedMontyParams::new(Option::from(Odd::new(modulus.clone()))?);
    let power = |base: &BoxedUint, exponent: &BoxedUint| {
        BoxedMontyForm::new(base.resize(MODULUS_BITS), &params).pow(exponent).retrieve()
    };
    let wide_order = non_zero((&order).resize(MODULUS_BITS))?;
    let cofactor = modulus.wrapping_sub(BoxedUint::one_with_precision(MODULUS_BITS)).div_rem(&wide_order).0;
    // The first power of a small number that generates the group; nearly always that of 2.
    let generator = (2_u32..100).map(|h| power(&BoxedUint::from(h), &cofactor)).find(|g| !bool::from(g.is_one()))?;
    let secret = BoxedUint::random_mod_vartime(source, &non_zero(order.clone())?);
    let public = power(&generator, &secret);
    let mut elements = vec![der::integer(&[])];
    elements.extend([&modulus, &order, &generator, &public, &secret].map(|n| der::integer(&n.to_be_bytes())));
    Some(der::sequence(&elements))
}

fn non_zero(n: BoxedUint) -> Option<NonZero<BoxedUint>> {
    Option::from(NonZero::new(n))
}

/// A prime that is one more than a multiple of the order.
fn modulus_for(source: &mut Source<'_>, order: &BoxedUint) -> Option<BoxedUint> {
    let step = order.resize(MODULUS_BITS).shl_vartime(1)?;
    let step = non_zero(step)?;
    let one = BoxedUint::one_with_precision(MODULUS_BITS);
    loop {
        let drawn = BoxedUint::random_bits_with_precision(source, MODULUS_BITS, MODULUS_BITS);
        let candidate = drawn.wrapping_sub(drawn.rem(&step)).wrapping_add(&one);
        if candidate.bits() == MODULUS_BITS && !has_small_factor(&candidate) && is_prime(Flavor::Any, &candidate) {
            return Some(candidate);
        }
    }
}

fn has_small_factor(n: &BoxedUint) -> bool {
    let odd =
        (3..SMALL).step_by(2).filter_map(|d| Option::<NonZero<crypto_bigint::Limb>>::from(NonZero::new(d.into())));
    odd.into_iter().any(|d| n.rem_limb(d).0 == 0)
}
