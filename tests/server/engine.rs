//! The install engine as a library: without a controller, a queue, watches or a status.

use crate::lab::Lab;
use istio_operator::api::component::Component;
use istio_operator::cluster::Cluster;
use istio_operator::install::{
    ComponentOutcome, Draft, Engine, Event, Listener, Options, Outcome, State, installed_state,
};
use istio_operator::object::OwnerId;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Takes down what is heard.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn hear(&self, event: &Event<'_>) {
        let line = match event {
            Event::ComponentStarted { component, objects } => format!("{component} of {objects}"),
            Event::ComponentFinished { component, outcome, .. } => format!("{component} {}", outcome.result().name()),
            Event::Applied { key, is_new } => format!("{} {key}", if *is_new { "created" } else { "changed" }),
            Event::Repaired { key } => format!("repaired {key}"),
            Event::Deleted { key, .. } => format!("deleted {key}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// One run: from a spec to what came of it.
async fn run(engine: &Engine<'_>, owner: &OwnerId, spec: &Value, state: &mut State) -> Outcome {
    let resource = json!({"metadata": {"name": owner.name, "namespace": owner.namespace}, "spec": spec});
    let cluster_info =
        ClusterInfo { version: Some(("v1.33.0".into(), "1".into(), "33".into())), ..ClusterInfo::default() };
    let mut manifests = render::from_resource(&resource, &cluster_info, &Package::embedded().unwrap()).unwrap();
    let name = installed_state::name(&owner.name, &manifests.revision);
    let record = installed_state::record((&owner.namespace, &owner.name), &name, &mut manifests).unwrap();
    let draft = Draft::new(engine, manifests, record).await;
    let candidates = draft.candidates(engine, owner, state).await.unwrap();
    let plan = draft.plan(engine, candidates, vec![]).await.unwrap();
    engine.apply(owner, &plan, state, Options { explain_waits: true, ..Options::default() }).await
}

#[test]
fn the_install_engine_alone_installs_upgrades_and_uninstalls() {
    let lab = Lab::without_operator();
    let (cluster, heard) = (Cluster::new(lab.client().clone()), Heard::default());
    let (engine, owner) = (Engine::alone(&cluster, &heard), OwnerId::new("istio-system", "main"));
    let mut state = State::default();
    let until_ready = |what: &str, spec: &Value, state: &mut State| {
        lab.wait(what, || {
            let outcome = lab.block_on(run(&engine, &owner, spec, state));
            let waits = || format!("{:?} {:?}", outcome.components, outcome.failures);
            if outcome.is_ready() { Ok(outcome) } else { Err(waits()) }
        })
    };

    let spec = json!({"profile": "default", "components": {"cni": {"enabled": true}}});
    let first = lab.block_on(run(&engine, &owner, &spec, &mut state));
    let of = |component| first.components.get(&component).unwrap();
    assert!(matches!(of(Component::Pilot), ComponentOutcome::Blocked(_) | ComponentOutcome::Waiting(_)), "{first:?}");
    assert!(matches!(of(Component::IngressGateways), ComponentOutcome::Blocked(Component::Pilot)), "{first:?}");
    until_ready("the installation", &spec, &mut state);
    let told = heard.take();
    assert!(told.contains(&"created Deployment istio-system/istiod".to_owned()), "{told:?}");
    assert!(told.contains(&"IngressGateways ready".to_owned()), "{told:?}");
    let installed = lab.owned_at_rest();
    assert!(installed.len() > 40 && installed.contains_key("DaemonSet istio-system/istio-cni-node"));
    assert!(lab.iop("installed-state-main").is_some());

    // Nothing is written over what is as it should be, also by a process that remembers nothing.
    until_ready("nothing to do", &spec, &mut State::default());
    let told = heard.take();
    assert!(!told.iter().any(|line| line.starts_with("created") || line.starts_with("changed")), "{told:?}");

    let spec = json!({"profile": "default", "tag": "1.17.9", "components": {"egressGateways": [{"name": "istio-egressgateway", "enabled": true}]}});
    let mut state = State::default();
    let mut pruned = vec![];
    lab.wait("the upgrade", || {
        let outcome = lab.block_on(run(&engine, &owner, &spec, &mut state));
        pruned.extend(outcome.pruned.iter().map(ToString::to_string));
        if outcome.is_ready() && outcome.again.is_none() { Ok(()) } else { Err(format!("{:?}", outcome.components)) }
    });
    assert!(pruned.contains(&"DaemonSet istio-system/istio-cni-node".to_owned()), "{pruned:?}");
    let image = lab.deployment("istiod").unwrap()["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image, "docker.io/istio/pilot:1.17.9");
    assert!(lab.deployment("istio-egressgateway").is_some());

    lab.wait("the end", || {
        let remains = lab.block_on(engine.remains(&owner, &state.inventory, None));
        if remains.is_empty() {
            return Ok(());
        }
        let refused: Vec<_> =
            lab.block_on(engine.delete(&remains)).into_iter().filter_map(|(_, result)| result.err()).collect();
        assert!(refused.is_empty(), "{refused:?}");
        Err(remains.to_delete().map(istio_operator::install::remains::Remaining::told).collect::<Vec<_>>().join(", "))
    });
    let left = lab.owned();
    assert!(left.keys().all(|name| name.starts_with("CustomResourceDefinition")), "{left:?}");
}
