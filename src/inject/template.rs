//! Runs the injection templates of an installation.

use super::error::InjectError;
use super::functions::State;
use super::installation::Installation;
use super::pod::Pod;
use super::workload::Owner;
use super::{annotations, view};
use crate::api::quantity;
use helm_template::gotmpl::{self, Budgets, ExecContext, Host, Object, TemplateSet, Usage, Value};
use helm_template::sprig::encoding;
use helm_template::yaml;
use serde_json::{Map, Value as Json};
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Limits of a template: it describes one pod, and needs far less than a chart.
const BUDGETS: Budgets = Budgets {
    depth: 200,
    nesting: 2000,
    iterations: 1_000_000,
    output: 16 << 20,
    bytes: 64 << 20,
    work: 100_000_000,
    time: Some(Duration::from_secs(8)),
};

/// What a template is run on.
pub(super) struct Subject<'s> {
    pub(super) installation: &'s Installation,
    /// The pod as its author wrote it.
    pub(super) pod: &'s Pod,
    pub(super) owner: &'s Owner,
    /// The configuration of its proxy.
    pub(super) proxy: &'s Map<String, Json>,
}

/// What the templates that a pod asks for add to it, in order, by the template's name.
pub(super) fn run(subject: &Subject<'_>) -> Result<Vec<(String, Json)>, InjectError> {
    let names = names(subject.installation, subject.pod);
    let sets = names.iter().map(|name| subject.installation.templates.get(name)).collect::<Result<Vec<_>, _>>()?;
    let work = || {
        let data = data(subject);
        let host = Host {
            now: || (0, 0),
            timezone: "UTC".into(),
            // The same input must give the same pod in every run.
            entropy: RefCell::new(Box::new(|bytes| {
                bytes.iter_mut().zip(0_u8..=255).for_each(|(byte, i)| *byte = i.wrapping_mul(151).wrapping_add(17));
            })),
            usage: Usage::new(BUDGETS),
        };
        let Installation { environment, mesh, .. } = subject.installation;
        let state = State { environment: environment.clone(), mesh: mesh.clone() };
        let context = ExecContext { host: &host, state: &state };
        let run = |(name, set): (&String, &&TemplateSet)| {
            let written = gotmpl::execute(set, name, data.clone(), &context)?;
            Ok((name.clone(), read(name, &String::from_utf8_lossy(&written))?))
        };
        names.iter().zip(&sets).map(run).collect()
    };
    std::thread::scope(|threads| {
        let thread = std::thread::Builder::new().name("inject".to_owned()).stack_size(BUDGETS.stack());
        match thread.spawn_scoped(threads, work) {
            Ok(running) => running.join().unwrap_or(Err(InjectError::Panicked)),
            Err(error) => Err(InjectError::NoThread(error)),
        }
    })
}

/// The templates that a pod asks for, or else the default ones; aliases stand for others.
fn names(installation: &Installation, pod: &Pod) -> Vec<String> {
    let asked: Vec<String> = match pod.annotation(annotations::TEMPLATES) {
        Some(list) => list.split(',').map(|name| name.trim().to_owned()).collect(),
        None => installation.default_templates.clone(),
    };
    let resolved = asked.into_iter().map(|name| match installation.aliases.get(&name) {
        Some(others) => others.clone(),
        None => vec![name],
    });
    resolved.flatten().collect()
}

/// What a template wrote, as a patch.
fn read(template: &str, text: &str) -> Result<Json, InjectError> {
    match yaml::parse(text) {
        Ok(tree @ (Json::Object(_) | Json::Null)) => Ok(tree),
        Ok(_) => Err(InjectError::NoMap(template.to_owned())),
        Err(source) => {
            // An error of no place is of no line.
            let line = source.line.checked_sub(1).and_then(|i| text.lines().nth(i)).unwrap_or_default();
            Err(InjectError::Yaml { template: template.to_owned(), line: line.trim().to_owned(), source })
        }
    }
}

/// The user and the group of the proxy.
const PROXY_ID: i64 = 1337;

/// The environment variable of istiod that restricts cryptography.
const COMPLIANCE_POLICY: &str = "COMPLIANCE_POLICY";

fn data(subject: &Subject<'_>) -> Value {
    let Subject { installation, pod, owner, proxy } = subject;
    let kind = Map::from_iter([
        ("kind".to_owned(), owner.kind.clone().into()),
        ("apiVersion".to_owned(), owner.api_version.clone().into()),
    ]);
    let policy = installation.environment.get(COMPLIANCE_POLICY).cloned().unwrap_or_default();
    let estimated = concurrency(installation, pod, proxy);
    let fields = vec![
        ("TypeMeta", view::structure("TypeMeta", &kind)),
        ("DeploymentMeta", view::structure("Owner", &owner.meta())),
        ("ObjectMeta", view::structure("ObjectMeta", &pod.part("metadata"))),
        ("Spec", view::structure("PodSpec", &pod.part("spec"))),
        ("ProxyConfig", view::structure("ProxyConfig", proxy)),
        ("MeshConfig", view::structure("MeshConfig", &installation.mesh.tree())),
        ("Values", encoding::from_tree(&installation.values)),
        ("Revision", Value::string(installation.revision.as_str())),
        ("EstimatedConcurrency", Value::Int(estimated)),
        ("ProxyImage", Value::string(image(installation, pod, proxy))),
        ("ProxyInitImage", Value::string(init_image(installation, pod))),
        // On OpenShift the pod's namespace says otherwise, which is not at hand.
        ("ProxyUID", Value::Int64(PROXY_ID)),
        ("ProxyGID", Value::Int64(PROXY_ID)),
        ("NativeSidecars", Value::Bool(installation.has_native_sidecars())),
        ("InboundTrafficPolicyMode", Value::string(installation.mesh.inbound_traffic())),
        ("CompliancePolicy", Value::string(policy.as_str())),
    ];
    Value::Object(Rc::new(Data(fields)))
}

