//! The CRD of IstioOperator, without which there is no place for the record of an installation: packages of releases that have no
//! operator any more do not bring it, so the command does.

use crate::api::{API_VERSION, KIND, crd};
use crate::cluster::{Cluster, ClusterError};
use crate::install::forecast::{Fate, Forecast, Refused};
use crate::install::plan::Plan;
use crate::install::readiness::{Readiness, readiness};
use crate::object::Object;
use anyhow::{Context, bail};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long the API server may take until it serves the kind.
const PATIENCE: Duration = Duration::from_secs(30);
/// How soon it is asked again.
const SOON: Duration = Duration::from_millis(100);

/// What an installation does for the definition.
pub(super) enum Definition {
    /// Nothing: it is there, comes with the plan, or has nothing to be there for.
    Stays,
    /// It is created.
    Comes(Box<Object>),
    /// It is not there, and cannot be created; why.
    Lacks(String),
}

impl Definition {
    /// Looks whether a plan needs it; nothing is written.
    pub(super) async fn look(cluster: &Cluster, plan: &Plan) -> Self {
        let manifests = plan.manifests();
        let Ok(own) = Object::new(crd::custom_resource_definition()) else { return Self::Stays };
        if manifests.parts.is_empty() || manifests.objects().any(|object| object.key() == own.key()) {
            return Self::Stays;
        }
        match cluster.resource(API_VERSION, KIND).await {
            Ok(_) => return Self::Stays,
            Err(error) if error.is_absent() => {}
            Err(error) => return Self::Lacks(format!("it is not known whether it is there: {error}")),
        }
        match cluster.apply(&own, true).await {
            Err(error) if error.is_refused() => Self::Lacks(Refused::by(&error).why),
            _ => Self::Comes(Box::new(own)),
        }
    }

    /// What is to be told of it with all else that will change.
    pub(super) fn forecast(&self) -> Option<Forecast> {
        let Self::Comes(own) = self else { return None };
        let fate = Fate::Create(own.value().into_owned());
        Some(Forecast { key: own.key(), api_version: own.api_version().to_owned(), component: None, fate })
    }

    /// What a person has to know who cannot create it.
    pub(super) fn warning(&self) -> Option<String> {
        let Self::Lacks(why) = self else { return None };
        Some(format!(
            "Warning: IstioOperator is not defined in this cluster, so that there will be no record of the installation, and it \
             cannot be defined here: {why}. Whoever may, defines it so: istio-operator crd | kubectl apply --server-side -f -"
        ))
    }

    /// Creates it, if it is to be created, and waits until its kind is served.
    ///
    /// # Errors
    /// The API server refuses it, or takes too long.
    pub(super) async fn create(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let Self::Comes(own) = self else { return Ok(()) };
        cluster.apply(own, false).await.context("define IstioOperator")?;
        let begun = Instant::now();
        loop {
            let Some(why) = missing(cluster, own).await? else { return Ok(()) };
            if begun.elapsed() >= PATIENCE {
                bail!("{} is not served after {PATIENCE:?}: {why}", own.key());
            }
            sleep(SOON).await;
        }
    }
}

/// What a definition lacks until its kind is served.
async fn missing(cluster: &Cluster, own: &Object) -> Result<Option<String>, ClusterError> {
    let Some(live) = cluster.get(own.api_version(), &own.key()).await? else {
        return Ok(Some("somebody has deleted it".to_owned()));
    };
    if let Readiness::Waiting(why) | Readiness::Failed(why) = readiness(own.group(), own.kind(), &live, None) {
        return Ok(Some(why));
    }
    match cluster.resource(API_VERSION, KIND).await {
        Err(error) if error.is_absent() => Ok(Some(error.to_string())),
        other => other.map(|_| None),
    }
}
