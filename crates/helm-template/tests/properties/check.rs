//! Runs properties on inputs that are the same every time.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::time::{Duration, Instant};

/// Longest time that one input may take; a few milliseconds are usual.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a property on inputs that are the same every time, unless the environment says otherwise.
pub fn check<S: Strategy>(cases: u32, inputs: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let given = |name: &str| std::env::var_os(name).is_some();
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if !given("PROPTEST_CASES") {
        config.cases = cases;
    }
    if !given("PROPTEST_RNG_SEED") {
        config.rng_seed = RngSeed::Fixed(17);
    }
    let timed = |input| {
        let start = Instant::now();
        property(input)?;
        prop_assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
        Ok(())
    };
    if let Err(error) = TestRunner::new(config).run(inputs, timed) {
        panic!("{error}");
    }
}
