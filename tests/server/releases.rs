//! Which release a resource gets, and where its package comes from; with the small package of `tests/packages`.

use crate::lab::{Inventory, Lab, missing_in};
use crate::small::{self, PACKAGES, VERSION};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const OLD: &str = "1.17.8";
const RELEASE: &str = "install.istio.io/release";
const WORKLOADS: [&str; 2] = ["istiod", "istio-ingressgateway"];

/// A lab without an operator yet, and a folder of the test's.
fn begin() -> (Lab, tempfile::TempDir) {
    (Lab::without_operator(), tempfile::tempdir().unwrap())
}

/// Starts the operator with a cache of its own, in place of the one that runs.
fn start(lab: &Lab, folder: &Path, name: &str, flags: &[&str]) {
    let cache = format!("--cache-dir={}", folder.join("cache").display());
    lab.watch_over(lab.start_another(name, &[&[cache.as_str()], flags].concat()));
}

/// Another value of an annotation of `main`, or none.
fn annotate(lab: &Lab, name: &str, value: Option<&str>) {
    let change = value.map_or_else(|| format!("{name}-"), |value| format!("{name}={value}"));
    lab.annotate("main", &change);
}

/// The release that a Deployment says it is of.
fn release(lab: &Lab, deployment: &str) -> String {
    let deployment = lab.deployment(deployment).unwrap();
    deployment["metadata"]["labels"]["operator.istio.io/version"].as_str().unwrap().to_owned()
}

/// Waits until `main` is HEALTHY with a release, and gives the workloads that had no ready pod meanwhile.
fn gaps_until(lab: &Lab, version: &str) -> BTreeSet<&'static str> {
    let mut gaps = BTreeSet::new();
    lab.wait(&format!("release {version}"), || {
        gaps.extend(WORKLOADS.into_iter().filter(|name| {
            let deployment = lab.deployment(name).unwrap_or_default();
            deployment["status"]["readyReplicas"].as_i64().is_none_or(|ready| ready < 1)
        }));
        let status = lab.iop("main").unwrap()["status"].clone();
        let is_done = status["status"] == "HEALTHY" && release(lab, "istiod") == version;
        if is_done { Ok(()) } else { Err(status.to_string()) }
    });
    gaps
}

/// Waits until a reconcile has begun and ended after this.
fn look_again(lab: &Lab) {
    let request = format!("{}", lab.mark());
    annotate(lab, "install.istio.io/reconcile-requested-at", Some(&request));
    lab.wait("a reconcile", || {
        let status = lab.iop("main").unwrap()["status"].clone();
        if status["lastHandledReconcileAt"] == request.as_str() { Ok(()) } else { Err(status.to_string()) }
    });
}

/// The reason of the condition `Stalled` or `Ready`.
fn reason(status: &Value, kind: &str) -> String {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let found = conditions.filter(|condition| condition["type"] == kind).map(|condition| &condition["reason"]);
    found.filter_map(Value::as_str).collect()
}

/// What was written since a mark, but statuses and events.
fn written_since(lab: &Lab, mark: u64) -> Vec<String> {
    let told = |write: &String| write.contains("istiooperators/status") || write.contains(" events ");
    lab.writes_since(mark).into_iter().filter(|write| !told(write)).collect()
}

fn names(inventory: &Inventory) -> BTreeSet<&str> {
    inventory.keys().map(String::as_str).collect()
}

