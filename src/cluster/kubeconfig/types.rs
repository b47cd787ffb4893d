//! What a kubeconfig says of a cluster and of a user. An empty text counts as none.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A cluster of a kubeconfig. Its proxy may have a password, so nothing prints it.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Cluster {
    /// Where the API server is.
    pub server: String,
    /// The name its certificate must have, in place of that in `server`.
    pub tls_server_name: String,
    /// Takes any certificate.
    pub insecure_skip_tls_verify: bool,
    /// The file with the certificates of who signs the API server's.
    pub certificate_authority: String,
    /// The same, in base64.
    pub certificate_authority_data: String,
    /// The proxy before it.
    pub proxy_url: String,
    /// Whether answers come uncompressed. They always do; it is told to programs.
    pub disable_compression: bool,
    /// Of which one is for programs.
    pub extensions: Vec<Extension>,
}

/// An extension of a cluster.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Extension {
    /// Whose it is.
    pub name: String,
    /// What it says.
    pub extension: Value,
}

/// A user of a kubeconfig.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct User {
    /// The file with the client certificate.
    pub client_certificate: String,
    /// The same, in base64.
    pub client_certificate_data: String,
    /// The file with its key.
    pub client_key: String,
    /// The same, in base64.
    pub client_key_data: String,
    /// A bearer token.
    pub token: String,
    /// The file with one.
    #[serde(rename = "tokenFile")]
    pub token_file: String,
    /// Whom to act as.
    #[serde(rename = "as")]
    pub impersonate: String,
    /// The uid to act with.
    #[serde(rename = "as-uid")]
    pub impersonate_uid: String,
    /// The groups to act in.
    #[serde(rename = "as-groups")]
    pub impersonate_groups: Vec<String>,
    /// What else is said of whom to act as.
    #[serde(rename = "as-user-extra")]
    pub impersonate_extra: BTreeMap<String, Vec<String>>,
    /// Of basic authentication.
    pub username: String,
    /// Of basic authentication.
    pub password: String,
    /// What kubectl has built in.
    pub auth_provider: Option<kube::config::AuthProviderConfig>,
    /// A program that says who we are.
    pub exec: Option<Exec>,
}

impl User {
    /// Only whom to act as.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        Self {
            impersonate: self.impersonate,
            impersonate_uid: self.impersonate_uid,
            impersonate_groups: self.impersonate_groups,
            impersonate_extra: self.impersonate_extra,
            ..Self::default()
        }
    }
}

/// A program that says who we are.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Exec {
    /// Its name, or its path.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables it gets beside our own.
    pub env: Vec<Variable>,
    /// The version of what it is told, and of what it answers.
    pub api_version: String,
    /// What to do where it is missing.
    pub install_hint: String,
    /// Whether it is told of the cluster.
    pub provide_cluster_info: bool,
    /// Whether it may ask a person.
    pub interactive_mode: String,
    /// It may not, whatever the mode.
    #[serde(skip)]
    pub asks_nobody: bool,
}

/// An environment variable.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}
