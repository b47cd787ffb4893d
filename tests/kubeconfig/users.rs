//! Who we are, as a user of a kubeconfig says it.

use crate::front::{Front, Manner};
use crate::world::Wanted::{Answer, Refusal};
use crate::world::{Row, World, call, config, row, with};
use serde_json::{Value, json};

#[test]
fn tokens_certificates_and_nobody_are_told_to_the_api_server() {
    let world = World::start();
    let (cluster, admin, token) = (world.cluster(), world.admin(), world.token());
    let file = |name: &str| world.of_plane(name).to_string_lossy().into_owned();
    let files = json!({"client-certificate": file("admin.crt"), "client-key": file("admin.key")});
    let good = world.file("token", &format!("{token}\n"));
    let empty = world.file("empty", "\n");
    let other = world.file("other", "hush");
    let rows = [
        ("nobody", json!({}), Refusal),
        ("a token", json!({"token": token}), Answer("serviceaccount:default:default")),
        ("a wrong token", json!({"token": "hush"}), Refusal),
        ("a number for a token", json!({"token": 12}), Refusal),
        ("a token in a file", json!({"tokenFile": good}), Answer("serviceaccount:default:default")),
        ("a token in a file that is not there", json!({"tokenFile": "/gone"}), Refusal),
        ("an empty file for a token", json!({"tokenFile": empty}), Refusal),
        ("a good token and a bad file", json!({"token": token, "tokenFile": other}), Refusal),
        ("a bad token and a good file", json!({"token": "hush", "tokenFile": good}), Answer("serviceaccount")),
        ("a certificate", admin.clone(), Answer("admin")),
        ("a certificate in files", files.clone(), Answer("admin")),
        ("a certificate in data and files", with(&admin, &files), Refusal),
        ("a certificate without a key", with(&admin, &json!({"client-key-data": null})), Refusal),
        ("a key without a certificate", with(&admin, &json!({"client-certificate-data": null})), Refusal),
        ("a certificate and a foreign key", with(&admin, &json!({"client-key-data": world.data("ca.key")})), Refusal),
        ("a certificate that is not one", with(&admin, &json!({"client-certificate-data": "aHVzaA=="})), Refusal),
        ("a certificate that is not valid base64", with(&admin, &json!({"client-certificate-data": "?"})), Refusal),
        ("a certificate file that is not there", with(&files, &json!({"client-key": "/gone"})), Refusal),
        ("a certificate and a token", with(&admin, &json!({"token": token})), Answer("")),
        ("a token and a password", json!({"token": token, "username": "a", "password": "hush"}), Refusal),
        ("an auth-provider of old", json!({"auth-provider": {"name": "gcp"}}), Refusal),
    ];
    world.compare(&rows.map(|(name, user, wanted)| row(&world, name, &cluster, &user, wanted)));
}

#[test]
fn whom_to_act_as_is_told_to_the_api_server() {
    let world = World::start();
    let (cluster, admin) = (world.cluster(), world.admin());
    let as_nobody = json!({"as-groups": ["g"]});
    let all = json!({"as": "jane", "as-groups": ["g", "h"], "as-uid": "7", "as-user-extra": {"reason": ["x", "y"]}});
    let rows = [
        ("a user", json!({"as": "jane"}), Answer("jane")),
        ("groups", json!({"as": "jane", "as-groups": ["system:masters"]}), Answer("system:masters")),
        ("everything", all, Answer("\"7\" [\"x\",\"y\"]")),
        ("a service account", json!({"as": "system:serviceaccount:a:b"}), Answer("system:serviceaccounts:a")),
        ("groups of nobody", as_nobody, Refusal),
        ("null groups", json!({"as": "jane", "as-groups": null}), Answer("jane")),
    ];
    world.compare(&rows.map(|(name, user, wanted)| row(&world, name, &cluster, &with(&admin, &user), wanted)));
}

/// A program, as a user of a kubeconfig names it.
fn exec(command: &str, others: &Value) -> Value {
    let fields =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "Never"});
    json!({"exec": with(&fields, others)})
}

/// What a program prints that says so.
fn says(status: &Value) -> String {
    let version = "client.authentication.k8s.io/v1";
    format!("cat <<'END'\n{}\nEND", json!({"kind": "ExecCredential", "apiVersion": version, "status": status}))
}

