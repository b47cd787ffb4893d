//! Which files there are, and what they say together.

use crate::ask::Call;
use crate::world::Wanted::{Answer, Refusal};
use crate::world::{Row, World, call, config, with};
use serde_json::{Value, json};
use std::process::Command;

/// Several files in `KUBECONFIG`.
fn several(world: &World, name: &str, files: &[Value]) -> Call {
    let paths = files.iter().enumerate().map(|(number, file)| {
        let text = file.as_str().map_or_else(|| file.to_string(), ToOwned::to_owned);
        if text.starts_with('/') { text } else { world.file(&format!("{name}/{number}"), &text).display().to_string() }
    });
    call(paths.collect::<Vec<_>>().join(":"))
}

#[test]
fn several_files_say_together_what_they_say_to_kubectl() {
    let world = World::start();
    let own = config(&world.cluster(), &world.admin());
    let only = |field: &str| json!({ field: own[field] });
    let wrong = config(&json!({"server": "https://127.0.0.1:1"}), &json!({"token": "hush"}));
    let another = |user: Value| json!({"users": [{"name": "u", "user": user}]});
    let twice = json!({"users": [{"name": "u", "user": {"token": "hush"}}, own["users"][0]]});
    let without = |field: &str| with(&own, &json!({ field: null }));
    let rows = [
        ("in parts", vec![only("users"), only("clusters"), only("contexts"), only("current-context")], Answer("admin")),
        ("the first wins", vec![own.clone(), wrong.clone()], Answer("admin")),
        ("the last loses", vec![wrong.clone(), own.clone()], Refusal),
        ("a user of both", vec![another(json!({"as": "jane"})), own.clone()], Refusal),
        ("a null user", vec![another(Value::Null), own.clone()], Refusal),
        ("a file that is not there", vec![json!("/gone"), own.clone()], Answer("admin")),
        ("an empty file", vec![json!(""), own.clone()], Answer("admin")),
        ("null lists", vec![json!({"users": null, "clusters": null, "contexts": null}), own.clone()], Answer("admin")),
        ("no YAML", vec![own.clone(), json!("{")], Refusal),
        ("another kind", vec![with(&own, &json!({"kind": "Pod"}))], Refusal),
        ("another version", vec![with(&own, &json!({"apiVersion": "v2"}))], Refusal),
        ("no kind", vec![with(&own, &json!({"kind": null, "apiVersion": null}))], Answer("admin")),
        ("two of a name", vec![twice, without("users")], Refusal),
        ("no current context", vec![without("current-context")], Refusal),
        ("no such context", vec![with(&own, &json!({"current-context": "x"}))], Refusal),
        ("no cluster", vec![without("clusters")], Refusal),
        ("no user", vec![without("users")], Refusal),
        ("nothing at all", vec![json!("/gone")], Refusal),
        ("as YAML", vec![json!(serde_yaml(&own))], Answer("admin")),
        ("two documents", vec![json!(format!("{}\n---\n{wrong}", serde_yaml(&own)))], Answer("admin")),
    ];
    let rows = rows.map(|(name, files, wanted)| Row { name, call: several(&world, name, &files), wanted });
    world.compare(&rows);
}

/// As YAML, with a comment.
fn serde_yaml(value: &Value) -> String {
    format!("# by hand\n{}", helm_template::yaml::to_string(value).unwrap())
}

#[test]
fn a_kubeconfig_and_a_context_can_be_chosen() {
    let world = World::start();
    let mut own = config(&world.cluster(), &world.admin());
    let context = |name: &str, user: &str| json!({"name": name, "context": {"cluster": "c", "user": user}});
    own["contexts"].as_array_mut().unwrap().extend([context("two", "v"), context("three", "nobody")]);
    let jane = json!({"name": "v", "user": with(&world.admin(), &json!({"as": "jane"}))});
    own["users"].as_array_mut().unwrap().push(jane);
    let one = world.file("one", &own.to_string()).display().to_string();
    let base = call(&one);
    let context = |name: &str| Call { context: Some(name.into()), ..base.clone() };
    let kubeconfig = |path: &str| Call { kubeconfig: Some(path.into()), ..call("/gone") };
    // Relative paths: those of the file, and that of the file itself.
    let relative = json!({"client-certificate": "admin.crt", "client-key": "../files/admin.key"});
    let cluster = json!({"server": world.server(), "certificate-authority": "ca.crt"});
    for name in ["admin.crt", "admin.key", "ca.crt"] {
        std::fs::create_dir_all(world.folder().join("files")).unwrap();
        std::fs::copy(world.of_plane(name), world.folder().join("files").join(name)).unwrap();
    }
    world.file("files/config", &config(&cluster, &relative).to_string());
    let beside = Call { folder: Some(world.folder().to_owned()), ..call("files/config") };
    let home =
        Call { env: vec![("HOME".into(), world.folder().join("home").display().to_string())], ..Call::default() };
    world.file("home/.kube/config", &own.to_string());
    let rows = [
        ("the current context", base.clone(), Answer("admin")),
        ("another context", context("two"), Answer("jane")),
        ("an empty one", context(""), Answer("admin")),
        ("one that is not there", context("x"), Refusal),
        ("one with a user that is not there", context("three"), Refusal),
        ("a kubeconfig", kubeconfig(&one), Answer("admin")),
        ("a kubeconfig that is not there", kubeconfig("/gone"), Refusal),
        ("a list is not a kubeconfig", kubeconfig(&format!("{one}:{one}")), Refusal),
        ("relative paths", beside, Answer("admin")),
        ("the file at home", home.clone(), Answer("admin")),
        (
            "an empty KUBECONFIG",
            Call { env: [home.env, vec![("KUBECONFIG".into(), String::new())]].concat(), ..home },
            Answer(""),
        ),
        ("a folder", call(world.folder()), Refusal),
    ];
    world.compare(&rows.map(|(name, call, wanted)| Row { name, call, wanted }));
}

/// A pod's view of the cluster, made with a mount that this process alone sees.
#[test]
fn in_a_pod_its_service_account_says_who_we_are() {
    const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("without the right to mount, this is left out");
        return;
    }
    let world = World::start();
    world.file("pod/token", &world.token());
    world.file("pod/namespace", "default");
    std::fs::copy(world.of_plane("ca.crt"), world.folder().join("pod/ca.crt")).unwrap();
    let pod = |program: &str, rest: &str| {
        let script = format!(
            "mount -t tmpfs none /var/run && mkdir -p {PLACE} && cp {}/* {PLACE} && exec {program} {rest}",
            world.folder().join("pod").display()
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).env("HOME", "/nonexistent").env_remove("KUBECONFIG");
        command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", world.port().to_string());
        let out = command.env("KUBECONFIG_TEST_CHOICE", "[null,null]").output().unwrap();
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    };
    let ours = std::env::current_exe().unwrap().display().to_string();
    let told = pod(&ours, "ask::this_is_no_test_but_a_client --exact --ignored --nocapture");
    let kubectl = pod(&world.plane.kubectl_path().display().to_string(), "auth whoami");
    assert!(kubectl.contains("system:serviceaccount:default:default"), "{kubectl}");
    assert!(told.contains("we are: system:serviceaccount:default:default "), "{told}");
}
