//! The operator as a process: it ends when it is told to, whatever it is at, and its monitoring port stays usable. None of
//! this needs a control plane.

use crate::controlplane::operator::Operator;
use crate::controlplane::wait;
use crate::lab::binary;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// What a container gets after SIGTERM is more.
const AT_MOST: Duration = Duration::from_secs(5);
const ELECTS: &str = "--leader-election-namespace=istio-operator";

/// How an API server can be away.
#[derive(Clone, Copy, Debug)]
enum Away {
    /// Nobody listens.
    Refuses,
    /// Connections are taken, and no answer comes.
    Silent,
    /// The same, below TLS.
    SilentTls,
    /// A program that says who we are does not end.
    Login,
}

/// A kubeconfig for an API server that is away; whoever listens is silent as long as it lives.
fn away(how: Away, folder: &Path) -> (std::path::PathBuf, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = match how {
        Away::Refuses => TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
        _ => listener.local_addr().unwrap(),
    };
    let scheme = if matches!(how, Away::Silent) { "http" } else { "https" };
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["600"],
        "interactiveMode": "Never"});
    let user = if matches!(how, Away::Login) { json!({"exec": exec}) } else { json!({"token": "t"}) };
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("{scheme}://{address}")}}],
        "users": [{"name": "c", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]});
    let path = folder.join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    (path, listener)
}

/// Tells it to end, and gives how long that took and the exit code.
fn end(operator: Operator) -> (Duration, Option<i32>) {
    let begun = Instant::now();
    let code = operator.terminate().unwrap().code();
    (begun.elapsed(), code)
}

/// Issue: an operator that could not start ignored SIGTERM.
#[test]
fn sigterm_ends_a_process_whose_api_server_is_away() {
    for how in [Away::Refuses, Away::Silent, Away::SilentTls, Away::Login] {
        for args in [&[][..], &[ELECTS, "--renew-deadline=2s"]] {
            let folder = tempfile::tempdir().unwrap();
            let (kubeconfig, listener) = away(how, folder.path());
            let mut operator = Operator::begin(&binary(), kubeconfig.as_os_str(), folder.path(), args).unwrap();
            assert_eq!(operator.get("/healthz").unwrap(), Ok("ok\n".into()), "{how:?}");
            if matches!(how, Away::Silent | Away::SilentTls) {
                // It waits for an answer now.
                let _asked = listener.accept().unwrap();
                let (took, code) = end(operator);
                assert!(took < AT_MOST && code == Some(0), "{how:?} {args:?}: {code:?} after {took:?}");
            } else {
                let (took, code) = end(operator);
                assert!(took < AT_MOST && code == Some(0), "{how:?} {args:?}: {code:?} after {took:?}");
            }
        }
    }
}

#[test]
fn a_second_signal_changes_nothing_and_interrupt_is_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, listener) = away(Away::Silent, folder.path());
    let mut operator = Operator::begin(&binary(), kubeconfig.as_os_str(), folder.path(), &[ELECTS]).unwrap();
    let _asked = listener.accept().unwrap();
    operator.signal("INT").unwrap();
    let _ = operator.signal("TERM");
    let ended = wait("the end", AT_MOST, || Ok(operator.ended()?.ok_or_else(|| "it runs".to_owned()))).unwrap();
    assert_eq!(ended.code(), Some(0));
}

/// Issue: with an election a process was ready before the first answer to any request.
#[test]
fn nobody_is_ready_who_has_not_had_an_answer() {
    for how in [Away::Refuses, Away::Silent] {
        let folder = tempfile::tempdir().unwrap();
        let (kubeconfig, _listener) = away(how, folder.path());
        let mut operator = Operator::begin(&binary(), kubeconfig.as_os_str(), folder.path(), &[ELECTS]).unwrap();
        let said = wait("what is missing", Duration::from_secs(20), || {
            let answer = operator.get("/readyz")?;
            Ok(answer.map_or_else(|no| if no.contains("lease") { Ok(no) } else { Err(no) }, Ok))
        });
        let said = said.unwrap();
        assert!(said.contains(" 503 ") && said.contains("istio-operator-lock"), "{how:?}: {said}");
    }
}

