//! Times with what Helm made of them.

use crate::sprig::testing::check;

#[test]
fn times_are_what_helm_makes_of_them() {
    check(include_str!("../testdata/dates.txt"));
}

use super::object::Time;
use super::zone::Zone;
use crate::gotmpl::format::display;
use crate::gotmpl::{Host, Usage, Value};
use std::cell::RefCell;

/// 2024-01-31 10:20:31.5 UTC, in Berlin.
fn host() -> Host {
    Host {
        now: || (1_706_696_431, 500_000_000),
        timezone: "Europe/Berlin".to_owned(),
        entropy: RefCell::new(Box::new(|buffer| buffer.fill(0))),
        usage: Usage::default(),
    }
}

fn run(name: &str, args: &[Value]) -> String {
    let function = crate::sprig::function(name).expect("a function");
    let value = (function.call)(&host(), args).unwrap_or_else(Value::string);
    String::from_utf8(display(&value)).expect("UTF-8")
}

fn text(s: &str) -> Value {
    Value::string(s)
}

#[test]
fn the_present_and_the_local_zone_come_from_outside() {
    assert_eq!(run("now", &[]), "2024-01-31 11:20:31.5 +0100 CET");
    assert_eq!(run("date", &[text("15:04 MST"), Value::Int(1_690_000_000)]), "06:26 CEST");
    // What is neither a time nor a whole number counts as now.
    for other in [Value::Float(5.0), text("2020-01-01"), Value::Nil] {
        assert_eq!(run("date", &[text("2006-01-02"), other]), "2024-01-31");
    }
    assert_eq!(run("htmlDate", &[Value::Int64(1_690_063_200)]), "2023-07-23");
    assert_eq!(run("ago", &[Value::Int(1_706_690_000)]), "1h47m12s");
    assert_eq!(run("ago", &[Value::Nil]), "0s");
}

#[test]
fn durations_round_to_what_has_passed() {
    let then = super::read(&host(), &[text("2006-01-02"), text("2024-01-01")]).expect("a date");
    assert_eq!(run("durationRound", std::slice::from_ref(&then)), "1mo");
    assert_eq!(run("unixEpoch", &[then]), "1704063600");
}

#[test]
fn texts_without_a_zone_are_local_and_local_offsets_are_recognised() {
    let read = |layout: &str, value: &str| run("toDate", &[text(layout), text(value)]);
    assert_eq!(read("2006-01-02 15:04", "2024-07-01 12:00"), "2024-07-01 12:00:00 +0200 CEST");
    assert_eq!(read("2006-01-02 15:04 -0700", "2024-07-01 12:00 +0200"), "2024-07-01 12:00:00 +0200 CEST");
    assert_eq!(read("2006-01-02 15:04 -0700", "2024-07-01 12:00 +0300"), "2024-07-01 12:00:00 +0300 +0300");
    assert_eq!(read("2006-01-02 15:04 MST", "2024-07-01 12:00 CET"), "2024-07-01 13:00:00 +0200 CEST");
    // These clock readings do not exist, and exist twice.
    assert_eq!(read("2006-01-02 15:04", "2024-03-31 02:30"), "2024-03-31 03:30:00 +0200 CEST");
    assert_eq!(read("2006-01-02 15:04", "2024-10-27 02:30"), "2024-10-27 02:30:00 +0100 CET");
    assert_eq!(read("2006-01-02", "x"), "0001-01-01 00:00:00 +0000 UTC");
}

#[test]
fn times_have_the_methods_of_go() {
    let read = |value: &str| super::read(&host(), &[text("2006-01-02 15:04"), text(value)]).expect("a time");
    let call = |value: &Value, name: &str, args: &[Value]| {
        let Value::Object(o) = value else { panic!("no object") };
        o.call(name, args).expect("a method").unwrap_or_else(|e| text(&e))
    };
    let shown = |value: &Value| String::from_utf8(display(value)).expect("UTF-8");
    let (early, late) = (read("2024-01-30 00:00"), read("2024-01-31 10:20"));
    let cases: &[(&str, &[Value], &str)] = &[
        ("AddDate", &[Value::Int(0), Value::Int(1), Value::Int(0)], "2024-03-02 10:20:00 +0100 CET"),
        ("Add", &[Value::Int(1_000_000_000)], "2024-01-31 10:20:01 +0100 CET"),
        ("Add", &[Value::Int64(5)], "wrong type for value; expected time.Duration; got int64"),
        ("Sub", std::slice::from_ref(&early), "34h20m0s"),
        ("After", std::slice::from_ref(&early), "true"),
        ("Compare", std::slice::from_ref(&late), "0"),
        ("Format", &[text("Jan 2")], "Jan 31"),
        ("Month", &[], "January"),
        ("Weekday", &[], "Wednesday"),
        ("YearDay", &[], "31"),
        ("UnixNano", &[], "1706692800000000000"),
        ("IsZero", &[], "false"),
        ("UTC", &[], "2024-01-31 09:20:00 +0000 UTC"),
    ];
    for (name, args, want) in cases {
        assert_eq!(shown(&call(&late, name, args)), *want, "{name}");
    }
    let gap = call(&late, "Sub", &[early]);
    assert_eq!(shown(&call(&gap, "Hours", &[])), "34.333333333333336");
    assert_eq!(shown(&call(&gap, "Round", &[Value::Int64(3_600_000_000_000)])), "34h0m0s");
    assert_eq!(shown(&call(&gap, "Truncate", &[Value::Int64(7_200_000_000_000)])), "34h0m0s");
    assert_eq!((gap.type_name(), gap.kind_name()), ("time.Duration", "int64"));
}

#[test]
fn a_year_of_five_digits_has_no_json() {
    let Value::Object(far) = (Time { seconds: 400_000_000_000, ..Time::zero(Zone::Utc) }).into_value() else {
        panic!("no object")
    };
    assert!(far.to_json().expect_err("no JSON").ends_with("year outside of range [0,9999]"));
}
