//! What is refused before anything is sent is what a server refuses.

use crate::lab::Lab;
use crate::wrong_shapes;
use istio_operator::object::Object;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use istio_operator::spec::patch::{self, Mode};
use istio_operator::spec::path::Path;
use istio_operator::spec::request;
use istio_operator::spec::resolve::Strictness;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};

fn objects(spec: &Value) -> Vec<Object> {
    let request = request::from_resource(&json!({ "spec": spec }));
    let package = Package::embedded().unwrap();
    // The API versions of a server of today.
    let cluster_info =
        ClusterInfo { version: Some(("v1.33.0".into(), "1".into(), "33".into())), ..ClusterInfo::default() };
    let manifests = render::build(&request, &cluster_info, &package, Strictness::Full).unwrap();
    manifests.parts.into_iter().flat_map(|p| p.objects).collect()
}

/// Applies an object as the operator does, without keeping it.
fn try_apply(lab: &Lab, object: &Object, value: &Value) -> Result<(), kube::Error> {
    let version = object.api_version().rsplit('/').next().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(object.group(), version, object.kind()));
    let api: Api<DynamicObject> = match object.namespace() {
        "" => Api::all_with(lab.client().clone(), &resource),
        namespace => Api::namespaced_with(lab.client().clone(), namespace, &resource),
    };
    let params = PatchParams { dry_run: true, ..PatchParams::apply("test").force() };
    lab.block_on(api.patch(object.name(), &params, &Patch::Apply(value))).map(drop)
}

#[test]
fn what_is_refused_for_its_shape_is_refused_by_a_server_too() {
    let lab = Lab::without_operator();
    let all = objects(&json!({}));
    for object in all.iter().filter(|o| !o.is_crd() && o.group() != "networking.istio.io") {
        try_apply(&lab, object, &object.value()).unwrap_or_else(|e| panic!("{}: {e}", object.key()));
    }
    for (overlay, _) in wrong_shapes::wrong() {
        let is_meant = |o: &&Object| overlay["kind"] == o.kind() && overlay["name"] == o.name();
        let object = all.iter().find(is_meant).unwrap();
        let mut value = object.value().into_owned();
        for one in overlay["patches"].as_array().unwrap() {
            let path = Path::parse(one["path"].as_str().unwrap()).unwrap();
            patch::apply(&mut value, &path, one["value"].clone(), Mode::Overlay).unwrap();
        }
        assert!(try_apply(&lab, object, &value).is_err(), "a server takes {overlay}");
    }
}

#[test]
fn a_server_takes_what_the_settings_make() {
    let lab = Lab::without_operator();
    let k8s = json!({
        "env": [{"name": "POD_NAME", "value": "fixed"}, {"name": "REVISION",
            "valueFrom": {"secretKeyRef": {"localObjectReference": {"name": "s"}, "key": "k"}}}],
        "readinessProbe": {"tcpSocket": {"port": 8080}},
        "strategy": {"rollingUpdate": {"maxUnavailable": "33%"}},
        "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
            {"name": "config", "volumeSource": {"configMap": {"localObjectReference": {"name": "c"}}}},
            {"name": "scratch", "volumeSource": {"emptyDir": {"sizeLimit": {"string": "1Gi"}}}}],
        "volumeMounts": [{"name": "claim", "mountPath": "/claim"}, {"name": "config", "mountPath": "/config", "readOnly": true}],
    });
    let mut recreate = k8s.clone();
    recreate["strategy"] = json!({"type": "Recreate"});
    let ports = json!([{"name": "a", "port": 80, "targetPort": 8080}, {"name": "b", "port": 8081, "targetPort": 8080}]);
    recreate["service"] = json!({ "ports": ports });
    let spec = json!({"components": {"pilot": {"k8s": k8s}, "cni": {"enabled": true, "k8s": k8s},
        "ingressGateways": [{"name": "in", "enabled": true, "k8s": recreate}],
        "egressGateways": [{"name": "out", "enabled": true, "k8s": k8s}]},
        "values": {"gateways": {"istio-egressgateway": {"injectionTemplate": "gateway"}}}});
    let all = objects(&spec);
    let workloads: Vec<_> = all.iter().filter(|o| o.group() == "apps").collect();
    assert_eq!(workloads.len(), 5, "istiod, the node agent and three gateways");
    for object in workloads {
        try_apply(&lab, object, &object.value()).unwrap_or_else(|e| panic!("{}: {e}", object.key()));
    }
}
