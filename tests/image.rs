//! What `make image`, `make archive` and `make chart` give: the image run out of its own root file system as its own user, and the
//! archive unpacked.
//!
//! No release binary is built for it: it is that of `OPERATOR_BINARY`, or that of the tests with the libraries it is linked to.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "image/oci.rs"]
mod oci;

use flate2::read::GzDecoder;
use oci::Image;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The release package of `tests/packages`.
const PACKAGE: &str = "1.30.99";
/// Some day: what is made carries no other date.
const DATE: u64 = 1_700_000_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The binary to ship.
fn binary() -> PathBuf {
    std::env::var_os("OPERATOR_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_istio-operator").into()).into()
}

/// Runs a program that must succeed.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    output
}

/// `make` for a version of this repository that has an empty folder for what it makes.
fn make(goal: &str, dist: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("make");
    command.current_dir(root()).env_remove("MAKEFLAGS").env("SOURCE_DATE_EPOCH", DATE.to_string());
    command.args(["--no-print-directory", goal]).args(args);
    command.arg(format!("BINARY={}", binary().display())).arg(format!("DIST={}", dist.display()));
    command
}

/// All below a folder: paths relative to it.
fn below(folder: &Path) -> BTreeSet<String> {
    let (mut open, mut found) = (vec![folder.to_owned()], BTreeSet::new());
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// Makes the image with a release package in it.
fn image(builder: &str, folder: &Path) -> Image {
    let packages = folder.join("packages");
    fs::create_dir(&packages).unwrap();
    run(Command::new("cp").arg("-R").arg(root().join("tests/packages").join(PACKAGE)).arg(&packages));
    let mut make = make("image", &folder.join("dist"), &[&format!("BUILDER={builder}"), "IMAGE=istio-operator:test"]);
    make.arg(format!("PACKAGES={}", packages.display()));
    run(oci::with_own_storage(&mut make, folder));
    Image::export(builder, "istio-operator:test", folder)
}

/// Puts the libraries in place that a binary of the tests is linked to; one of a release has none.
fn copy_libraries(into: &Path) {
    let linked = Command::new("ldd").arg(binary()).output().unwrap();
    let words = text(&linked.stdout).split_whitespace().filter(|word| word.starts_with('/'));
    for library in words {
        let place = into.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library, place).unwrap();
    }
}

