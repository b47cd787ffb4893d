//! What holds for any input: laws of merging, round trips, no panic, bounded time, and one output for one input.
//!
//! Runs are the same every time; `PROPTEST_RNG_SEED=1` and so on take other inputs, `PROPTEST_CASES=10000` more of them.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../crates/helm-template/tests/properties/check.rs"]
mod check;
#[path = "properties/specs.rs"]
mod specs;
#[path = "../crates/helm-template/tests/properties/trees.rs"]
mod trees;

use check::check;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo, RenderError};
use istio_operator::spec::merge::{merge_patch, overlay_iop};
use istio_operator::spec::patch;
use istio_operator::spec::path::{self, Path};
use istio_operator::spec::request;
use istio_operator::spec::resolve::Strictness;
use istio_operator::spec::set;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::RefCell;

fn patched(base: &Value, overlay: &Value) -> Value {
    let mut base = base.clone();
    merge_patch(&mut base, overlay);
    base
}

#[test]
fn a_merge_patch_changes_what_it_names_and_nothing_more_and_only_once() {
    check(500, &(trees::tree(true), trees::tree(true)), |(base, overlay)| {
        let once = patched(&base, &overlay);
        prop_assert_eq!(&patched(&once, &overlay), &once);
        prop_assert_eq!(&patched(&base, &Value::Null), &base);
        if let (Value::Object(before), Value::Object(named), Value::Object(after)) = (&base, &overlay, &once) {
            for key in before.keys().chain(after.keys()) {
                match named.get(key) {
                    None => prop_assert_eq!(before.get(key), after.get(key)),
                    Some(Value::Null) => prop_assert!(!after.contains_key(key)),
                    Some(Value::Object(_)) => prop_assert!(after[key].is_object()),
                    Some(other) => prop_assert_eq!(Some(other), after.get(key)),
                }
            }
        }
        Ok(())
    });
}

/// A layer with lists that merge by name, lists that unite and lists that are replaced.
fn layer() -> impl Strategy<Value = Value> {
    let names = || prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..4).prop_shuffle();
    let gateways = (names(), trees::tree(false))
        .prop_map(|(names, tree)| names.iter().map(|name| json!({"name": name, "k8s": tree})).collect::<Vec<_>>());
    (gateways, names(), trees::tree(false)).prop_map(|(gateways, aliases, tree)| {
        json!({"spec": {"components": {"ingressGateways": gateways}, "meshConfig": {"trustDomainAliases": aliases, "x": tree}}})
    })
}

#[test]
fn a_layer_laid_over_twice_is_the_same_as_once_and_keeps_every_gateway() {
    check(500, &(layer(), layer()), |(base, overlay)| {
        let once = overlay_iop(base.clone(), &overlay).unwrap();
        prop_assert_eq!(&overlay_iop(once.clone(), &overlay).unwrap(), &once);
        prop_assert_eq!(&overlay_iop(base.clone(), &Value::Null).unwrap(), &base);
        prop_assert_eq!(&overlay_iop(base.clone(), &json!({})).unwrap(), &base);
        let names = |layer: &Value| -> Vec<String> {
            let gateways = layer["spec"]["components"]["ingressGateways"].as_array().unwrap();
            let mut names: Vec<_> = gateways.iter().map(|g| g["name"].as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        let mut all = [names(&base), names(&overlay)].concat();
        all.sort();
        all.dedup();
        prop_assert_eq!(names(&once), all);
        Ok(())
    });
}

/// The text of a scalar in a flag.
fn flag_text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.replace(',', "\\,")),
        other => other.to_string(),
    }
}

#[test]
fn what_a_flag_sets_is_found_at_its_path() {
    let key = "[a-zA-Z0-9_-]{1,4}(\\.[a-z]{1,3})?";
    let keys = prop::collection::vec(key, 1..5);
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -9;-~]{0,8}".prop_filter("no key and value", |t| !t.contains(": ")).prop_map(Value::from),
    ];
    check(500, &(keys, value), |(keys, value)| {
        let wanted = keys.iter().rev().fold(Path::default(), |path, key| path.below(key));
        let line = format!("{wanted}={}", flag_text(&value));
        let (parsed, typed) = set::parse_line(&line).unwrap();
        prop_assert_eq!(&parsed, &wanted, "{}", line);
        prop_assert_eq!(&typed, &value, "{}", line);
        let mut root = json!({});
        patch::write(&mut root, &parsed, typed, patch::Mode::Set).unwrap();
        prop_assert_eq!(path::get(&root, &wanted), Some(&value), "{}", line);
        Ok(())
    });
}

const YAML: &[&str] = &[
    "a",
    "b: ",
    ": ",
    "- ",
    "&x ",
    "*x",
    "<<: *x",
    "{",
    "}",
    "\n",
    "\n  ",
    "\n    ",
    "---\n",
    "~",
    "apiVersion: install.istio.io/v1alpha1\n",
    "kind: IstioOperator\n",
    "metadata:\n",
    "spec:\n",
    "  profile: demo\n",
    "  components:\n",
    "    ingressGateways:\n",
    "    - name: x\n",
];

#[test]
fn no_file_makes_the_reading_of_a_request_panic() {
    check(2000, &trees::soup(YAML), |text| {
        let _ = request::from_files(&[("x.yaml".to_owned(), text)], &[]);
        Ok(())
    });
}

const PATHS: &[&str] = &[
    "a",
    ".",
    "..",
    "[",
    "]",
    "[0]",
    "[-1]",
    "[99]",
    "[name:x]",
    "[name:y]",
    "[:x]",
    "[:(]",
    ":",
    "\\",
    "\\.",
    "/",
    "//",
    "spec",
    ".list",
    ".map",
    "é",
    " ",
    "[9999999999999999999]",
];

#[test]
fn no_path_makes_a_patch_panic() {
    let root = json!({"spec": {"list": [{"name": "x", "a": [1, 2]}, "x", null], "map": {"a": null, "b": "x: y"}}});
    check(2000, &(trees::soup(PATHS), trees::tree(true)), |(text, value)| {
        let Ok(path) = Path::parse(&text) else { return Ok(()) };
        let _ = path::look_up(&root, &path);
        for mode in [patch::Mode::Overlay, patch::Mode::Set] {
            let _ = patch::apply(&mut root.clone(), &path, value.clone(), mode);
        }
        Ok(())
    });
}

/// What a request comes to, as text; an error as its message.
fn output(spec: &Value, package: &Package) -> Result<String, RenderError> {
    let request = request::from_resource(&json!({ "spec": spec }));
    let manifests = render::build(&request, &ClusterInfo::default(), package, Strictness::TakenOver)?;
    let objects = manifests.parts.iter().flat_map(|part| &part.objects);
    Ok(objects.map(|object| object.value().to_string()).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_thousand_random_specs_each_give_the_same_twice() {
    let package = Package::embedded().unwrap();
    let (rendered, refused) = (RefCell::new(0), RefCell::new(0));
    check(1000, &specs::spec(), |spec| {
        let [first, second] = [(); 2].map(|()| output(&spec, &package).map_err(|e| e.to_string()));
        prop_assert_eq!(&first, &second);
        match first {
            Ok(text) if !text.is_empty() => *rendered.borrow_mut() += 1,
            Ok(_) => {}
            Err(message) => {
                prop_assert!(!message.contains("panicked"), "{}", message);
                *refused.borrow_mut() += 1;
            }
        }
        Ok(())
    });
    // Otherwise the specs would show nothing.
    assert!(*rendered.borrow() > 100 && *refused.borrow() > 100, "{rendered:?} {refused:?}");
}
