//! What goes into the archive, in the order of its worth: should time or room end, the rest is named.

use super::archive::Archive;
use super::args::{BugReportArgs, Scope};
use super::log::End;
use crate::api::{API_VERSION, KIND};
use crate::cluster::Cluster;
use crate::install::INITIAL_KINDS;
use crate::object::OwnerId;
use crate::object::labels::{COMPONENT, OWNER_NAME};
use crate::release::RELEASE;
use crate::render::{self, ClusterInfo};
use crate::spec::request;
use crate::spec::resolve::Strictness;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, LogParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// What else is installed, and is no kind that is watched from the start.
const ALSO_INSTALLED: [(&str, &str); 2] = [("v1", "Secret"), ("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition")];

/// Pods whose logs are collected: of what they are, and how they are found.
const LOGGED: [(&str, &str); 3] =
    [("the operator", "name=istio-operator"), ("istiod", "app=istiod"), ("gateways and CNI", COMPONENT)];

/// Collects from one cluster into one archive.
pub(super) struct Collection<'a> {
    pub args: &'a BugReportArgs,
    pub scope: Scope,
    pub cluster: Cluster,
    pub archive: &'a mut Archive,
    pub until: Instant,
}

impl Collection<'_> {
    /// Collects everything. Only what keeps the archive from being written is an error.
    pub(super) async fn all(&mut self) -> io::Result<()> {
        let info = self.version().await?;
        let resources = self.list("IstioOperator resources", API_VERSION, KIND, "").await;
        let mut namespaces: BTreeSet<String> = BTreeSet::new();
        for resource in &resources {
            namespaces.extend(resource.namespace());
            let name = format!("resources/{}/{}.yaml", resource.namespace().unwrap_or_default(), resource.name_any());
            self.archive.object(&name, plain(resource))?;
        }
        let kinds = INITIAL_KINDS.iter().chain(&ALSO_INSTALLED).filter(|(_, kind)| *kind != KIND);
        for (api_version, kind) in kinds {
            let found = self.list(&format!("objects of kind {kind}"), api_version, kind, OWNER_NAME).await;
            namespaces.extend(found.iter().filter_map(ResourceExt::namespace));
            self.write("objects", kind, &found)?;
        }
        let pods = self.pods().await?;
        namespaces.extend(pods.iter().filter_map(ResourceExt::namespace));
        let mut found = self.list("namespaces", "v1", "Namespace", "").await;
        found.retain(|namespace| self.scope.includes(&namespace.name_any()));
        self.write("objects", "Namespace", &found)?;
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
            self.rendered(resource, &info).await?;
        }
        Ok(())
    }

    /// What is there within half a minute, and within the time that is left; `None` and a note where there is nothing.
    async fn within<T, E: Display>(&mut self, what: &str, asked: impl Future<Output = Result<T, E>>) -> Option<T> {
        self.within_time(what, Duration::from_secs(30), asked).await
    }

    async fn within_time<T, E: Display>(
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
                Ok(Err(error)) => error.to_string(),
                Err(_) if Instant::now() >= self.until => "no answer until time was up (--timeout)".to_owned(),
                Err(_) => format!("no answer within {most:?}"),
            }
        };
        self.archive.miss(what, &why);
        None
    }

    async fn version(&mut self) -> io::Result<ClusterInfo> {
        let client = self.cluster.client().clone();
        let found = self.within("the version of the API server", client.apiserver_version()).await;
        let told = found.as_ref().map_or_else(|| "unknown".to_owned(), |version| version.git_version.clone());
        let text = format!(
            "istio-operator {} ({}, {})\nbuilt-in release {RELEASE}\nKubernetes {told}\n",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
        );
        self.archive.text("versions.txt", &text)?;
        let version = found.map(|version| (version.git_version, version.major, version.minor));
        Ok(ClusterInfo { version, ..ClusterInfo::default() })
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
            found.extend(self.within(&format!("{what}{place}"), listed).await.into_iter().flatten());
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
            self.archive.object(&name, plain(object))?;
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
            Ok(manifests.objects().map(|object| object.value().into_owned()).collect::<Vec<_>>())
        };
        // Charts are read and rendered without yielding, and the flag's package may have to be fetched.
        let rendered = async {
            let made: anyhow::Result<Vec<_>> = tokio::task::spawn_blocking(build).await.map_err(|e| e.to_string())?;
            made.map_err(|error| format!("{error:#}"))
        };
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

/// An object as the API server gave it.
fn plain(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}
