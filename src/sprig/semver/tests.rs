//! Versions and ranges with what Helm made of them.

use super::*;
use crate::sprig::testing::check;

#[test]
fn versions_and_ranges_are_what_helm_makes_of_them() {
    check(include_str!("../testdata/semver.txt"));
}
