//! `dashboard` through a real API server: kwok leads what goes to a pod to a page of this test.

use crate::controlplane::process::Process;
use crate::controlplane::{ControlPlane, Options, free_ports, wait};
use crate::lab::binary;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// The labels of the pods behind the pages.
const APPS: [&str; 5] = ["kiali", "prometheus", "zipkin", "skywalking-ui", "istiod"];

/// Serves a page for ever, at a port of this host.
fn serve_pages() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            std::thread::spawn(move || answer(&stream));
        }
    });
    port
}

/// Answers with the path that was asked for, as long as the caller asks.
fn answer(mut stream: &TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        // Long enough for several messages.
        let body = format!("this is {path}\n{}", "x".repeat(200_000));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

/// The first line of a page, or why there is none; `is_closing` says all before it reads.
fn read_page(port: u16, path: &str, is_closing: bool) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(text)?;
    write!(stream, "GET {path} HTTP/1.1\r\n\r\n").map_err(text)?;
    if is_closing {
        stream.shutdown(std::net::Shutdown::Write).map_err(text)?;
    }
    let mut answer = vec![];
    let mut chunk = [0; 4096];
    while answer.len() < 200_000 {
        match stream.read(&mut chunk).map_err(text)? {
            0 => break,
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let answer = String::from_utf8(answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {answer}"))?;
    Ok(body.lines().next().unwrap_or_default().to_owned())
}

/// A dashboard that runs.
fn start(plane: &ControlPlane, folder: &Path, name: &str, args: &[&str]) -> Process {
    let mut command = Command::new(binary());
    command.arg("dashboard").args(args).arg("--browser=false").env("KUBECONFIG", plane.kubeconfig());
    Process::spawn(name, &mut command, &folder.join(name)).unwrap()
}

/// The port of the address that it prints, which must end so.
fn port_of(process: &Process, path: &str) -> u16 {
    let find = |log: String| -> Option<u16> {
        let line = log.lines().find_map(|line| line.strip_prefix("http://localhost:").map(str::to_owned))?;
        line.strip_suffix(path)?.parse().ok()
    };
    wait("the address", PATIENCE, || Ok(find(process.log()).ok_or_else(|| process.log()))).unwrap()
}

fn run(plane: &ControlPlane, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.arg("dashboard").args(args).arg("--browser=false").env("KUBECONFIG", plane.kubeconfig());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: istio-system}}\nspec:\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec: {{containers: [{{name: a, image: a}}]}}\n"
    )
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_page_of_a_pod_is_here_until_it_is_told_to_end() {
    let plane = ControlPlane::start_with(&Options { pods_serve: Some(serve_pages()), ..Options::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    plane.kubectl(&["create", "namespace", "istio-system"]).unwrap();
    let (code, said) = run(&plane, &["kiali"]);
    assert!(code == Some(1) && said.contains("no Kiali pods found") && !said.contains("http"), "{said}");

    let file = folder.path().join("apps.yaml");
    std::fs::write(&file, APPS.map(deployment).join("---\n")).unwrap();
    plane.kubectl(&["apply", "-f", &file.to_string_lossy()]).unwrap();
    let available = ["wait", "--for=condition=Available", "deployments", "--all", "-n", "istio-system"];
    plane.kubectl(&available).unwrap();
    let [port, other] = free_ports().unwrap();
    let mut kiali = start(&plane, folder.path(), "kiali", &["kiali", "--port", &port.to_string()]);
    assert_eq!(port_of(&kiali, "/kiali"), port);
    for is_closing in [false, true] {
        assert_eq!(
            read_page(port, "/kiali/graph", is_closing),
            Ok("this is /kiali/graph".to_owned()),
            "{}",
            kiali.log()
        );
    }
    let (code, said) = run(&plane, &["prometheus", "--port", &port.to_string()]);
    assert!(code == Some(1) && said.contains(&format!("port {port}")) && said.contains("--port"), "{said}");

    // Another pod takes the place of the one that was there.
    plane.kubectl(&["delete", "pods", "--all", "-n", "istio-system", "--force", "--grace-period=0"]).unwrap();
    plane.kubectl(&available).unwrap();
    let page = wait("the page of the new pod", PATIENCE, || Ok(read_page(port, "/new", false)));
    assert_eq!(page.unwrap_or_else(|e| panic!("{e:#}\n{}", kiali.log())), "this is /new");

    // Without a name of its own port it takes any.
    let pod = plane.kubectl(&["get", "pods", "-n", "istio-system", "-l", "app=prometheus", "-o", "name"]).unwrap();
    let pod = format!("{}.istio-system", pod.trim());
    let envoy = start(&plane, folder.path(), "envoy", &["envoy", &pod, "--port", &other.to_string()]);
    assert_eq!(read_page(port_of(&envoy, ""), "/config_dump", false), Ok("this is /config_dump".to_owned()));
    for page in ["zipkin", "skywalking", "controlz"] {
        let [port] = free_ports().unwrap();
        let running = start(&plane, folder.path(), page, &[page, "--port", &port.to_string()]);
        assert_eq!(read_page(port_of(&running, ""), "/all", false), Ok("this is /all".to_owned()), "{page}");
    }
    kiali.signal("INT").unwrap();
    let code = wait("the end", PATIENCE, || Ok(kiali.ended()?.ok_or_else(|| kiali.log()))).unwrap().code();
    assert_eq!(code, Some(0), "{}", kiali.log());
}

#[test]
fn what_a_dashboard_may_not_see_is_told_by_the_api_server() {
    let plane = ControlPlane::start_with(&Options { without_kwok: true, ..Options::default() }).unwrap();
    plane.kubectl(&["create", "namespace", "istio-system"]).unwrap();
    plane.kubectl(&["create", "serviceaccount", "nobody"]).unwrap();
    let token = plane.kubectl(&["create", "token", "nobody"]).unwrap();
    let config = plane.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["users"][0]["user"] = serde_json::json!({"token": token.trim()});
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("nobody");
    std::fs::write(&account, config.to_string()).unwrap();
    let account = account.to_string_lossy();
    let (code, said) = run(&plane, &["grafana", "--kubeconfig", &account]);
    assert!(code == Some(1) && said.contains("look for Grafana pods: ") && said.contains("forbidden"), "{said}");
    let (code, said) = run(&plane, &["envoy", "a.b", "--kubeconfig", &account]);
    assert!(
        code == Some(1) && said.contains("forward port 15000 of pod b/a: ") && said.contains("forbidden"),
        "{said}"
    );
    let (code, said) = run(&plane, &["envoy"]);
    assert!(code == Some(2) && said.contains("name a pod"), "{said}");
}