#[test]
fn programs_of_kubeconfigs_say_who_we_are() {
    let world = World::start();
    let (cluster, token) = (world.cluster(), world.token());
    let read = |name: &str| std::fs::read_to_string(world.of_plane(name)).unwrap();
    let certificate = json!({"clientCertificateData": read("admin.crt"), "clientKeyData": read("admin.key")});
    let program = |name: &str, code: &str| world.program(name, code).to_string_lossy().into_owned();
    let good = program("good", &says(&json!({"token": token})));
    let shown = program("shown", &says(&certificate));
    let half = program("half", &says(&json!({"clientKeyData": read("admin.key")})));
    let empty = program("empty", &says(&json!({})));
    let odd = program("odd", "echo '{}'");
    let failing = program("failing", "echo sorry >&2; exit 3");
    let wants =
        program("wants", &format!("[ \"$A\" = b ] && [ \"$1\" = c ] || exit 1\n{}", says(&json!({"token": token}))));
    let asks = format!("echo \"$KUBERNETES_EXEC_INFO\" | grep -q '\"server\":\"{}\"' || exit 1\n", world.server());
    let told = program("told", &(asks + &says(&json!({"token": token}))));
    let expired = json!({"token": token, "expirationTimestamp": "2001-01-01T00:00:00Z"});
    let old = program("old", &says(&expired));
    let rows = [
        ("a token", exec(&good, &json!({})), Answer("serviceaccount")),
        ("a certificate", exec(&shown, &json!({})), Answer("admin")),
        ("half a certificate", exec(&half, &json!({})), Refusal),
        ("nothing", exec(&empty, &json!({})), Refusal),
        ("something else", exec(&odd, &json!({})), Refusal),
        ("a failure", exec(&failing, &json!({})), Refusal),
        ("no such program", exec("/gone", &json!({"installHint": "get it"})), Refusal),
        ("a program in a folder beside", exec("./good", &json!({})), Answer("serviceaccount")),
        ("a program that is not in PATH", exec("good", &json!({})), Refusal),
        (
            "variables and arguments",
            exec(&wants, &json!({"env": [{"name": "A", "value": "b"}], "args": ["c"]})),
            Answer(""),
        ),
        ("no variables", exec(&wants, &json!({"args": ["c"], "env": null})), Refusal),
        ("the cluster", exec(&told, &json!({"provideClusterInfo": true})), Answer("serviceaccount")),
        ("no cluster", exec(&told, &json!({})), Refusal),
        ("what has expired", exec(&old, &json!({})), Answer("serviceaccount")),
        ("no mode", exec(&good, &json!({"interactiveMode": null})), Refusal),
        ("an odd mode", exec(&good, &json!({"interactiveMode": "Now"})), Refusal),
        ("a mode without a person", exec(&good, &json!({"interactiveMode": "IfAvailable"})), Answer("")),
        ("a mode that needs a person", exec(&good, &json!({"interactiveMode": "Always"})), Refusal),
        ("an old version", exec(&good, &json!({"apiVersion": "client.authentication.k8s.io/v1alpha1"})), Refusal),
        ("another version", exec(&good, &json!({"apiVersion": "client.authentication.k8s.io/v1beta1"})), Refusal),
        ("no command", exec("", &json!({})), Refusal),
        (
            "a token beside",
            with(&exec(&failing, &json!({})), &json!({"tokenFile": world.file("t", &token)})),
            Answer(""),
        ),
    ];
    world.compare(&rows.map(|(name, user, wanted)| row(&world, name, &cluster, &user, wanted)));
}

#[test]
fn names_and_passwords_are_sent_as_kubectl_sends_them() {
    let world = World::start();
    let front = Front::start("127.0.0.1:0", &["localhost", "127.0.0.1"], Manner::default());
    let ca = world.file("front.crt", &front.certificate);
    let cluster = json!({"server": format!("https://{}/some/path", front.address), "certificate-authority": ca});
    let rows = [
        ("a name and a password", json!({"username": "me", "password": "secret"}), Answer("Basic bWU6c2VjcmV0 |")),
        ("a name alone", json!({"username": "me"}), Answer("Basic bWU6 |")),
        ("a password alone", json!({"password": "secret"}), Refusal),
        ("a token", json!({"token": "t"}), Answer("/some/path/apis")),
        ("extras", json!({"token": "t", "as": "a", "as-user-extra": {"reason": ["b"]}}), Answer("| a |  |  | b")),
        (
            "an id token that holds",
            json!({"auth-provider": {"name": "oidc", "config": {"id-token": "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln",
                "idp-issuer-url": "https://127.0.0.1:1", "client-id": "z"}}}),
            Answer("Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln |"),
        ),
        (
            "an id token",
            json!({"auth-provider": {"name": "oidc", "config": {"id-token": "x", "idp-issuer-url": "https://x.y",
            "client-id": "z"}}}),
            Refusal,
        ),
    ];
    world.compare(&rows.map(|(name, user, wanted)| row(&world, name, &cluster, &user, wanted)));
}

#[test]
fn a_context_whose_user_is_not_defined_has_no_credentials() {
    let world = World::start();
    // With TLS kubectl asks the person for a name and a password first, and there is none here.
    let front = Front::start("127.0.0.1:0", &["127.0.0.1"], Manner { is_plain: true, ..Manner::default() });
    let cluster = json!({"server": format!("http://{}", front.address)});
    let whole = config(&cluster, &json!({"token": "hush"}));
    let context = |user: Value| json!([{"name": "one", "context": {"cluster": "c", "user": user}}]);
    let rows = [
        ("a user that is not there", json!({"contexts": context(json!("nobody"))})),
        ("no users at all", json!({"users": null})),
        ("no name of a user", json!({"contexts": context(Value::Null)})),
        ("an empty name of a user", json!({"contexts": context(json!(""))})),
    ];
    let rows = rows.map(|(name, changed)| {
        let path = world.file(&format!("{name}.config"), &with(&whole, &changed).to_string());
        Row { name, call: call(path), wanted: Answer(" |  |  |  |  /apis") }
    });
    world.compare(&rows);
    let lost = world.file("lost.config", &with(&whole, &json!({"clusters": null})).to_string());
    world.compare(&[Row { name: "no clusters", call: call(lost), wanted: Refusal }]);
}
