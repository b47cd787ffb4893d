//! Many resources, each with one gateway; and a cluster with a lot that is none of the operator's business.

use super::operator::{Api, Site, busy, memory, resident};
use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Unless the environment says otherwise (`RESOURCES`).
const RESOURCES: usize = 300;
const CHANGES: usize = 9;
const UNRELATED: usize = 5000;
const PODS: usize = 2000;
const PATIENCE: Duration = Duration::from_mins(15);
const PATH: &str = "/apis/install.istio.io/v1alpha1/namespaces/istio-system/istiooperators";
/// How many requests of ours are under way at once.
const AT_ONCE: usize = 16;
const VERBS: [&str; 6] = ["GET", "WATCH", "POST", "PUT", "PATCH", "DELETE"];

pub fn run(binary: &Path) -> Result<()> {
    let mut site = Site::start(binary)?;
    let (operator, api) = (&mut site.operator, &site.api);
    let id = operator.id();
    let resources = std::env::var("RESOURCES").map_or(Ok(RESOURCES), |text| text.parse())?;
    println!("{resources} resources with one gateway each");
    println!("  operator, before any: {:.1} MiB resident", resident(id)?[0]);
    let begun = Instant::now();
    create(api, (0..resources).map(|n| (PATH.into(), gateway(n))))?;
    println!("  created after {:.1} s", begun.elapsed().as_secs_f64());
    wait_for_all(api, resources, begun)?;
    println!("  all HEALTHY after {:.1} s", begun.elapsed().as_secs_f64());
    let mut requests = vec![];
    for verb in VERBS {
        let series = format!("istio_install_operator_api_request_total{{verb=\"{verb}\"");
        requests.push((verb, operator.metric(&series)?));
    }
    let writes: u64 = requests.iter().filter(|(verb, _)| !["GET", "WATCH"].contains(verb)).map(|(_, n)| n).sum();
    println!("  requests: {requests:?}; writes for each resource: {:.1}", ratio(writes, resources));
    println!("  operator, with all: {}; {:.1} s of CPU", memory(id)?, busy(id)?);

    for (what, field) in [("a Service", "serviceAnnotations"), ("the pods", "podAnnotations")] {
        let mut times = vec![];
        for n in 0..CHANGES {
            times.push(change(api, n * 31 % resources, field)?);
        }
        println!("  a change of {what} to HEALTHY again: {}", super::spread(&mut times));
    }

    let before = resident(id)?[0];
    let text = "x".repeat(2048);
    let config = |n: usize| ("/api/v1/namespaces/default/configmaps".into(), unrelated("ConfigMap", n, &text));
    let secret = |n: usize| ("/api/v1/namespaces/default/secrets".into(), unrelated("Secret", n, &text));
    create(api, (0..UNRELATED).map(|n| if n % 2 == 0 { config(n) } else { secret(n) }))?;
    create(api, (0..PODS).map(|n| ("/api/v1/namespaces/default/pods".into(), pod(n))))?;
    let after = resident(id)?[0];
    println!(
        "  operator, with {UNRELATED} unrelated Secrets and ConfigMaps and {PODS} pods: {after:.1} MiB resident, {:+.1}",
        after - before
    );
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn ratio(count: u64, resources: usize) -> f64 {
    count as f64 / resources as f64
}

fn gateway(n: usize) -> Value {
    json!({
        "apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": format!("gateway-{n}")},
        "spec": {"profile": "empty", "components": {"ingressGateways": [
            {"name": format!("gateway-{n}"), "namespace": "istio-system", "enabled": true}]}},
    })
}

fn unrelated(kind: &str, n: usize, text: &str) -> Value {
    let content = if kind == "Secret" { "stringData" } else { "data" };
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": format!("unrelated-{n}")}, content: {"text": text}})
}

/// Nobody schedules it: pods that run would be the scheduler's load.
fn pod(n: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("unrelated-{n}")},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "app", "image": "app"}]}})
}

fn create(api: &Api, objects: impl Iterator<Item = (String, Value)>) -> Result<()> {
    let requests = objects.map(|(path, object)| async move {
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(object.to_string().into_bytes())?;
        api.client.request::<Value>(request).await.map(drop).map_err(anyhow::Error::from)
    });
    api.runtime.block_on(stream::iter(requests).buffer_unordered(AT_ONCE).try_collect())
}

fn is_healthy(resource: &Value) -> bool {
    let status = &resource["status"];
    status["status"] == "HEALTHY" && status["observedGeneration"] == resource["metadata"]["generation"]
}

fn wait_for_all(api: &Api, resources: usize, begun: Instant) -> Result<()> {
    loop {
        let all = api.send("GET", PATH, &Value::Null)?;
        let healthy = all["items"].as_array().into_iter().flatten().filter(|resource| is_healthy(resource)).count();
        if healthy == resources {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "only {healthy} of {resources} are HEALTHY after {PATIENCE:?}");
        // Each look costs the API server a list of all.
        std::thread::sleep(Duration::from_millis(250));
    }
}

fn change(api: &Api, n: usize, field: &str) -> Result<Duration> {
    let path = format!("{PATH}/gateway-{n}");
    let mut spec = gateway(n)["spec"].clone();
    spec["components"]["ingressGateways"][0]["k8s"] = json!({field: {"changed": "yes"}});
    let begun = Instant::now();
    api.send("PATCH", &path, &json!({"spec": spec}))?;
    api.wait("HEALTHY again", &path, is_healthy)?;
    Ok(begun.elapsed())
}
