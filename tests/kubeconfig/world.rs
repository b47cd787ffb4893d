//! A control plane with what kubeconfigs need: files, tokens, and the comparison of the two clients.

use crate::ask::{self, Call, Told};
use crate::controlplane::Options;
use crate::controlplane::pool::{self, Lent, Preparation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A control plane in which there is nothing.
const EMPTY: Preparation = Preparation { name: "empty", prepare: |_| Ok(()) };

/// See the module.
pub struct World {
    pub plane: Lent,
    folder: tempfile::TempDir,
}

/// What both are to get.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// An answer to somebody of whom this is said.
    Answer(&'static str),
    /// None.
    Refusal,
}

/// One kubeconfig, or some.
pub struct Row {
    pub name: &'static str,
    pub call: Call,
    pub wanted: Wanted,
}

/// A row with one file in `KUBECONFIG`.
pub fn row(world: &World, name: &'static str, cluster: &Value, user: &Value, wanted: Wanted) -> Row {
    let path = world.file(&format!("{name}.config"), &config(cluster, user).to_string());
    Row { name, call: call(&path), wanted }
}

/// With one value of `KUBECONFIG`.
pub fn call(kubeconfig: impl AsRef<Path>) -> Call {
    let value = kubeconfig.as_ref().to_string_lossy().into_owned();
    Call { env: vec![("KUBECONFIG".into(), value)], ..Call::default() }
}

/// A kubeconfig of one cluster and one user.
pub fn config(cluster: &Value, user: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
    })
}

/// Some fields, and others in place of them; a null takes one away.
pub fn with(fields: &Value, others: &Value) -> Value {
    let mut all = fields.clone();
    for (name, value) in others.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    all
}

impl World {
    pub fn start() -> Self {
        let plane = pool::take(&Options::default(), &EMPTY).unwrap();
        Self { plane, folder: tempfile::tempdir().unwrap() }
    }

    /// A place for files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program.
    pub fn program(&self, name: &str, code: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file(name, &format!("#!/bin/sh\n{code}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A file of the control plane.
    pub fn of_plane(&self, name: &str) -> PathBuf {
        self.plane.dir().unwrap().join(name)
    }

    /// The same in base64.
    pub fn data(&self, name: &str) -> String {
        STANDARD.encode(std::fs::read(self.of_plane(name)).unwrap())
    }

    /// Where the API server is.
    pub fn server(&self) -> String {
        let own: Value = serde_json::from_slice(&std::fs::read(self.plane.kubeconfig()).unwrap()).unwrap();
        own["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned()
    }

    /// The port of the API server.
    pub fn port(&self) -> u16 {
        self.server().rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The API server, as a cluster of a kubeconfig.
    pub fn cluster(&self) -> Value {
        json!({"server": self.server(), "certificate-authority-data": self.data("ca.crt")})
    }

    /// The administrator, as a user of a kubeconfig.
    pub fn admin(&self) -> Value {
        json!({"client-certificate-data": self.data("admin.crt"), "client-key-data": self.data("admin.key")})
    }

    /// A token of a service account.
    pub fn token(&self) -> String {
        self.token_for("10m")
    }

    /// The same for so long.
    pub fn token_for(&self, duration: &str) -> String {
        let create = ["create", "token", "default", "-n", "default", "--duration", duration];
        crate::controlplane::wait("the service account", std::time::Duration::from_mins(1), || {
            Ok(self.plane.kubectl(&create).map_err(|error| error.to_string()))
        })
        .unwrap()
        .trim()
        .to_owned()
    }

    /// What both say.
    pub fn ask(&self, call: &Call) -> (Told, Told) {
        (ask::ours(call), ask::kubectl(self.plane.kubectl_path(), call))
    }

    /// Has both asked for each row, and fails with all rows that came out otherwise.
    pub fn compare(&self, rows: &[Row]) {
        let mut wrong = vec![];
        for row in rows {
            let (ours, kubectl) = self.ask(&row.call);
            let is_wanted = match row.wanted {
                Wanted::Answer(part) => kubectl.name.as_ref().is_some_and(|name| name.contains(part)),
                Wanted::Refusal => kubectl.name.is_none(),
            };
            if !is_wanted || ours.name != kubectl.name {
                let [ours, kubectl] = [&ours, &kubectl].map(|told| told.text.chars().take(1500).collect::<String>());
                wrong.push(format!("{}:\nours: {ours}\nkubectl: {kubectl}", row.name));
            }
            assert!(!ours.text.contains("hush"), "{}: a secret is told: {}", row.name, ours.text);
        }
        assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n\n"));
    }
}