#[test]
fn a_process_is_shown_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, _listener) = away(Away::Refuses, folder.path());
    let operator = Operator::begin(&binary(), kubeconfig.as_os_str(), folder.path(), &[]).unwrap();
    let shown = std::fs::read_to_string(format!("/proc/{}/comm", operator.id())).unwrap();
    // The kernel keeps no more of a name than this.
    let name: String = binary().file_name().unwrap().to_str().unwrap().chars().take(15).collect();
    assert_eq!(shown.trim(), name);
    assert_eq!(end(operator).1, Some(0));
}

#[test]
fn deadlines_are_durations_of_go() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, _listener) = away(Away::Refuses, folder.path());
    for deadline in ["500ms", "1.5s", "1m30s"] {
        let mut command = Command::new(binary());
        command.arg("run").env("KUBECONFIG", &kubeconfig).env("RENEW_DEADLINE", deadline);
        let operator = Operator::begin_as(command, folder.path());
        assert_eq!(end(operator.unwrap_or_else(|e| panic!("{deadline}: {e:#}"))).1, Some(0), "{deadline}");
    }
}

fn request(address: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// How much processor time a process has had, in hundredths of a second.
fn processor_time(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum()
}

fn open_files(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

#[test]
fn the_monitoring_port_survives_whoever_only_connects() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, _listener) = away(Away::Refuses, folder.path());
    let mut operator = Operator::begin(&binary(), kubeconfig.as_os_str(), folder.path(), &[]).unwrap();
    let idle: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(operator.address()).unwrap()).collect();
    assert_eq!(operator.get("/healthz").unwrap(), Ok("ok\n".into()));
    assert!(open_files(operator.id()) < 200, "{} files are open", open_files(operator.id()));
    // Half a request is none.
    let begun = Instant::now();
    let slow = request(operator.address(), "GET /healthz HTTP/1.1\r\n");
    assert!(begun.elapsed() < Duration::from_secs(9), "waited {:?} for the rest of a request: {slow}", begun.elapsed());
    drop(idle);
}

#[test]
fn too_many_open_files_are_no_busy_loop() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, _listener) = away(Away::Refuses, folder.path());
    let mut command = Command::new("sh");
    let run = "ulimit -n 60; exec \"$0\" run \"$@\"";
    command.args(["-c", run]).arg(binary()).env("KUBECONFIG", &kubeconfig);
    let operator = Operator::begin_as(command, folder.path()).unwrap();
    let at_work = wait("it to ask the API server", Duration::from_secs(20), || {
        let log = operator.log();
        Ok(if log.contains("the API server cannot be reached") { Ok(()) } else { Err(log) })
    });
    at_work.unwrap();
    let before = processor_time(operator.id());
    let idle: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(operator.address()).unwrap()).collect();
    // The passing of time is what is measured.
    thread::sleep(Duration::from_secs(3));
    let used = processor_time(operator.id()) - before;
    assert!(used < 100, "{used} hundredths of a second of 300");
    drop(idle);
    assert_eq!(end(operator).1, Some(0));
}

#[test]
fn the_level_of_logs_is_changed_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, _listener) = away(Away::Refuses, folder.path());
    let mut operator = Operator::begin(&binary(), kubeconfig.as_os_str(), folder.path(), &[]).unwrap();
    let put = |level: &str| {
        let length = level.len();
        request(
            operator.address(),
            &format!("PUT /log-level HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{level}"),
        )
    };
    assert!(put("nonsense=nonsense=").contains(" 400 "));
    assert!(put("debug").contains(" 200 "));
    assert!(operator.get("/log-level").unwrap().unwrap().contains("debug"));
    let seen = wait("debug logs", Duration::from_secs(20), || {
        let log = operator.log();
        Ok(if log.contains("DEBUG") { Ok(()) } else { Err(log) })
    });
    seen.unwrap();
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, _listener) = away(Away::Refuses, folder.path());
    let mut config: Value = serde_json::from_slice(&std::fs::read(&kubeconfig).unwrap()).unwrap();
    let cases = [
        (json!({"client-certificate": "/nowhere/a.crt", "client-key": "/nowhere/a.key"}), "/nowhere/a.crt"),
        (json!({"client-certificate": "/etc/hostname", "client-key": "/etc/hostname"}), "no certificate in PEM form"),
        (json!({"client-key-data": "aGVsbG8="}), "no client-certificate; give both"),
    ];
    for (user, why) in cases {
        config["users"][0]["user"] = user;
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let mut command = Command::new(binary());
        let out = command.args(["run", "--monitoring-port=0"]).env("KUBECONFIG", &kubeconfig).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(1) && said.contains(why), "{why}: {said}");
    }
}