#[test]
fn the_image_says_what_it_is_and_runs_as_its_user_in_its_own_root() {
    let Some(builder) = oci::builder() else {
        eprintln!("no image is built: neither docker with its engine, podman nor buildah is here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let image = image(builder, folder.path());
    let config = &image.config["config"];
    assert_eq!(config["User"], "1337:1337", "a number, so that runAsNonRoot can be checked");
    assert_eq!((&config["Entrypoint"], &config["Cmd"]), (&json!(["/istio-operator"]), &json!(["run"])));
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap_or_default();
    assert_eq!((label("title"), label("licenses")), ("istio-operator", "Apache-2.0"));
    assert_eq!((label("version"), label("created")), (env!("CARGO_PKG_VERSION"), "2023-11-14T22:13:20Z"));
    let machine = run(Command::new("uname").arg("-m"));
    let architecture = if text(&machine.stdout).trim() == "aarch64" { "arm64" } else { "amd64" };
    assert_eq!((&image.config["os"], &image.config["architecture"]), (&json!("linux"), &json!(architecture)));

    let system = folder.path().join("root");
    for entry in image.unpack(&system) {
        assert_eq!((entry.owner, entry.mode & 0o022), (0, 0), "{} can be written by others", entry.path);
        assert_eq!(entry.modified, DATE, "{}", entry.path);
    }
    let files = below(&system);
    let others: Vec<&str> =
        files.iter().map(String::as_str).filter(|file| !file.starts_with("packages/1.30.99/")).collect();
    assert_eq!(others, ["etc/ssl/certs/ca-certificates.crt", "istio-operator", "licenses/LICENSE", "licenses/NOTICE"]);
    assert!(files.contains("packages/1.30.99/profiles/default.yaml"), "{files:#?}");
    if fs::metadata(&system).unwrap().uid() != 0 {
        eprintln!("the image is not run: only root can change its root");
        return;
    }
    copy_libraries(&system);
    let mut paths: Vec<_> = fs::read_dir(&system).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.push(system.clone());
    // A temporary folder is its owner's alone.
    run(Command::new("chmod").arg("755").arg(folder.path()).args(&paths));
    let before = below(&system);
    let operator = |args: &[&str]| {
        let mut command = Command::new("chroot");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("--userspec=1337:1337").arg(&system);
        text(&run(command.arg("/istio-operator").args(args)).stdout).to_owned()
    };
    assert!(operator(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
    assert!(operator(&["manifest", "generate", "--set", "profile=demo"]).contains("name: istio-egressgateway"));
    let packages = operator(&["release", "list", "--package-dir=/packages", "--cache-dir=/var/cache/istio-operator"]);
    assert!(packages.contains(PACKAGE), "{packages}");
    assert_eq!(below(&system), before, "nothing is written");
}

#[test]
fn the_same_files_give_the_same_image() {
    // Docker keeps dates of its own unless it exports at once.
    let Some(builder) = oci::builder().filter(|builder| *builder != "docker") else { return };
    let digests = [(); 2].map(|()| {
        let folder = tempfile::tempdir().unwrap();
        image(builder, folder.path()).digest
    });
    assert_eq!(digests[0], digests[1]);
}

/// Unpacks an archive, whose entries all have the date; gives the names of its entries.
fn unpack(archive: &Path, into: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(archive).unwrap()));
    let mut names = vec![];
    for mut entry in archive.entries().unwrap().map(Result::unwrap) {
        let kind = entry.header().entry_type();
        assert!(kind.is_dir() || kind.is_file(), "{:?} is a link", entry.path());
        assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (DATE, 0));
        names.push(entry.path().unwrap().to_str().unwrap().to_owned());
        entry.unpack_in(into).unwrap();
    }
    names
}

#[test]
fn the_archive_has_what_istios_archives_have_and_works_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    let at = "registry.example/mesh/istio-operator";
    let published = format!("REPOSITORY={at}");
    run(&mut make("archive", &dist, &["COMPRESS=gzip -n -1", "ARCH=amd64", &published]));
    let name = format!("istio-operator-{}", env!("CARGO_PKG_VERSION"));
    let archive = format!("{name}-linux-amd64.tar.gz");
    assert_eq!(below(&dist), BTreeSet::from([archive.clone()]));

    let names = unpack(&dist.join(&archive), folder.path());
    assert!(names.iter().all(|entry| entry.starts_with(&format!("{name}/"))));
    let tree = folder.path().join(&name);
    let mut top: Vec<_> = fs::read_dir(&tree).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    top.sort();
    assert_eq!(top, ["LICENSE", "README.md", "bin", "manifest.yaml", "manifests", "samples", "tools"]);
    let about = helm_template::yaml::parse(&fs::read_to_string(tree.join("manifest.yaml")).unwrap()).unwrap();
    assert_eq!((&about["version"], &about["architecture"]), (&json!(env!("CARGO_PKG_VERSION")), &json!("amd64")));
    assert_eq!(about["builtInRelease"], istio_operator::release::RELEASE);

    assert_eq!(below(&tree.join("bin")), BTreeSet::from(["istio-operator".to_owned()]));
    assert_eq!(below(&tree.join("samples")), below(&root().join("config/samples")));

    // From anywhere, with nothing but PATH.
    let operator = |args: &[&str]| {
        let mut command = Command::new("istio-operator");
        command.current_dir("/").env_clear().env("PATH", tree.join("bin"));
        run(command.args(args)).stdout
    };
    assert!(text(&operator(&["--version"])).contains(env!("CARGO_PKG_VERSION")));
    let manifests = tree.join("manifests");
    let built_in = operator(&["manifest", "generate", "--set", "profile=demo"]);
    let from = operator(&["manifest", "generate", "--set", "profile=demo", "-d", manifests.to_str().unwrap()]);
    assert!(built_in == from, "the charts of the archive are not those that are built in");
    let sample = tree.join("samples/demo.yaml");
    assert!(!operator(&["manifest", "generate", "-f", sample.to_str().unwrap()]).is_empty());
    let chart = |place: &Path| operator(&["chart", "template", "istio-operator", place.to_str().unwrap()]);
    let shipped = |text: &str| text.replace("image: \"istio-operator:", &format!("image: \"{at}:"));
    let own = shipped(text(&chart(&root().join("config/helm/istio-operator"))));
    assert!(own.contains(at), "{own}");
    let deployment = fs::read_to_string(manifests.join("config/operator/deployment.yaml")).unwrap();
    assert!(deployment.contains(&format!("image: {at}:{}\n", env!("CARGO_PKG_VERSION"))), "{deployment}");
    assert!(text(&chart(&manifests.join("charts/istio-operator"))) == own, "the operator's chart");
    // What kustomize names is there.
    for base in ["config/default", "config/controller", "config/operator", "config/rbac", "crds"] {
        assert!(manifests.join(base).join("kustomization.yaml").is_file(), "{base}");
    }

    run(&mut make("chart", &dist, &["COMPRESS=gzip -n -1", &published]));
    let chart_archive = dist.join(format!("istio-operator-chart-{}.tgz", env!("CARGO_PKG_VERSION")));
    assert!(text(&chart(&chart_archive)) == own);
    fs::write(dist.join("a.cdx.json"), "{}").unwrap();
    run(&mut make("sums", &dist, &[]));
    let checked = run(Command::new("sha256sum").current_dir(&dist).args(["-c", "SHA256SUMS"]));
    assert_eq!(text(&checked.stdout).lines().count(), 3);
}
