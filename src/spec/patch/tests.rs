use serde_json::{Value, json};

use super::{Mode, apply};
use crate::spec::path::Path;

fn object() -> Value {
    json!({"a": {
        "b": [{"name": "n1", "value": "v1"}, {"name": "n2", "list": ["v1", "v2", "v3_regex"]}],
        "c": null, "d": "scalar", "e.f": 1, "g/h": 2, "emptylist": [], "ports": [{"port": 80}, {"port": 443}],
    }})
}

fn run(mode: Mode, mut root: Value, path: &str, value: Value) -> Result<Value, String> {
    let path = Path::parse(path).map_err(|e| e.to_string())?;
    apply(&mut root, &path, value, mode).map_err(|e| e.to_string())?;
    Ok(root)
}

/// What a patch leaves at `at` (a JSON pointer below `/a`).
fn check(path: &str, value: &Value, at: &str, expected: &Value) {
    let got = run(Mode::Overlay, object(), path, value.clone()).unwrap_or_else(|e| panic!("{path} = {value}: {e}"));
    let found = got.pointer(&format!("/a{at}")).cloned().unwrap_or(json!("<none>"));
    assert_eq!(found, *expected, "{path} = {value}");
}

#[test]
fn overlays_write_as_the_table_of_paths_says() {
    let list = "/b/1/list";
    for (path, value, at, expected) in [
        ("a.b.[name:n1].value", json!("v2"), "/b/0/value", json!("v2")),
        ("a.b[name:n1].value", json!("v2"), "/b/0/value", json!("v2")),
        ("a.b.[name:n2].list.[:v2]", json!("v3"), list, json!(["v1", "v3", "v3_regex"])),
        ("a.b.[name:n2].list.[v2]", json!("v3"), list, json!(["v1", "v3", "v3_regex"])),
        ("a.b.[name:n2].list.[v]", json!("Z"), list, json!(["Z", "v2", "v3_regex"])),
        ("a.b.[name:n2].list[3]", json!("app"), list, json!(["v1", "v2", "v3_regex", "app"])),
        ("a.b.[name:n2].list[-1]", json!("app"), list, json!(["v1", "v2", "v3_regex", "app"])),
        ("a.b.[name:n2].list[1000]", json!("app"), list, json!(["v1", "v2", "v3_regex", "app"])),
        ("a.b.[name:n2].list", json!("app"), list, json!("app")),
        ("a.b.[name:n2].list", json!(["q"]), list, json!(["q"])),
        ("a.b[name:n1]", json!({"foo": 1}), "/b/0", json!({"foo": 1})),
        ("a.b[5]", json!({"name": "n3"}), "/b/2", json!({"name": "n3"})),
        ("a.b[-1]", json!({"name": "n3"}), "/b/2", json!({"name": "n3"})),
        ("a.d", json!("k: v"), "/d", json!({"k": "v"})),
        ("a.d", json!("x:\n  z: 1"), "/d", json!({"x": {"z": 1}})),
        ("a.d", json!(r#"{"k": "v"}"#), "/d", json!(r#"{"k": "v"}"#)),
        ("a.d", json!("http://x"), "/d", json!("http://x")),
        ("a.x.y.z", json!("v"), "/x", json!({"y": {"z": "v"}})),
        ("a.c.k", json!("x"), "/c", json!({"k": "x"})),
        ("a.c", json!("x"), "/c", json!("x")),
        (r"a.e\.f", json!(9), "/e.f", json!(9)),
        ("a.g/h", json!(9), "/g~1h", json!(9)),
        ("a.g//h", json!(9), "/g~1h", json!(9)),
        ("a.emptylist[0]", json!("x"), "/emptylist", json!(["x"])),
        ("a.ports[port:443].name", json!("w"), "/ports/1/name", json!("w")),
        (".a.d.", json!("t"), "/d", json!("t")),
        (r"a.n.foo\.bar/x", json!("1"), "/n", json!({"foo.bar/x": "1"})),
        ("a.b[0]", json!("k: v"), "/b/0", json!({"k": "v"})),
        // Upstream makes keys named "[0]" or fails on these.
        ("a.x[0]", json!("v"), "/x", json!(["v"])),
        ("a.x.y[0].z", json!("v"), "/x/y", json!([{"z": "v"}])),
        ("a.c[0]", json!("v"), "/c", json!(["v"])),
    ] {
        check(path, &value, at, &expected);
    }
}

#[test]
fn overlays_delete_as_the_table_of_paths_says() {
    for (path, at, expected) in [
        ("a.b.[name:n2].list.[:^v3]", "/b/1/list", json!(["v1", "v2"])),
        ("a.b.[name:n2].list[1]", "/b/1/list", json!(["v1", "v3_regex"])),
        ("a.b[name:n1]", "/b/0/name", json!("n2")),
        ("a.b[0]", "/b/0/name", json!("n2")),
        ("a.d", "/d", json!("<none>")),
        ("a.nope", "/nope", json!("<none>")),
        ("a.nope.deeper", "/nope", json!("<none>")),
        ("a.c.k", "/c", json!(null)),
    ] {
        check(path, &Value::Null, at, &expected);
    }
}

#[test]
fn errors_name_path_element_and_what_there_is() {
    for (path, value, message) in [
        (
            "a.b[name:nope].value",
            json!("z"),
            "path a.b[name:nope].value: element [name:nope] not found; there is [name:n1], [name:n2]",
        ),
        ("a.d.sub", json!("x"), "path a.d.sub: leaf type string in non-leaf node sub"),
        ("a.b.[name:n2].list[9]", json!(null), "path a.b[name:n2].list[9]: index 9 exceeds list length 3"),
        ("a.b.[name:n2].list[-1]", json!(null), "path a.b[name:n2].list[-1]: index -1 exceeds list length 3"),
        (r"a.b[name\:x:n1]", json!("q"), r"is not a valid key:value path element"),
        ("a.b[x]", json!("q"), "[:x] is not a valid key:value path element"),
        ("a.b[-200]", json!("q"), "is not a valid key:value path element"),
        ("a.b[name:n2].list[-200]", json!("q"), "element [:-200] not found; there is v1, v2, v3_regex"),
        ("a.b[name:n2].list[:(]", json!("q"), "[:(] is not a regular expression"),
        ("a[0]", json!("q"), "element [0] does not fit a map"),
        ("", json!("q"), "cannot change the root element"),
        (".", json!(null), "cannot change the root element"),
    ] {
        let error = run(Mode::Overlay, object(), path, value).expect_err(path);
        assert!(error.contains(message), "{path}: {error}");
    }
}

#[test]
fn a_value_with_a_colon_matches_escaped_or_not() {
    let root = json!({"l": [{"image": "docker.io/x:1"}]});
    for path in [r"l.[image:docker\.io/x\:1].image", "l[image:docker.io/x:1].image"] {
        assert_eq!(run(Mode::Overlay, root.clone(), path, json!("y")), Ok(json!({"l": [{"image": "y"}]})), "{path}");
    }
}

#[test]
fn leaf_list_expressions_patch_arguments() {
    let root = json!({"args": ["discovery", "--keepaliveMaxServerConnectionAge", "30m"]});
    let patched = run(Mode::Overlay, root, "args.[30m]", json!("60m")).expect("patched");
    assert_eq!(patched["args"][2], "60m");
}

#[test]
fn set_trees_create_lists_and_append() {
    for (root, path, value, expected) in [
        (json!({}), "a.list[0]", json!("x"), json!({"a": {"list": ["x"]}})),
        (json!({"a": {}}), "a.list.[0]", json!("x"), json!({"a": {"list": ["x"]}})),
        (json!({"l": [1]}), "l[999]", json!(2), json!({"l": [1, 2]})),
        (json!({"l": ["a"]}), "l", json!("foo"), json!({"l": ["a", "foo"]})),
        (json!({"l": ["a"]}), "l", json!({"k": 1}), json!({"l": ["a", {"k": 1}]})),
        (json!({"l": ["a"]}), "l", json!(["b"]), json!({"l": ["b"]})),
        (json!({"l": [{"name": "g"}]}), "l[0].enabled", json!(false), json!({"l": [{"name": "g", "enabled": false}]})),
        (json!({"a": {"b": 1}}), "a.b", json!("nk1:\n  nk2: nv2"), json!({"a": {"b": "nk1:\n  nk2: nv2"}})),
        (json!({"a": {"p": "x"}}), "a.p", json!("Always: yes"), json!({"a": {"p": "Always: yes"}})),
        (json!({"l": ["a"]}), "l[0]", json!("a: b"), json!({"l": ["a: b"]})),
        // Upstream makes a key named "[name:g]".
        (json!({}), "c.g[name:gw].enabled", json!(false), json!({"c": {"g": [{"name": "gw", "enabled": false}]}})),
        (json!({}), "p[port:80].name", json!("x"), json!({"p": [{"port": 80, "name": "x"}]})),
    ] {
        assert_eq!(run(Mode::Set, root, path, value), Ok(expected), "{path}");
    }
}
