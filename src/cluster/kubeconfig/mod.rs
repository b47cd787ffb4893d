//! Kubeconfigs: which files there are, how they are merged, and what the chosen context says.
//!
//! The rules are those of kubectl: of several files in `KUBECONFIG` the first that has a name wins, files that do not exist
//! are passed over, relative paths are relative to their file, and what contradicts itself is refused.
//! `tests/kubeconfig.rs` compares the two.

mod check;
mod error;
mod types;

pub use error::{ContentProblem, KubeconfigError};
pub use types::{Cluster, Exec, Extension, User, Variable};

use super::content::{parse, typed};
use super::file;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Larger than any kubeconfig; what is larger is something else.
const LARGEST: u64 = 64 << 20;

/// Which kubeconfig is read, and which of its contexts is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// This file alone, in place of those of `KUBECONFIG` and of `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// This context, in place of `current-context`.
    pub context: Option<String>,
    /// No program that says who we are may speak with a person.
    pub asks_nobody: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
    namespace: String,
}

/// What the chosen context says.
pub struct Chosen {
    /// Where the API server is.
    pub cluster: Cluster,
    /// Who we are.
    pub user: User,
    /// The namespace of whoever names none.
    pub namespace: Option<String>,
}

/// What several files say together.
#[derive(Default)]
struct Merged {
    clusters: BTreeMap<String, Cluster>,
    users: BTreeMap<String, User>,
    contexts: BTreeMap<String, Context>,
    current: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    kind: String,
    #[serde(rename = "apiVersion")]
    api_version: String,
    clusters: Vec<Map<String, Value>>,
    users: Vec<Map<String, Value>>,
    contexts: Vec<Map<String, Value>>,
    current_context: String,
}

/// What kubeconfigs say of the context that is chosen; `None` where there are none, or none is chosen.
///
/// # Errors
/// A file cannot be read, or what it says cannot be meant.
pub fn find(choice: &Choice) -> Result<Option<Chosen>, KubeconfigError> {
    let named = choice.kubeconfig.as_ref().filter(|path| !path.as_os_str().is_empty());
    let mut all = Merged::default();
    match named {
        Some(path) => all.add(path, &read(path)?)?,
        None => {
            for path in paths(std::env::var_os("KUBECONFIG"), std::env::home_dir()) {
                match read(&path) {
                    Err(KubeconfigError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                    text => all.add(&path, &text?)?,
                }
            }
        }
    }
    let context = choice.context.as_deref().filter(|name| !name.is_empty());
    all.choose(context)
}

/// Which files are read for a choice, and why none of them says where a cluster is; for a person.
#[must_use]
pub fn looked_at(choice: &Choice) -> String {
    let named = choice.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty());
    let variable = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
    let from = if named.is_none() && variable.is_some() { " (of KUBECONFIG)" } else { "" };
    let all = named.map_or_else(|| paths(variable, std::env::home_dir()), |path| vec![path]);
    let state = |path: PathBuf| {
        let state = if path.exists() { "has no current context" } else { "does not exist" };
        format!("{}{from} {state}", path.display())
    };
    let told: Vec<String> = all.into_iter().map(state).collect();
    if told.is_empty() { "there is no kubeconfig (KUBECONFIG names none)".to_owned() } else { told.join(", ") }
}

/// The names of the contexts there are. Files that cannot be used have none.
#[must_use]
pub fn contexts(choice: &Choice) -> Vec<String> {
    let named = choice.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty());
    let paths = named.map_or_else(|| paths(std::env::var_os("KUBECONFIG"), std::env::home_dir()), |path| vec![path]);
    let mut all = Merged::default();
    for path in paths {
        let _ = read(&path).and_then(|text| all.add(&path, &text));
    }
    all.contexts.into_keys().collect()
}

/// The files to read, in their order.
fn paths(variable: Option<OsString>, home: Option<PathBuf>) -> Vec<PathBuf> {
    match variable.filter(|value| !value.is_empty()) {
        Some(value) => std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => home.map(|home| home.join(".kube").join("config")).into_iter().collect(),
    }
}

fn read(path: &Path) -> Result<String, KubeconfigError> {
    file::read_text(path, LARGEST).map_err(|source| KubeconfigError::Read { path: path.to_owned(), source })
}

