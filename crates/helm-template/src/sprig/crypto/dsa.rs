//! DSA keys of 2048 bits, with a group order of 256 bits, for `genPrivateKey "dsa"`. They sign nothing here.
//!
//! The crate `dsa` makes and checks the key. Only its group is searched for here: that crate tests every candidate for
//! the modulus with a modular power, without trying small factors first. That takes 2.7 s on average and now and then
//! more than 10 s, too long to be bounded by the price of a call; the search here takes 0.5 s on average.

use crate::sprig::random::Source;
use ::dsa::{Components, SigningKey};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Limb, NonZero, Odd, RandomBits as _, Resize as _};
use crypto_primes::{Flavor, is_prime, random_prime};
use der::asn1::Uint;
use der::{Decode as _, Encode as _};

/// Bits of the modulus.
const MODULUS_BITS: u32 = 2048;
/// Bits of the order of the group.
const ORDER_BITS: u32 = 256;

/// Factors below this are tried before the costly primality test.
const SMALL: u32 = 2000;

/// A new key in OpenSSL's form: version, p, q, g, y, x.
pub(super) fn generate(source: &mut Source<'_>) -> Result<Vec<u8>, String> {
    let group = group(source).ok_or("the random source gives no group")?;
    let Ok(key) = SigningKey::try_generate_from_rng_with_components(source, group);
    let (public, version) = (key.verifying_key(), BoxedUint::zero());
    let group = public.components();
    let numbers: [&BoxedUint; 6] = [&version, group.p(), group.q(), group.g(), public.y(), key.x()];
    let document = numbers.iter().map(|n| Uint::new(&n.to_be_bytes())).collect::<Result<Vec<_>, _>>();
    document.and_then(|numbers| numbers.to_der()).map_err(|e| e.to_string())
}

/// Whether this is a key in OpenSSL's form. What follows it is ignored, as in Go.
pub(super) fn is_key(contents: &[u8]) -> bool {
    Vec::<Uint>::from_der_partial(contents).is_ok_and(|(numbers, _)| numbers.len() == 6)
}

/// A modulus, the order of a subgroup, and its generator.
fn group(source: &mut Source<'_>) -> Option<Components> {
    let order: BoxedUint = random_prime(source, Flavor::Any, ORDER_BITS);
    let modulus = modulus(source, &order)?;
    let wide_order = non_zero((&order).resize(MODULUS_BITS))?;
    let cofactor = modulus.wrapping_sub(BoxedUint::one()).div_rem(&wide_order).0;
    let params = BoxedMontyParams::new(Option::from(Odd::new(modulus.clone()))?);
    let power =
        |base: u32| BoxedMontyForm::new(BoxedUint::from(base).resize(MODULUS_BITS), &params).pow(&cofactor).retrieve();
    // The first power that is not 1; nearly always that of 2.
    let generator = (2..100).map(power).find(|g| !bool::from(g.is_one()))?;
    Components::from_components(modulus, order, generator).ok()
}

/// A prime that is one more than a multiple of the order.
fn modulus(source: &mut Source<'_>, order: &BoxedUint) -> Option<BoxedUint> {
    let step = non_zero(order.resize(MODULUS_BITS).shl_vartime(1)?)?;
    loop {
        let drawn = BoxedUint::random_bits_with_precision(source, MODULUS_BITS, MODULUS_BITS);
        let candidate = drawn.wrapping_sub(drawn.rem(&step)).wrapping_add(BoxedUint::one());
        if candidate.bit_width() == MODULUS_BITS && !has_small_factor(&candidate) && is_prime(Flavor::Any, &candidate) {
            return Some(candidate);
        }
    }
}

fn has_small_factor(n: &BoxedUint) -> bool {
    let mut odd = (3..SMALL).step_by(2).filter_map(|d| Option::<NonZero<Limb>>::from(NonZero::new(d.into())));
    odd.any(|d| n.rem_limb(d).0 == 0)
}

fn non_zero(n: BoxedUint) -> Option<NonZero<BoxedUint>> {
    Option::from(NonZero::new(n))
}
