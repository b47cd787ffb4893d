//! The door to a cluster: reads, server-side applies and deletes of any kind, by [`ObjectKey`].
//!
//! Every call is safe to cancel (a cancelled write may or may not have happened). A request whose answer is lost on the way
//! is sent again a few times, at once (see `retry`); whatever else fails, who calls decides.

mod compressed;
pub mod connect;
pub mod content;
pub mod credentials;
pub mod discovery;
mod error;
pub mod fence;
mod file;
pub mod identity;
pub mod kubeconfig;
mod layer;
pub mod lease;
pub mod limits;
pub mod meta;
pub mod outage;
pub mod pages;
mod permissions;
pub mod program;
pub mod proxy;
pub mod proxy_rules;
pub mod received;
mod refusal;
mod retry;
pub mod status_text;
mod transport;
mod value;
mod verifier;
mod warnings;
pub mod watch_metadata;

use crate::object::{Object, ObjectKey, OwnerId};
pub use error::{ClusterError, IN_TIME, brief, innermost, told};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, ValidationDirective,
};
pub use received::owner_resource;
use received::{ObservedResource, Received, version_of};
pub use refusal::Refusal;
use retry::{read, write};
use serde_json::Value;
pub use value::value_of;

/// The field manager of everything we apply; upstream's, so that its fields are ours.
pub const FIELD_MANAGER: &str = "istio-operator";

/// A cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    kinds: discovery::Kinds,
}

