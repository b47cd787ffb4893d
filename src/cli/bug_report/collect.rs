//! What goes into the archive, the most important first: if time or space runs out, the rest is named.

use super::archive::Archive;
use super::args::{BugReportArgs, Scope};
use super::log::End;
use crate::api::{API_VERSION, KIND};
use crate::cluster::{Cluster, told, value_of};
use crate::install::INITIAL_KINDS;
use crate::object::labels::{COMPONENT, OWNER_NAME};
use crate::object::{ObjectKey, OwnerId};
use crate::release::RELEASE;
use crate::render::{self, ClusterInfo};
use crate::spec::request;
use crate::spec::resolve::Strictness;
use anyhow::anyhow;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, LogParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// What else is installed, and is not a kind that is watched from the start.
const ALSO_INSTALLED: [(&str, &str); 2] = [("v1", "Secret"), ("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition")];

/// Pods whose logs are collected: of what they are, and how they are found.
const LOGGED: [(&str, &str); 3] =
    [("the operator", "name=istio-operator"), ("istiod", "app=istiod"), ("gateways and CNI", COMPONENT)];

/// Collects from one cluster into one archive.
pub(super) struct Collection<'a> {
    args: &'a BugReportArgs,
    scope: Scope,
    cluster: Cluster,
    archive: &'a mut Archive,
    until: Instant,
    /// Whether anything of the cluster could be read.
    has_read: bool,
    /// The first reason why something could not.
    refused: Option<String>,
}

impl<'a> Collection<'a> {
    /// Of a cluster, until time is up.
    pub(super) fn new(args: &'a BugReportArgs, cluster: Cluster, archive: &'a mut Archive, until: Instant) -> Self {
        Self { args, scope: Scope::of(args), cluster, archive, until, has_read: false, refused: None }
    }

    /// Collects everything. Only what keeps the archive from being written is an error; within it is why nothing could be read.
    pub(super) async fn all(&mut self, info: &ClusterInfo) -> io::Result<anyhow::Result<()>> {
        self.archive.text("versions.txt", &versions(info.version.as_ref().map(|(version, ..)| version.as_str())))?;
        let resources = self.list("IstioOperator resources", API_VERSION, KIND, "").await;
        let mut namespaces: BTreeSet<String> = BTreeSet::new();
        for resource in &resources {
            namespaces.extend(resource.namespace());
            let name = format!("resources/{}/{}.yaml", resource.namespace().unwrap_or_default(), resource.name_any());
            self.archive.object(&name, value_of(resource))?;
        }
        let kinds = INITIAL_KINDS.iter().chain(&ALSO_INSTALLED).filter(|(_, kind)| *kind != KIND);
        for (api_version, kind) in kinds {
            let found = self.list(&format!("objects of kind {kind}"), api_version, kind, OWNER_NAME).await;
            namespaces.extend(found.iter().filter_map(ResourceExt::namespace));
            self.write("objects", kind, &found)?;
        }
        let pods = self.pods().await?;
        namespaces.extend(pods.iter().filter_map(ResourceExt::namespace));
        self.namespaces().await?;
        for namespace in
            namespaces.iter().filter(|namespace| self.scope.includes(namespace)).cloned().collect::<Vec<_>>()
        {
            self.events(&namespace).await?;
        }
        for pod in pods {
            self.logs(&pod).await?;
        }
        // Last, since the resources tell it too.
        for resource in &resources {
            self.rendered(resource, info).await?;
        }
        Ok(match self.refused.take().filter(|_| !self.has_read) {
            Some(why) => {
                Err(anyhow!("nothing of the cluster could be read: {why}; missing.txt in the archive has the rest"))
            }
            None => Ok(()),
        })
    }

