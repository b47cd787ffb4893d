//! Patterns with what Helm made of them.

#[test]
fn patterns_mean_what_they_mean_in_go() {
    crate::sprig::testing::check(include_str!("../testdata/regex.txt"));
}
