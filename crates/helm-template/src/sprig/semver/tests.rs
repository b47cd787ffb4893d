//! Versions and ranges with what Helm made of them.

use super::*;
use crate::gotmpl::format::display;
use crate::sprig::testing::check;

#[test]
fn versions_and_ranges_are_what_helm_makes_of_them() {
    check(include_str!("../testdata/semver.txt"));
}

#[test]
fn versions_have_the_methods_of_go() {
    let version = |s: &str| Value::Object(Rc::new(Pointer(Version::parse(s).expect("a version"))));
    let call = |value: &Value, name: &str, args: &[Value]| {
        let Value::Object(o) = value else { panic!("no object") };
        o.call(name, args).map(|result| result.unwrap_or_else(Value::string))
    };
    let shown = |value: &Value| String::from_utf8(display(value)).expect("UTF-8");
    let cases: &[(&str, &str, &[Value], &str)] = &[
        ("v1.2.3-a+b", "Original", &[], "v1.2.3-a+b"),
        ("v1.2.3-a+b", "String", &[], "1.2.3-a+b"),
        ("v1.2.3-a+b", "Metadata", &[], "b"),
        ("v1.2.3-a+b", "Prerelease", &[], "a"),
        ("v1.2.3-a+b", "IncPatch", &[], "1.2.3"),
        ("v1.2.3", "IncPatch", &[], "1.2.4"),
        ("v1.2.3", "IncMinor", &[], "1.3.0"),
        ("v18446744073709551615.2.3", "IncMajor", &[], "major version increment would overflow uint64"),
        ("v1.2.3", "Compare", &[version("1.3")], "-1"),
        ("v1.2.3", "Equal", &[version("1.2.3+x")], "true"),
        ("v1.2.3", "GreaterThanEqual", &[version("1.2.4-a")], "false"),
        ("v1.2.3", "LessThan", &[Value::Nil], "wrong type for value; expected *semver.Version; got <nil>"),
        ("v1.2.3", "LessThan", &[], "wrong number of args for LessThan: want 1 got 0"),
        ("v1.2.3", "SetPrerelease", &[Value::string("a..b")], "invalid prerelease string"),
        ("v1.2.3", "SetPrerelease", &[Value::string("01")], "version segment starts with 0"),
        ("v1.2.3", "SetMetadata", &[Value::string("a")], "1.2.3+a"),
    ];
    for (text, name, args, want) in cases {
        assert_eq!(shown(&call(&version(text), name, args).expect("a method")), *want, "{text} {name}");
    }
    let next = call(&version("v1.2.3"), "IncMinor", &[]).expect("a method");
    assert_eq!((next.type_name(), next.kind_name()), ("semver.Version", "struct"));
    // Methods with a pointer receiver are out of its reach.
    assert!(call(&next, "Original", &[]).is_none());
    assert!(call(&next, "Compare", &[version("1")]).is_none());
}

#[test]
fn a_range_decides_about_versions_of_other_stages() {
    let at = |text: &str| Version::parse(text).expect("a version");
    assert_eq!(compare_constraint(">=1.21-0 <1.36-0", &at("v1.35.2-eks.1")), Ok(true));
    assert_eq!(compare_constraint(">=1.36", &at("v1.35.0")), Ok(false));
    assert_eq!(compare_constraint("", &at("1.0.0")), Err("improper constraint: \"\"".to_owned()));
}