    /// The namespaces. One that is asked for by name and is not there may have been written wrongly.
    async fn namespaces(&mut self) -> io::Result<()> {
        let mut found = self.list("namespaces", "v1", "Namespace", "").await;
        found.retain(|namespace| self.scope.includes(&namespace.name_any()));
        let known: BTreeSet<String> = found.iter().map(ResourceExt::name_any).collect();
        for name in self.scope.include.difference(&known).cloned().collect::<Vec<_>>() {
            let key = ObjectKey {
                group: String::new(),
                kind: "Namespace".into(),
                namespace: String::new(),
                name: name.clone(),
            };
            // Whoever may list none may perhaps see this one.
            let cluster = self.cluster.clone();
            match self.within(&format!("namespace {name}"), cluster.get("v1", &key)).await {
                Some(Some(namespace)) => found.push(namespace),
                Some(None) => {
                    self.archive.miss(&format!("namespace {name}"), &"there is none of this name (--include)");
                }
                None => {}
            }
        }
        self.write("objects", "Namespace", &found)
    }

    /// What is there within half a minute, and within the time that is left; `None` and a note where there is nothing.
    async fn within<T, E: Into<anyhow::Error>>(
        &mut self,
        what: &str,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        self.within_time(what, Duration::from_secs(30), asked).await
    }

    async fn within_time<T, E: Into<anyhow::Error>>(
        &mut self,
        what: &str,
        most: Duration,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        let now = Instant::now();
        let why = if self.archive.is_full() {
            "not asked for, the archive was full (--max-size)".to_owned()
        } else if now >= self.until {
            "not asked for, time was up (--timeout)".to_owned()
        } else {
            match tokio::time::timeout_at(self.until.min(now + most), asked).await {
                Ok(Ok(found)) => return Some(found),
                Ok(Err(error)) => told(error.into().as_ref()),
                Err(_) if Instant::now() >= self.until => "no answer until time was up (--timeout)".to_owned(),
                Err(_) => format!("no answer within {most:?}"),
            }
        };
        self.archive.miss(what, &why);
        self.refused.get_or_insert(why);
        None
    }

    /// Objects of a kind in the namespaces that are asked for.
    async fn list(&mut self, what: &str, api_version: &str, kind: &str, labels: &str) -> Vec<DynamicObject> {
        let cluster = self.cluster.clone();
        let namespaces = self.scope.named();
        let asked = async {
            match cluster.kinds().find(api_version, kind).await {
                Ok((_, is_namespaced)) => Ok(if is_namespaced { namespaces } else { vec![None] }),
                Err(error) if error.is_absent() => Ok(vec![]),
                Err(error) => Err(error),
            }
        };
        let mut found = vec![];
        for namespace in self.within(what, asked).await.unwrap_or_default() {
            let cluster = self.cluster.clone();
            let place = namespace.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
            let listed = cluster.list(api_version, kind, namespace.as_deref(), labels);
            let listed = self.within(&format!("{what}{place}"), listed).await;
            self.has_read |= listed.is_some();
            found.extend(listed.into_iter().flatten());
        }
        found.retain(|object| object.namespace().is_none_or(|namespace| self.scope.includes(&namespace)));
        for object in &mut found {
            // Lists do not say it of each.
            object
                .types
                .get_or_insert_with(|| kube::api::TypeMeta { api_version: api_version.into(), kind: kind.into() });
        }
        found
    }

    fn write(&mut self, folder: &str, kind: &str, objects: &[DynamicObject]) -> io::Result<()> {
        for object in objects {
            let place = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            let name = format!("{folder}/{kind}/{place}{}.yaml", object.name_any());
            self.archive.object(&name, value_of(object))?;
        }
        Ok(())
    }

    /// What a resource comes to, with the package it names where that is at hand.
    async fn rendered(&mut self, resource: &DynamicObject, info: &ClusterInfo) -> io::Result<()> {
        let id = OwnerId::new(resource.namespace().unwrap_or_default(), resource.name_any());
        let what = format!("the manifests of IstioOperator {id}");
        let value =
            json!({"metadata": resource.metadata, "spec": resource.data.get("spec").cloned().unwrap_or(json!({}))});
        let (package, info, owner) = (self.args.package.clone(), info.clone(), id.clone());
        let build = move || {
            let package = package.at_hand(request::NamedPackage::of_resource(&value))?;
            let manifests = render::build(&request::from_resource(&value), &info, &package, Strictness::TakenOver)?;
            let manifests = render::labelled(manifests, &owner);
            anyhow::Ok(manifests.objects().map(|object| object.value().into_owned()).collect::<Vec<_>>())
        };
        // Charts are read and rendered without yielding, and the flag's package may have to be fetched.
        let rendered = async { tokio::task::spawn_blocking(build).await? };
        let Some(items) = self.within_time(&what, self.args.timeout, rendered).await else { return Ok(()) };
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        self.archive.object(&format!("manifests/{}/{}.yaml", id.namespace, id.name), list)
    }

