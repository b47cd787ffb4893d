//! A cluster, for commands that read or change one.

use crate::cluster::connect::{self, Choice, Way};
use crate::cluster::fence::Fence;
use crate::cluster::outage::Outage;
use crate::cluster::{Cluster, ClusterError, IN_TIME, innermost};
use crate::install::{Engine, Injectors, Silent, default_revision, installed_release};
use crate::object::OwnerId;
use crate::object::labels::REVISION;
use crate::object::manifests::revision_label;
use crate::render::ClusterInfo;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use kube::ResourceExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long the API server may take for its first answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection may be silent before it counts as lost.
pub(super) const SILENCE: Duration = Duration::from_mins(1);

/// Where `--help` lists the flags that say which cluster.
const HEADING: &str = "Cluster";

/// Which cluster a command works with.
#[derive(Args, Clone, Default)]
pub(super) struct ConnectArgs {
    /// Kubeconfig file (default: KUBECONFIG, or ~/.kube/config, or the service account of the pod).
    #[arg(short = 'c', long, value_name = "FILE", help_heading = HEADING)]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig (default: its current one).
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub(super) context: Option<String>,
}

/// Which cluster, and where in it.
#[derive(Args, Clone, Default)]
pub(super) struct ClusterArgs {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
    /// Namespace of resources that are named without one (default: istio-system).
    #[arg(short, long, value_name = "NAME", help_heading = HEADING)]
    pub(super) namespace: Option<String>,
    /// Namespace of the control plane (default: istio-system, or what the spec says).
    #[arg(short = 'i', long = "istioNamespace", alias = "istio-namespace", value_name = "NAME", help_heading = HEADING)]
    pub(super) istio_namespace: Option<String>,
}

impl ConnectArgs {
    /// The kubeconfig and the context that they name.
    pub(super) fn choice(&self) -> Choice {
        Choice { kubeconfig: self.kubeconfig.clone(), context: self.context.clone(), ..Choice::default() }
    }
}

/// What to do where the API server is not there.
const ELSEWHERE: &str = "check the network, or name another cluster with --context or --kubeconfig";

/// A cluster that answers.
pub(super) struct Connected {
    runtime: Runtime,
    /// The door to it.
    pub cluster: Cluster,
    /// Its version.
    pub info: ClusterInfo,
}

/// Finds the cluster that flags name, or else that of `KUBECONFIG`, or of the pod.
///
/// # Errors
/// There is none, or it does not answer; in one line.
pub(super) fn connect_to(args: &ConnectArgs) -> anyhow::Result<Connected> {
    connect_with(args, SILENCE)
}

/// The same for connections that may be silent for long: those to pods.
///
/// # Errors
/// As above.
pub(super) fn connect_for_streams(args: &ConnectArgs) -> anyhow::Result<Connected> {
    connect_with(args, Duration::from_hours(24))
}

fn connect_with(args: &ConnectArgs, silence: Duration) -> anyhow::Result<Connected> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (cluster, info) = runtime.block_on(find(args, silence))?;
    Ok(Connected { runtime, cluster, info })
}

/// The door to a cluster, and its address; nobody has knocked yet. Connections that are silent for longer count as lost.
///
/// # Errors
/// Nothing leads to one, or what does cannot be used.
pub(super) async fn door(choice: &Choice, silence: Duration) -> anyhow::Result<(Cluster, String)> {
    // Its text has all of its causes already.
    let mut config = connect::find_as(choice).await.map_err(|error| anyhow!("{error}"))?;
    config.connect_timeout = Some(PATIENCE);
    let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let way = Way {
        count: Arc::new(|_| {}),
        in_flight: 32,
        // A person waits; how much at a time is bounded.
        per_second: 2000,
        silence,
        fence: Fence::default(),
        outage: Outage::default(),
    };
    Ok((Cluster::new(connect::for_work(config, &way)?), address))
}

async fn find(args: &ConnectArgs, silence: Duration) -> anyhow::Result<(Cluster, ClusterInfo)> {
    let (cluster, address) = door(&args.choice(), silence).await?;
    let info = ask(&cluster, &address).await?;
    Ok((cluster, info))
}

/// The version of an API server, which it tells whoever may ask anything; its address is for the error.
///
/// # Errors
/// It cannot be reached, does not answer in time, or refuses; in one line.
pub(super) async fn ask(cluster: &Cluster, address: &str) -> anyhow::Result<ClusterInfo> {
    let late = || {
        anyhow!(
            "the API server {address} did not answer within {PATIENCE:?}, or only that it is not ready; {ELSEWHERE}"
        )
    };
    let version = match tokio::time::timeout(PATIENCE, cluster.client().apiserver_version()).await {
        Ok(Ok(version)) => version,
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => {
            let said = status.message;
            bail!(
                "the API server {address} does not take our credentials ({said}): log in again, or renew the token or certificate"
            );
        }
        Ok(Err(error @ kube::Error::Api(_))) => return Err(error).context("ask the API server"),
        Ok(Err(kube::Error::SerdeError(_))) => {
            bail!("what answers at {address} is not the API server of a Kubernetes cluster; {ELSEWHERE}")
        }
        Ok(Err(error)) => match innermost(&error).as_str() {
            IN_TIME => return Err(late()),
            reason => bail!("the API server {address} cannot be reached: {reason}; {ELSEWHERE}"),
        },
        Err(_) => return Err(late()),
    };
    Ok(ClusterInfo { version: Some((version.git_version, version.major, version.minor)), ..ClusterInfo::default() })
}

impl Connected {
    /// Waits for what is asked of it.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What is known of it that the control plane of a resource and a revision (empty for none) is rendered by.
    ///
    /// # Errors
    /// Its webhooks cannot be read.
    pub(super) fn info_for(&self, owner: &OwnerId, revision: &str) -> Result<ClusterInfo, ClusterError> {
        let engine = Engine::alone(&self.cluster, &Silent);
        let (mut injectors, revision) = (Injectors::default(), revision_label(revision));
        let given = self.wait(default_revision::is_given(&engine, &mut injectors, owner, revision))?;
        Ok(ClusterInfo { gives_default_tag: given, ..self.info.clone() })
    }

    /// The minor version of its Kubernetes 1.
    pub(super) fn minor(&self) -> Option<u32> {
        let (_, _, minor) = self.info.version.as_ref()?;
        minor.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    }

    /// The control plane of a revision that is there, and the release that it says it is of.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn installed(&self, revision: &str) -> Result<Option<(String, String)>, ClusterError> {
        let labels = format!("app=istiod,{REVISION}={}", revision_label(revision));
        let found = self.wait(self.cluster.list("apps/v1", "Deployment", None, &labels))?;
        let told = found.iter().find_map(|live| {
            let name = format!("Deployment {}/{}", live.namespace().unwrap_or_default(), live.name_any());
            Some((name, installed_release::of_istiod(live)?))
        });
        Ok(told)
    }

    /// Whether there is a control plane of a revision, whatever it says of itself.
    ///
    /// # Errors
    /// That cannot be found out.
    pub(super) fn has_control_plane(&self, revision: &str) -> Result<bool, ClusterError> {
        let labels = format!("app=istiod,{REVISION}={}", revision_label(revision));
        Ok(!self.wait(self.cluster.list("apps/v1", "Deployment", None, &labels))?.is_empty())
    }
}