#[test]
#[ignore = "long: `make test-all`"]
fn the_annotation_takes_a_control_plane_to_another_release() {
    let (lab, folder) = begin();
    let packages = format!("--package-dir={PACKAGES}");
    start(&lab, folder.path(), "first", &[&packages]);
    lab.apply_spec("{profile: default}");
    lab.wait_for_status("HEALTHY", &[]);
    let before = lab.owned_at_rest();
    assert_eq!(release(&lab, "istiod"), OLD);
    // Another default is for what has nothing yet.
    assert_eq!(lab.terminate_operator(), Some(0));
    let mark = lab.mark();
    start(&lab, folder.path(), "second", &[&packages, "--default-release=1.30.99"]);
    look_again(&lab);
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(written_since(&lab, mark), Vec::<String>::new());

    annotate(&lab, RELEASE, Some(VERSION));
    assert_eq!(gaps_until(&lab, VERSION), BTreeSet::new(), "had no pod that was ready");
    let after = lab.owned_at_rest();
    let gone = missing_in(&before, &after);
    for name in [
        "PodDisruptionBudget istio-system/istiod",
        "EnvoyFilter istio-system/stats-filter-1.17",
        "ClusterRole istiod-istio-system",
        "ServiceAccount istio-system/istiod-service-account",
    ] {
        assert!(gone.contains(name), "{name} is left of {OLD}: {gone:?}");
    }
    assert!(names(&after).contains("ConfigMap istio-system/values"));
    let replaced: Vec<_> = before.iter().filter(|(k, a)| after.get(*k).is_some_and(|b| a.uid != b.uid)).collect();
    assert!(replaced.is_empty(), "{replaced:?} were deleted and created again");
    let image = &lab.deployment("istio-ingressgateway").unwrap()["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "registry.istio.io/release/proxyv2:1.30.99");

    // Nor does another operator take it back, though nothing names the release any more.
    annotate(&lab, RELEASE, None);
    look_again(&lab);
    assert_eq!(lab.terminate_operator(), Some(0));
    let mark = lab.mark();
    start(&lab, folder.path(), "third", &[&packages, "--default-release=1.17.8"]);
    look_again(&lab);
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!((written_since(&lab, mark), lab.owned_at_rest()), (vec![], after));
}

#[test]
fn nothing_is_written_while_the_package_of_what_is_installed_is_missing() {
    let (lab, folder) = begin();
    let packages = folder.path().join("packages");
    small::write_release(&packages.join(VERSION));
    let dir = format!("--package-dir={}", packages.display());
    let flags = [dir.as_str(), "--default-release=1.30.99"];
    start(&lab, folder.path(), "first", &flags);
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(release(&lab, "istiod"), VERSION, "the default is for what has nothing yet");
    lab.owned_at_rest();
    assert_eq!(lab.terminate_operator(), Some(0));

    let (here, away) = (packages.join(VERSION), folder.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let mark = lab.mark();
    start(&lab, folder.path(), "second", &[&dir]);
    let words = [
        "Deployment istio-system/istiod is of release 1.30.99",
        "not at hand",
        "--package-dir",
        "install.istio.io/allow-downgrade-to=1.17.8",
    ];
    let status = lab.wait_for_status("ACTION_REQUIRED", &words);
    assert_eq!(
        (reason(&status, "Stalled"), reason(&status, "Ready")),
        ("ReleaseMissing".into(), "ReleaseMissing".into())
    );
    // Of an edit, too: what it comes to is not known.
    lab.apply_spec("{profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}");
    lab.wait_for_status("ACTION_REQUIRED", &words);
    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    look_again(&lab);
    assert_eq!(written_since(&lab, mark), Vec::<String>::new());

    std::fs::rename(&away, &here).unwrap();
    lab.wait_for_status("HEALTHY", &[]);
    assert!(lab.get("/api/v1/namespaces/istio-system/services/istiod").is_some());
    let mesh = lab.get("/api/v1/namespaces/istio-system/configmaps/istio").unwrap();
    assert!(mesh["data"]["mesh"].as_str().unwrap().contains("/dev/stdout"));
}

/// A server of this host with the package: while it is on, and once it is not held.
struct Server {
    address: String,
    is_on: Arc<AtomicBool>,
    is_held: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (is_on, is_held, requests) = <(Arc<AtomicBool>, Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let (on, held, count) = (Arc::clone(&is_on), Arc::clone(&is_held), Arc::clone(&requests));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map(Result::unwrap) {
                count.fetch_add(1, SeqCst);
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let asked: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let name = asked.first().and_then(|line| line.split(".tgz").next()).unwrap_or_default();
                // Of `istio2.tgz` another archive than of `istio3.tgz`.
                let archive = small::archive(name.chars().last().and_then(|c| c.to_digit(10)).unwrap_or(1));
                while held.load(SeqCst) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                if on.load(SeqCst) {
                    let first = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
                    let answer = [format!("{first} {}\r\n\r\n", archive.len()).into_bytes(), archive.clone()].concat();
                    // Who asked may have gone.
                    let _ = stream.write_all(&answer);
                }
            }
        });
        Self { address, is_on, is_held, requests }
    }

    fn url(&self) -> String {
        format!("http://{}/istio/istio.tgz", self.address)
    }
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_release_that_is_none_is_told_and_changes_nothing() {
    let (lab, folder) = begin();
    let server = Server::start();
    let dir = folder.path().join("packages");
    small::write_release(&dir.join(VERSION));
    small::write_release(&folder.path().join("outside"));
    let allowed = ["--package-dir", dir.to_str().unwrap(), "--allow-package=https://packages.example/istio"];
    start(&lab, folder.path(), "operator", &allowed);
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    let mark = lab.mark();
    for (release, phase, words) in [
        ("latest", "ERROR", "release \"latest\" is not a valid version; write one such as 1.30.3"),
        ("../x", "ERROR", "release \"../x\" is not a valid version"),
        ("1.99.0", "ACTION_REQUIRED", "start the operator with a --package-dir or a --release-source that has 1.99.0"),
    ] {
        annotate(&lab, RELEASE, Some(release));
        let status = lab.wait_for_status(phase, &[words]);
        let expected = if phase == "ERROR" { "InvalidSpec" } else { "ReleaseMissing" };
        assert_eq!(reason(&status, "Stalled"), expected);
    }
    annotate(&lab, RELEASE, None);
    lab.wait_for_status("HEALTHY", &[]);
    let outside = folder.path().join("outside").display().to_string();
    let up = dir.join("../outside").display().to_string();
    for (location, words) in [
        (outside.as_str(), "start the operator with --package-dir"),
        (&up, "must be an absolute path without .."),
        ("packages/1.30.99", "must be an absolute path"),
        ("/", "start the operator with --package-dir"),
        (&server.url(), "start the operator with --allow-package http://127.0.0.1"),
        (
            "https://packages.example/other/istio.tgz",
            "start the operator with --allow-package https://packages.example/",
        ),
        ("https://packages.example/istio/../other/istio.tgz", "--allow-package https://packages.example/"),
        ("http://packages.example/istio/istio.tgz", "use https://"),
        ("oci://packages.example/istio:1", "start the operator with --allow-package oci://packages.example/istio"),
        ("ftp://packages.example/istio", "ftp:// is not supported"),
    ] {
        lab.apply_spec(&format!("{{profile: minimal, installPackagePath: '{location}'}}"));
        let status = lab.wait_for_status("ERROR", &[words]);
        assert_eq!(reason(&status, "Stalled"), "InvalidSpec", "{location}");
    }
    assert_eq!((server.requests.load(SeqCst), written_since(&lab, mark)), (0, vec![]));
    lab.apply_spec(&format!("{{profile: minimal, installPackagePath: {}}}", dir.join(VERSION).display()));
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(release(&lab, "istiod"), VERSION);
}

/// Nothing is repaired meanwhile either, since what the spec renders to is not known.
#[test]
#[ignore = "long: `make test-all`"]
fn a_server_that_is_down_is_waited_for_and_later_not_needed() {
    let (lab, folder) = begin();
    let server = Server::start();
    let allow = format!("--allow-package=http://{}/istio", server.address);
    start(&lab, folder.path(), "first", &[&allow]);
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    let mark = lab.mark();
    lab.apply_spec(&format!("{{profile: minimal, installPackagePath: '{}'}}", server.url()));
    let status = lab.wait_for_status("RECONCILING", &["trying again", &server.url()]);
    assert_eq!(reason(&status, "Ready"), "Retrying");
    let status = lab.wait_for_status("ERROR", &[&server.url()]);
    assert_eq!((reason(&status, "Ready"), reason(&status, "Stalled")), ("Failed".into(), String::new()));
    lab.kubectl(&["delete", "service", "istiod", "-n", "istio-system"]);
    look_again(&lab);
    assert_eq!((written_since(&lab, mark), release(&lab, "istiod")), (vec![], OLD.to_owned()));

    server.is_on.store(true, SeqCst);
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(release(&lab, "istiod"), VERSION);
    assert!(lab.get("/api/v1/namespaces/istio-system/services/istiod").is_some());
    lab.owned_at_rest();
    server.is_on.store(false, SeqCst);
    assert_eq!(lab.terminate_operator(), Some(0));
    let (mark, requests) = (lab.mark(), server.requests.load(SeqCst));
    start(&lab, folder.path(), "second", &[&allow]);
    look_again(&lab);
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!((written_since(&lab, mark), server.requests.load(SeqCst)), (vec![], requests));

    // A pin that is not met is an error, though the same is in the cache.
    server.is_on.store(true, SeqCst);
    let pin = "0".repeat(64);
    lab.apply_spec(&format!("{{profile: minimal, installPackagePath: '{}#sha256={pin}'}}", server.url()));
    lab.wait_for_status("RECONCILING", &[&format!("not sha256:{pin}; check who changed it, then change the pin")]);
    assert_eq!(written_since(&lab, mark), Vec::<String>::new());
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_fetch_that_takes_long_is_no_error_and_is_made_once() {
    let (lab, folder) = begin();
    let server = Server::start();
    server.is_held.store(true, SeqCst);
    server.is_on.store(true, SeqCst);
    let allow = format!("--allow-package=http://{}/", server.address);
    start(&lab, folder.path(), "operator", &[&allow, "--recheck-interval=1s"]);
    let located = |rest: &str| format!("{{installPackagePath: '{}', {rest}}}", server.url());
    lab.apply_spec(&located("profile: minimal"));
    let edge = "profile: empty, components: {ingressGateways: [{name: edge, enabled: true}]}";
    lab.apply_named("edge", &located(edge));
    for name in ["main", "edge"] {
        let status = lab.wait_for_status_of(name, "RECONCILING", &[&server.url(), "which is being fetched"]);
        assert_eq!(reason(&status, "Ready"), "Waiting", "{name}");
    }
    look_again(&lab);
    assert_eq!(server.requests.load(SeqCst), 1);
    server.is_held.store(false, SeqCst);
    for (name, deployment) in [("main", "istiod"), ("edge", "edge")] {
        lab.wait_for_status_of(name, "HEALTHY", &[]);
        assert_eq!(release(&lab, deployment), VERSION);
    }
    assert_eq!(server.requests.load(SeqCst), 1);
}

#[test]
fn the_cache_keeps_as_many_packages_as_it_is_told_to() {
    let (lab, folder) = begin();
    let server = Server::start();
    server.is_on.store(true, SeqCst);
    let allow = format!("--allow-package=http://{}/", server.address);
    start(&lab, folder.path(), "operator", &[&allow, "--cached-packages=3"]);
    for level in 1..=5 {
        let location = server.url().replace(".tgz", &format!("{level}.tgz"));
        lab.apply_spec(&format!("{{profile: minimal, installPackagePath: '{location}'}}"));
        lab.wait("the package to be fetched", || match server.requests.load(SeqCst) {
            asked if asked == level => Ok(()),
            asked => Err(format!("{asked} requests")),
        });
        lab.wait_for_status("HEALTHY", &[]);
    }
    let names = std::fs::read_dir(folder.path().join("cache/packages")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let packages: Vec<String> = names.filter(|name| name.starts_with("sha256-")).collect();
    assert_eq!(packages.len(), 3, "{packages:?}");
    let location = server.url().replace(".tgz", "5.tgz");
    lab.apply_spec(&format!("{{profile: minimal, installPackagePath: '{location}', hub: x.example}}"));
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(server.requests.load(SeqCst), 5, "what is in use is not fetched again");
}

/// The API server keeps definitions that have stored what the older ones do not know: they are to be left out.
#[test]
#[ignore = "long: `make test-all`"]
fn an_older_release_is_only_for_who_allows_it() {
    let (lab, folder) = begin();
    start(&lab, folder.path(), "operator", &["--package-dir", PACKAGES, "--default-release", VERSION]);
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.owned_at_rest();
    let mark = lab.mark();
    annotate(&lab, RELEASE, Some(OLD));
    let words = ["is of release 1.30.99", "install.istio.io/allow-downgrade-to=1.17.8"];
    let status = lab.wait_for_status("ACTION_REQUIRED", &words);
    assert_eq!(reason(&status, "Stalled"), "Downgrade");
    assert_eq!(written_since(&lab, mark), Vec::<String>::new());
    annotate(&lab, "install.istio.io/allow-downgrade-to", Some(&format!("v{OLD}")));
    lab.wait("istiod to go back", || match release(&lab, "istiod") {
        found if found == OLD => Ok(()),
        found => Err(found),
    });
    lab.wait_for_status("HEALTHY", &[]);
    // What resources of users may have by now stays.
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io";
    assert_eq!(lab.get(path).unwrap()["spec"]["versions"].as_array().unwrap().len(), 3);
}

#[test]
fn gateways_alone_get_the_release_of_their_control_plane_and_follow_it() {
    let (lab, folder) = begin();
    start(&lab, folder.path(), "operator", &["--package-dir", PACKAGES, "--default-release", VERSION]);
    lab.apply(&format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {{profile: minimal}}\n\
         metadata: {{name: main, namespace: istio-system, annotations: {{{RELEASE}: {OLD}}}}}\n"
    ));
    lab.wait_for_status("HEALTHY", &[]);
    lab.apply_named("edge", "{profile: empty, components: {ingressGateways: [{name: edge, enabled: true}]}}");
    lab.wait_for_status_of("edge", "HEALTHY", &[]);
    assert_eq!((release(&lab, "istiod"), release(&lab, "edge")), (OLD.to_owned(), OLD.to_owned()));
    annotate(&lab, RELEASE, Some(VERSION));
    lab.wait("the gateway to follow", || match release(&lab, "edge") {
        found if found == VERSION => Ok(()),
        found => Err(found),
    });
    lab.wait_for_status_of("edge", "HEALTHY", &[]);
    assert_eq!(release(&lab, "istiod"), VERSION);
}