impl Merged {
    /// Adds what no earlier file says.
    fn add(&mut self, path: &Path, text: &str) -> Result<(), KubeconfigError> {
        let wrong = |problem: ContentProblem| KubeconfigError::Content { path: path.to_owned(), problem };
        let file: File = parse(text).and_then(typed).map_err(|error| wrong(error.into()))?;
        if !["", "Config"].contains(&file.kind.as_str()) || !["", "v1"].contains(&file.api_version.as_str()) {
            return Err(wrong(ContentProblem::NoConfig { kind: file.kind, api_version: file.api_version }));
        }
        let folder = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned));
        let folder = folder.unwrap_or_default();
        for (name, mut cluster) in named::<Cluster>(file.clusters, "cluster").map_err(wrong)? {
            resolve(&folder, &mut cluster.certificate_authority);
            self.clusters.entry(name).or_insert(cluster);
        }
        for (name, mut user) in named::<User>(file.users, "user").map_err(wrong)? {
            for path in [&mut user.client_certificate, &mut user.client_key, &mut user.token_file] {
                resolve(&folder, path);
            }
            if let Some(exec) = user.exec.as_mut().filter(|exec| exec.command.contains(std::path::MAIN_SEPARATOR)) {
                resolve(&folder, &mut exec.command);
            }
            self.users.entry(name).or_insert(user);
        }
        for (name, context) in named::<Context>(file.contexts, "context").map_err(wrong)? {
            self.contexts.entry(name).or_insert(context);
        }
        if self.current.is_empty() {
            self.current = file.current_context;
        }
        Ok(())
    }

    fn choose(mut self, context: Option<&str>) -> Result<Option<Chosen>, KubeconfigError> {
        let name = context.unwrap_or(&self.current).to_owned();
        if name.is_empty() {
            return Ok(None);
        }
        let Some(context) = self.contexts.remove(&name) else {
            let known = self.contexts.into_keys().collect();
            return Err(KubeconfigError::NoContext { name, known });
        };
        if context.cluster.is_empty() {
            return Err(KubeconfigError::NoCluster(name));
        }
        let Some(mut cluster) = self.clusters.remove(&context.cluster) else {
            return Err(KubeconfigError::Missing { context: name, name: context.cluster });
        };
        // Who is not there has no credentials: the API server says whether it wants some. With TLS kubectl asks a person first.
        let mut user = self.users.remove(&context.user).unwrap_or_default();
        let mut problems = check::check(&cluster, &user);
        if problems.is_empty() {
            problems = read_streams(&mut cluster, &mut user);
        }
        if !problems.is_empty() {
            return Err(KubeconfigError::Invalid { context: name, problems });
        }
        let namespace = Some(context.namespace).filter(|namespace| !namespace.is_empty());
        Ok(Some(Chosen { cluster, user, namespace }))
    }
}

/// The entries of a list by their names, each once.
fn named<T: Default + for<'a> Deserialize<'a>>(
    list: Vec<Map<String, Value>>,
    what: &'static str,
) -> Result<BTreeMap<String, T>, ContentProblem> {
    let mut all = BTreeMap::new();
    for mut entry in list {
        let name = entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let content = entry.remove(what).unwrap_or_default();
        let content = typed(content).map_err(|source| ContentProblem::Entry { what, name: name.clone(), source })?;
        if all.insert(name.clone(), content).is_some() {
            return Err(ContentProblem::Twice { what, name });
        }
    }
    Ok(all)
}

/// Reads now what can be read once only, such as the pipe of a shell's `<(…)`, and has its content in place of its path. Says
/// what is wrong.
fn read_streams(cluster: &mut Cluster, user: &mut User) -> Vec<String> {
    let files = [
        ("certificate-authority", &mut cluster.certificate_authority, &mut cluster.certificate_authority_data),
        ("client-certificate", &mut user.client_certificate, &mut user.client_certificate_data),
        ("client-key", &mut user.client_key, &mut user.client_key_data),
        ("tokenFile", &mut user.token_file, &mut user.token),
    ];
    let mut problems = vec![];
    for (what, path, content) in files.into_iter().filter(|(_, path, _)| file::is_stream(path)) {
        match file::read(path.as_str(), file::SMALL) {
            Ok(bytes) if bytes.trim_ascii().is_empty() => problems.push(format!("{path}, the {what}, is empty")),
            Ok(bytes) if what == "tokenFile" => String::from_utf8_lossy(&bytes).trim().clone_into(content),
            Ok(bytes) => *content = STANDARD.encode(bytes),
            Err(error) => problems.push(format!("cannot read {path}, the {what}: {error}")),
        }
        path.clear();
    }
    problems
}

fn resolve(folder: &Path, path: &mut String) {
    if !path.is_empty() && Path::new(path.as_str()).is_relative() {
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }
}

#[cfg(test)]
mod tests;