impl Cluster {
    /// Of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { kinds: discovery::Kinds::new(client.clone()), client }
    }

    /// The client, for watches.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How a kind is addressed; asks the API server once per kind that it knows.
    ///
    /// # Errors
    /// The kind is not served, or the API server cannot be asked.
    pub async fn resource(&self, api_version: &str, kind: &str) -> Result<ApiResource, ClusterError> {
        Ok(self.kinds.find(api_version, kind).await?.0)
    }

    /// The kinds that were asked for, see [`discovery::Kinds`].
    #[must_use]
    pub fn kinds(&self) -> &discovery::Kinds {
        &self.kinds
    }

    async fn api(&self, api_version: &str, key: &ObjectKey) -> Result<Api<DynamicObject>, ClusterError> {
        let (resource, namespaced) = self.kinds.find(api_version, &key.kind).await?;
        Ok(if namespaced {
            let namespace = if key.namespace.is_empty() { "default" } else { &key.namespace };
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        })
    }

    /// The live object, if there is one.
    ///
    /// # Errors
    /// Anything but its absence.
    pub async fn get(&self, api_version: &str, key: &ObjectKey) -> Result<Option<DynamicObject>, ClusterError> {
        let api = self.api(api_version, key).await?;
        read(|| api.get_opt(&key.name)).await.map_err(|e| ClusterError::of("read", &key, e))
    }

    /// Applies an object with our field manager, taking over fields that others set; returns what it has become.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn apply(&self, object: &Object, dry_run: bool) -> Result<DynamicObject, ClusterError> {
        // A CRD is as its release has it; to look for fields in it that the API server does not know takes a tenth of the write.
        let field_validation = object.is_crd().then_some(ValidationDirective::Ignore);
        let params = PatchParams { dry_run, field_validation, ..PatchParams::apply(FIELD_MANAGER).force() };
        self.apply_as(object, &params).await
    }

    /// Applies an object with the field manager of the parameters.
    ///
    /// # Errors
    /// What the API server says; without `force` also that a field is another manager's (409).
    pub async fn apply_as(&self, object: &Object, params: &PatchParams) -> Result<DynamicObject, ClusterError> {
        let key = object.key();
        let api = self.api(object.api_version(), &key).await?;
        let (value, name) = (object.value(), &key.name);
        let patch = Patch::Apply(value.as_ref());
        write(|| api.patch(name, params, &patch)).await.map_err(|e| ClusterError::of("apply", &key, e))
    }

    /// Deletes an object, only while it has this uid; dependents go in the background. Absence is success.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn delete(&self, api_version: &str, key: &ObjectKey, uid: &str) -> Result<(), ClusterError> {
        let api = match self.api(api_version, key).await {
            Ok(api) => api,
            Err(e) if e.is_absent() => return Ok(()),
            Err(e) => return Err(e),
        };
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::background()
        };
        match write(|| api.delete(&key.name, &params)).await {
            Ok(_) => Ok(()),
            // Gone, or another object of the same name: neither is ours to delete.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(e) => Err(ClusterError::of("delete", &key, e)),
        }
    }

    /// Asks whether an object could be deleted; it is not. Absence is success.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn try_delete(&self, api_version: &str, key: &ObjectKey) -> Result<(), ClusterError> {
        let api = self.api(api_version, key).await?;
        // In the address, so that logs and policies tell it from a deletion.
        let address = format!("{}/{}?dryRun=All", api.resource_url(), key.name);
        let send = async || {
            let request = http::Request::delete(&address).body(vec![]).map_err(kube::Error::HttpError)?;
            self.client.request_text(request).await
        };
        match write(send).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(|e| ClusterError::of("delete", key, e)),
        }
    }

    /// Lists the objects of a kind with these labels; an unknown kind has none.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<DynamicObject>, ClusterError> {
        let resource = match self.resource(api_version, kind).await {
            Ok(resource) => resource,
            Err(e) if e.is_absent() => return Ok(vec![]),
            Err(e) => return Err(e),
        };
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let params = kube::api::ListParams::default().labels(labels);
        Ok(read(|| api.list(&params)).await.map_err(|e| ClusterError::of("list", &kind, e))?.items)
    }

    /// Changes an object by a JSON patch; returns what it has become.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn patch(&self, api_version: &str, key: &ObjectKey, patch: Value) -> Result<DynamicObject, ClusterError> {
        self.patch_with(api_version, key, patch, PatchParams::default()).await
    }

    /// What an object would become by a JSON patch, with what the API server fills in; nothing is stored.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn try_patch(
        &self,
        api_version: &str,
        key: &ObjectKey,
        patch: Value,
    ) -> Result<DynamicObject, ClusterError> {
        self.patch_with(api_version, key, patch, PatchParams { dry_run: true, ..PatchParams::default() }).await
    }

    async fn patch_with(
        &self,
        api_version: &str,
        key: &ObjectKey,
        patch: Value,
        params: PatchParams,
    ) -> Result<DynamicObject, ClusterError> {
        let act = "change";
        let patch: json_patch::Patch =
            serde_json::from_value(patch).map_err(|e| ClusterError::of(act, &key, kube::Error::SerdeError(e)))?;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..params };
        let api = self.api(api_version, key).await?;
        api.patch(&key.name, &params, &Patch::<()>::Json(patch)).await.map_err(|e| ClusterError::of(act, &key, e))
    }

    /// Changes the status of an IstioOperator resource by a JSON merge patch; returns its version from then on.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn patch_status(&self, owner: &OwnerId, status: &Value) -> Result<u64, ClusterError> {
        let api = self.owners(Some(&owner.namespace));
        let patch = serde_json::json!({ "status": status });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(&patch);
        write(|| api.patch_status(&owner.name, &params, &patch))
            .await
            .map(|written| version_of(written.into_metadata().resource_version.as_deref()))
            .map_err(|e| ClusterError::of("write the status of", &owner.name, e))
    }

    /// Changes an IstioOperator resource by a JSON patch.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn patch_owner(&self, owner: &OwnerId, patch: Value) -> Result<(), ClusterError> {
        let act = "change the finalizers of";
        let failed = |e| ClusterError::of(act, &owner.name, e);
        let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|e| failed(kube::Error::SerdeError(e)))?;
        let api = self.owners(Some(&owner.namespace));
        api.patch(&owner.name, &PatchParams::default(), &Patch::<()>::Json(patch)).await.map(drop).map_err(failed)
    }

    /// Deletes an IstioOperator resource, only while it has this uid. Absence is success.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn delete_owner(&self, owner: &OwnerId, uid: &str) -> Result<(), ClusterError> {
        let key = ObjectKey {
            group: crate::api::GROUP.into(),
            kind: crate::api::KIND.into(),
            namespace: owner.namespace.clone(),
            name: owner.name.clone(),
        };
        self.delete(crate::api::API_VERSION, &key, uid).await
    }

    /// An IstioOperator resource as it is now, if it still exists; see [`Received::into_observed`].
    ///
    /// # Errors
    /// Anything but its absence.
    pub async fn owner(&self, owner: &OwnerId) -> Result<Option<ObservedResource>, ClusterError> {
        let api = self.owners(Some(&owner.namespace));
        let found = read(|| api.get_opt(&owner.name)).await.map_err(|e| ClusterError::of("read", &owner.name, e))?;
        Ok(found.map(Received::into_observed))
    }

    /// IstioOperator resources of a namespace, or of all.
    #[must_use]
    pub fn owners(&self, namespace: Option<&str>) -> Api<Received> {
        let resource = owner_resource();
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }
}

/// Programs that install Istio, by the names of their field managers: ours, and those of upstream that wrote without
/// server-side apply; the older `istioctl` by the name of its library.
pub const INSTALLERS: [&str; 4] = [FIELD_MANAGER, "operator", "istioctl", "istio-kube-client"];

/// Whether we, or an installer of upstream's before us, wrote an object. Labels alone do not tell: Kubernetes copies those of a
/// Service to its Endpoints and EndpointSlices.
#[must_use]
pub fn is_ours(metadata: &ObjectMeta) -> bool {
    let mut managers = metadata.managed_fields.iter().flatten();
    managers.any(|entry| entry.manager.as_deref().is_some_and(|manager| INSTALLERS.contains(&manager)))
}
