//! The end of a control plane that thousands of pods use.

use crate::deletion::ask_to_delete;
use crate::lab::Lab;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

const PODS: usize = 4000;
const AT_ONCE: usize = 16;
const LIMIT: u64 = 64;

/// A pod with a sidecar and much that others wrote down about it. Nobody schedules it.
fn pod(n: usize) -> Value {
    let env: Vec<Value> = (0..60).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "x"})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("cart-{n}"), "namespace": "shop",
            "labels": {"service.istio.io/canonical-name": "cart"},
            "annotations": {"sidecar.istio.io/status": r#"{"containers":["istio-proxy"],"revision":"default"}"#}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "cart", "image": "cart", "env": env}]},
    })
}

fn create_pods(lab: &Lab) {
    let client = lab.client();
    let requests = (0..PODS).map(|n| async move {
        let request = http::Request::post("/api/v1/namespaces/shop/pods").header("content-type", "application/json");
        client.request::<Value>(request.body(pod(n).to_string().into_bytes()).unwrap()).await.map(drop)
    });
    lab.block_on(stream::iter(requests).buffer_unordered(AT_ONCE).try_collect::<()>()).unwrap();
}

/// Memory of a process in MiB at its peak, but for its binary.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let kib = |field: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    kib("VmHWM:").saturating_sub(kib("RssFile:")) / 1024
}

/// Complaint: all of their metadata was read at once, beyond the operator's limit, again after each restart.
#[test]
#[ignore = "long: `make test-all`"]
fn the_end_of_a_control_plane_of_thousands_of_pods_takes_little_memory() {
    let lab = Lab::without_operator();
    let mut operator = lab.begin_operator();
    operator.wait_until_ready().unwrap();
    let process = operator.id();
    lab.watch_over(operator);
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.wait("the service account", || {
        lab.get("/api/v1/namespaces/shop/serviceaccounts/default").map(drop).ok_or_else(String::new)
    });
    create_pods(&lab);
    ask_to_delete(&lab, "iop", "main");
    let status = lab.wait_for_status("ACTION_REQUIRED", &["in use by Pod shop/cart-"]);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("and 3997 more"), "{message}");
    assert!(peak(process) <= LIMIT, "{} MiB at its peak", peak(process));
    println!("{} MiB at its peak", peak(process));
}
