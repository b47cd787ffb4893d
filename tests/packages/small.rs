//! The small release package, as folder, release and archive.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::path::Path;

/// Its release.
pub const VERSION: &str = "1.30.99";
/// The folder that has it.
pub const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packages");
/// Itself.
pub const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packages/1.30.99");

/// Writes it to a folder, as `manifests/` of a release.
pub fn write_release(folder: &Path) {
    copy(Path::new(PACKAGE), &folder.join("manifests"));
}

/// Writes it to a folder under another version.
#[allow(dead_code)] // not by all who have this module
pub fn copy_as(version: &str, folder: &Path) {
    copy(Path::new(PACKAGE), folder);
    let profile = folder.join("profiles/default.yaml");
    let text = fs::read_to_string(&profile).unwrap();
    assert!(text.contains(VERSION));
    fs::write(profile, text.replace(VERSION, version)).unwrap();
}

/// An archive with the release; of another digest for each level of compression.
pub fn archive(level: u32) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(vec![], Compression::new(level)));
    builder.append_dir_all("istio-1.30.99/manifests", PACKAGE).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}
