//! What commands say where the kubeconfig leads to no API server, or to one that does not take them.

use super::{code, folder, stderr};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Every command that asks a cluster before it does anything, with what it needs.
const COMMANDS: [&str; 17] = [
    "install -y",
    "upgrade -y",
    "uninstall --purge -y",
    "verify-install",
    "tag list",
    "tag set a --revision b -y",
    "tag remove a -y",
    "x revision list",
    "x revision describe a",
    "x precheck",
    "operator init",
    "operator remove -y",
    "operator status",
    "operator adopt main",
    "manifest diff -f spec.yaml --cluster",
    "upgrade plan -f spec.yaml --to 1.17.8 --cluster",
    "dashboard kiali --browser=false",
];

/// A server that gives every request the same answer, and its address.
fn server(status: &'static str, kind: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while connection.read(&mut request).is_ok_and(|read| read > 0) {
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if connection.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

fn run(folder: &Path, command: &str) -> Output {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
    operator.current_dir(folder).args(command.split(' ')).stdin(Stdio::null());
    operator.env("KUBECONFIG", folder.join("config")).env("XDG_CACHE_HOME", folder.join("cache"));
    operator.output().unwrap()
}

#[test]
fn every_command_says_what_to_do_where_there_is_no_api_server() {
    let refused = r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401}"#;
    let cases = [
        ("http://127.0.0.1:9".to_owned(), "cannot be reached: ", "--context or --kubeconfig"),
        (server("200 OK", "text/html", "<html>log in</html>"), "is not the API server", "--context or --kubeconfig"),
        (server("401 Unauthorized", "application/json", refused), "does not take our credentials", "log in again"),
    ];
    for (address, wrong, what_to_do) in cases {
        let config = format!(
            "{{apiVersion: v1, kind: Config, current-context: a, clusters: [{{name: a, cluster: {{server: '{address}'}}}}], \
             users: [{{name: a, user: {{}}}}], contexts: [{{name: a, context: {{cluster: a, user: a}}}}]}}"
        );
        let spec = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {profile: empty}\n";
        let folder = folder(&[("config", &config), ("spec.yaml", spec)]);
        for command in COMMANDS {
            let output = run(folder.path(), command);
            let told = stderr(&output);
            assert_eq!(code(&output), 1, "{command}: {told}");
            let errors = told.lines().filter(|line| line.starts_with("Error: ")).count();
            assert!(errors == 1 && told.contains(wrong) && told.contains(what_to_do), "{command}: {told}");
        }
    }
}
