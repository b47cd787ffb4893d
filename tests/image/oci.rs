//! Images in the layout of the Open Container Initiative, and the programs that build them.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first of the programs that is here and works, as `make image` chooses it.
pub fn builder() -> Option<&'static str> {
    let works = |args: &[&str]| Command::new(args[0]).args(&args[1..]).output().is_ok_and(|o| o.status.success());
    let ways: [&[&'static str]; 3] = [&["docker", "info"], &["podman", "--version"], &["buildah", "--version"]];
    ways.into_iter().find(|way| works(way)).map(|way| way[0])
}

/// Has podman and buildah keep what they build in a folder; docker's engine has a place of its own.
pub fn with_own_storage<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    let (file, place) = (folder.join("storage.conf"), folder.join("storage"));
    let text =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n", place.display());
    fs::write(&file, text).unwrap();
    command.env("CONTAINERS_STORAGE_CONF", file).env("BUILDAH_ISOLATION", "chroot")
}

/// A file or folder of a layer.
pub struct Entry {
    pub path: String,
    pub owner: u64,
    pub mode: u32,
    pub modified: u64,
}

/// An image that was exported to a folder.
pub struct Image {
    /// The digest of its manifest.
    pub digest: String,
    pub config: Value,
    layers: Vec<PathBuf>,
}

impl Image {
    /// Exports an image of a builder.
    pub fn export(builder: &str, name: &str, folder: &Path) -> Self {
        let layout = folder.join("layout");
        let mut command = Command::new(builder);
        if builder == "docker" {
            command.args(["save", "-o"]).arg(folder.join("saved.tar")).arg(name);
        } else {
            command.args(["push", "--quiet", name]).arg(format!("oci:{}:test", layout.display()));
        }
        let output = with_own_storage(&mut command, folder).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        if builder == "docker" {
            tar::Archive::new(fs::File::open(folder.join("saved.tar")).unwrap()).unpack(&layout).unwrap();
        }
        Self::read(&layout)
    }

    fn read(layout: &Path) -> Self {
        let blob = |digest: &str| layout.join("blobs").join(digest.replace(':', "/"));
        let json = |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
        let mut digest = String::new();
        let mut manifest = json(layout.join("index.json"));
        // An index may name another one.
        while let Some(named) = manifest["manifests"][0]["digest"].as_str() {
            named.clone_into(&mut digest);
            manifest = json(blob(&digest));
        }
        let layers = manifest["layers"].as_array().unwrap().iter();
        let layers = layers.map(|layer| blob(layer["digest"].as_str().unwrap())).collect();
        Self { digest, config: json(blob(manifest["config"]["digest"].as_str().unwrap())), layers }
    }

    /// Lays its root file system out in a folder, and gives what was in its layers.
    pub fn unpack(&self, into: &Path) -> Vec<Entry> {
        fs::create_dir(into).unwrap();
        let mut entries = vec![];
        for layer in &self.layers {
            let mut bytes = fs::read(layer).unwrap();
            if bytes.starts_with(&[0x1f, 0x8b]) {
                let mut plain = vec![];
                GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
                bytes = plain;
            }
            for mut entry in tar::Archive::new(bytes.as_slice()).entries().unwrap().map(Result::unwrap) {
                let header = entry.header();
                entries.push(Entry {
                    path: entry.path().unwrap().display().to_string(),
                    owner: header.uid().unwrap(),
                    mode: header.mode().unwrap(),
                    modified: header.mtime().unwrap(),
                });
                entry.unpack_in(into).unwrap();
            }
        }
        entries
    }
}