/// The data that templates see as `.`.
struct Data(Vec<(&'static str, Value)>);

impl Object for Data {
    fn type_name(&self) -> &'static str {
        "inject.SidecarTemplateData"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone())
    }

    fn is_comparable(&self) -> bool {
        false
    }

    fn display(&self) -> String {
        self.type_name().to_owned()
    }

    fn to_json(&self) -> Result<String, String> {
        Err("the data of a template as a whole has no JSON form".to_owned())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// How many workers the proxy should have: what its configuration says, or else the processors it may use.
fn concurrency(installation: &Installation, pod: &Pod, proxy: &Map<String, Json>) -> i64 {
    if let Some(configured) = proxy.get("concurrency").and_then(Json::as_i64).filter(|c| *c > 0) {
        return configured;
    }
    let annotated = [annotations::CPU_LIMIT, annotations::CPU].into_iter().find_map(|name| pod.annotation(name));
    let resources = ["limits", "requests"];
    let valued = || resources.iter().map(|r| installation.value(&format!("/global/proxy/resources/{r}/cpu")));
    let amount = annotated.map(str::to_owned).or_else(|| valued().find(|v| !v.is_empty()));
    amount.and_then(|a| quantity::ceiling(&a)).unwrap_or_default()
}

const KNOWN_TYPES: [&str; 3] = ["-default", "-debug", "-distroless"];

/// The image of the proxy.
fn image(installation: &Installation, pod: &Pod, proxy: &Map<String, Json>) -> String {
    let configured = proxy.get("image").map(|i| i.get("imageType").and_then(Json::as_str).unwrap_or_default());
    image_named(installation, pod, &installation.value("/global/proxy/image"), configured)
}

/// The image of the container that redirects traffic (from release 1.31 on; it was that of the proxy before).
fn init_image(installation: &Installation, pod: &Pod) -> String {
    image_named(installation, pod, &installation.value("/global/proxy_init/image"), None)
}

/// An image by its name, empty for the usual one, of the type that the pod, the mesh or the installation wants.
fn image_named(installation: &Installation, pod: &Pod, name: &str, configured: Option<&str>) -> String {
    let has_variants = installation.injector().has_variants();
    let variant = if has_variants { installation.value("/global/variant") } else { String::new() };
    let wanted = pod.annotation(annotations::IMAGE_TYPE).or(configured).unwrap_or(&variant);
    let mut tag = installation.value("/global/tag");
    if !wanted.is_empty() {
        if let Some(bare) = KNOWN_TYPES.iter().find_map(|known| tag.strip_suffix(known)) {
            tag = bare.to_owned();
        }
        if wanted != "default" {
            tag = format!("{tag}-{wanted}");
        }
    }
    format!("{}/{}:{tag}", installation.value("/global/hub"), if name.is_empty() { "proxyv2" } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn installation(values: &Json, mesh: &str) -> Installation {
        Installation::new("templates: {}", &values.to_string(), mesh, "").unwrap()
    }

    fn pod(annotations: &Json) -> Pod {
        Pod::new(&json!({ "annotations": annotations }), &json!({})).unwrap()
    }

    #[test]
    fn the_image_type_of_the_pod_wins_over_that_of_the_mesh_and_of_the_tag() {
        let none = json!({});
        let debug = json!({"sidecar.istio.io/proxyImageType": "debug"});
        let default = json!({"sidecar.istio.io/proxyImageType": "default"});
        for (tag, mesh, annotations, want) in [
            ("1.17.8", "", &none, "h/proxyv2:1.17.8"),
            ("1.17.8", "", &debug, "h/proxyv2:1.17.8-debug"),
            ("1.17.8-distroless", "", &none, "h/proxyv2:1.17.8-distroless"),
            ("1.17.8-distroless", "", &default, "h/proxyv2:1.17.8"),
            ("1.17.8-distroless", "", &debug, "h/proxyv2:1.17.8-debug"),
            ("1.17.8", "defaultConfig: {image: {imageType: distroless}}", &none, "h/proxyv2:1.17.8-distroless"),
        ] {
            let installation = installation(&json!({"global": {"hub": "h", "tag": tag}}), mesh);
            assert_eq!(image(&installation, &pod(annotations), &installation.mesh.proxy_with(None).unwrap()), want);
        }
    }

    #[test]
    fn workers_are_counted_from_configuration_annotations_or_resources() {
        let none = json!({});
        let both = json!({"sidecar.istio.io/proxyCPU": "3500m", "sidecar.istio.io/proxyCPULimit": "5"});
        let values =
            json!({"global": {"proxy": {"resources": {"limits": {"cpu": "2000m"}, "requests": {"cpu": "1"}}}}});
        for (mesh, annotations, want) in [
            ("", &none, 2),
            ("defaultConfig: {concurrency: 7}", &both, 7),
            ("defaultConfig: {concurrency: 0}", &both, 5),
            ("defaultConfig: {concurrency: 0}", &none, 2),
        ] {
            let installation = installation(&values, mesh);
            assert_eq!(
                concurrency(&installation, &pod(annotations), &installation.mesh.proxy_with(None).unwrap()),
                want
            );
        }
        let empty = installation(&none, "defaultConfig: {concurrency: 0}");
        assert_eq!(concurrency(&empty, &pod(&none), &empty.mesh.proxy_with(None).unwrap()), 0);
    }
}