    /// The pods whose logs are wanted, each once.
    async fn pods(&mut self) -> io::Result<Vec<DynamicObject>> {
        let mut all: Vec<DynamicObject> = vec![];
        for (what, labels) in LOGGED {
            let found = self.list(&format!("pods of {what}"), "v1", "Pod", labels).await;
            let known: BTreeSet<_> = all.iter().filter_map(ResourceExt::uid).collect();
            all.extend(found.into_iter().filter(|pod| pod.uid().is_none_or(|uid| !known.contains(&uid))));
        }
        self.write("objects", "Pod", &all)?;
        Ok(all)
    }

    async fn events(&mut self, namespace: &str) -> io::Result<()> {
        let cluster = self.cluster.clone();
        let what = format!("events of namespace {namespace}");
        let found = self.within(&what, cluster.list("v1", "Event", Some(namespace), ""));
        let mut found = found.await.unwrap_or_default();
        let since = self.args.since.map(|since| k8s_openapi::jiff::Timestamp::now() - since);
        let time = |event: &DynamicObject| {
            let of = |name: &str| event.data.get(name).and_then(Value::as_str).map(str::to_owned);
            of("lastTimestamp").or_else(|| of("eventTime")).unwrap_or_default()
        };
        found.retain(|event| {
            let at = time(event).parse::<k8s_openapi::jiff::Timestamp>().ok();
            since.zip(at).is_none_or(|(since, at)| at >= since)
        });
        found.sort_by_key(time);
        let line = |event: &DynamicObject| {
            let of = |pointer: &str| {
                let value = event.data.pointer(pointer);
                value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default()
            };
            let object = format!("{}/{}", of("/involvedObject/kind"), of("/involvedObject/name"));
            let message = of("/message").replace('\n', " ");
            format!("{} {} {} {object} x{}: {message}\n", time(event), of("/type"), of("/reason"), of("/count"))
        };
        let text: String = found.iter().map(line).collect();
        self.archive.text(&format!("events/{namespace}.txt"), &text)
    }

    async fn logs(&mut self, pod: &DynamicObject) -> io::Result<()> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let client: Client = self.cluster.client().clone();
        let api: Api<Pod> = Api::namespaced(client, &namespace);
        let statuses = ["initContainerStatuses", "containerStatuses"]
            .map(|field| pod.data.get("status").and_then(|s| s.get(field)));
        let statuses: Vec<Value> =
            statuses.into_iter().flatten().filter_map(Value::as_array).flatten().cloned().collect();
        for status in statuses {
            let container = status.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let restarts = status.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
            for previous in [false, true].into_iter().take(if restarts > 0 { 2 } else { 1 }) {
                let params = LogParams {
                    container: Some(container.clone()),
                    previous,
                    timestamps: true,
                    since_seconds: self.args.since.and_then(|since| i64::try_from(since.as_secs().max(1)).ok()),
                    ..LogParams::default()
                };
                let end = if previous { ".previous.log" } else { ".log" };
                let file = format!("logs/{namespace}/{name}/{container}{end}");
                let mut log = End::new(self.args.max_log_size.saturating_mul(1 << 20));
                let read = self.within(&file, log.read(api.log_stream(&name, &params))).await;
                if log.left_out() > 0 {
                    let text = format!("its first {} bytes are left out (--max-log-size)", log.left_out());
                    self.archive.miss(&file, &text);
                }
                // What has come before it failed is worth having.
                if read.is_some() || !log.is_empty() {
                    self.archive.text(&file, &log.text())?;
                }
            }
        }
        Ok(())
    }
}

/// What runs here and there; `None` is a cluster that does not tell.
pub(super) fn versions(kubernetes: Option<&str>) -> String {
    format!(
        "istio-operator {} ({}, {})\nbuilt-in release {RELEASE}\nKubernetes {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        kubernetes.unwrap_or("unknown"),
    )
}
