//! Packages that are taken by their version after they have been fetched from anywhere; what is told where there is none; and
//! what is told of a cache that is not as it should be.

use super::home::Home;
use super::package::{gzip, header, release, with_more};
use super::server::{Server, nobody, reply};
use istio_operator::source::progress::Silent;
use istio_operator::source::{Credentials, Location, Policy, Progress, Refresh, Settings, Source};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tar::EntryType;

/// The commands that take a version, without a network.
const TAKES: [&[&str]; 2] = [&["profile", "list", "-d"], &["release", "fetch", "-q"]];

#[test]
fn what_was_fetched_from_anywhere_is_taken_by_its_version() {
    let (home, dir) = (Home::new(), tempfile::tempdir().unwrap());
    let archive = dir.path().join("p.tar.gz");
    fs::write(&archive, release("1.30.3")).unwrap();
    let ended = home.fetch(archive.to_str().unwrap());
    assert_eq!(ended.succeeded().said("taken by"), "-d 1.30.3");
    let folder = ended.said("folder").to_owned();
    fs::remove_file(&archive).unwrap();
    for version in ["1.30.3", "v1.30.3"] {
        home.run(&["profile", "list", "-d", version]).succeeded();
    }
    let spec = dir.path().join("spec.yaml");
    for version in ["1.30.3", "v1.30.3"] {
        let named = format!("metadata: {{annotations: {{install.istio.io/release: {version}}}}}");
        fs::write(&spec, format!("kind: IstioOperator\n{named}\nspec: {{hub: x.example}}\n")).unwrap();
        let dump = home.run(&["profile", "dump", "-f", spec.to_str().unwrap(), "-p", "tag"]);
        assert_eq!(dump.succeeded().stdout, "1.30.3\n", "by the annotation, too");
    }
    let list = home.run(&["release", "list"]);
    assert!(list.stdout.contains("\n1.30.3    cache"), "{}", list.stdout);
    // Of two, the one that was fetched last.
    let server = Server::with(gzip(&with_more("1.30.3", &[(header(EntryType::Regular, "README", 1), &b"x"[..])])));
    let other = home.fetch(&server.url("/mine.tgz"));
    let other = other.succeeded().said("folder").to_owned();
    assert_ne!(folder, other);
    let wrong = home.run(&["profile", "dump", "NOPE", "-d", "1.30.3"]);
    assert!(wrong.stderr.contains(&format!("(of {other})")), "{}", wrong.stderr);
}

#[test]
fn a_package_that_a_spec_names_is_not_that_of_its_version() {
    let (home, dir) = (Home::new(), tempfile::tempdir().unwrap());
    let server = Server::with(release("1.30.3"));
    let spec = dir.path().join("spec.yaml");
    let location = server.url("/a.tgz");
    fs::write(&spec, format!("kind: IstioOperator\nspec: {{installPackagePath: {location}, hub: x.example}}\n"))
        .unwrap();
    home.run(&["profile", "dump", "-f", spec.to_str().unwrap()]).succeeded();
    let source = format!("{}/{{version}}.tgz", nobody());
    let asked = home.run(&["profile", "list", "-d", "1.30.3", "--release-source", &source, "--fetch-timeout", "1s"]);
    assert!(!asked.is_success, "whoever wrote the spec has chosen what 1.30.3 is");
}

#[test]
fn what_is_no_package_says_what_it_was_taken_for_and_what_is_at_hand() {
    let (home, dir) = (Home::new(), tempfile::tempdir().unwrap());
    for version in ["1.30.1", "1.30.3", "1.29.0"] {
        let profiles = dir.path().join(version).join("manifests/profiles");
        fs::create_dir_all(&profiles).unwrap();
        fs::create_dir_all(dir.path().join(version).join("manifests/charts")).unwrap();
        fs::write(profiles.join("default.yaml"), format!("spec: {{tag: {version}}}\n")).unwrap();
    }
    let folder = dir.path().to_str().unwrap();
    let file = dir.path().join("file.yaml");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for (named, told) in [
        (
            "1.30",
            "release \"1.30\" names no patch release; at hand are 1.30.1, 1.30.3; another one is fetched from https://github.com",
        ),
        ("1.31", "release \"1.31\" names no patch release; none of it is at hand; write one such as 1.31.0"),
        ("latest", "\"latest\": it is not a version, and there is no directory of that name; name a version"),
        ("latest", "at hand are 1.17.8, 1.29.0, 1.30.1, 1.30.3"),
        ("./nothing", "\"./nothing\": there is no such directory; name a version"),
        (file, "it is a file, and neither a .tar.gz nor a .tgz"),
        (file, "a spec is given with -f"),
        ("p.tar.gz", "p.tar.gz: No such file"),
        ("ftp://x/a", "ftp:// is not supported"),
    ] {
        for command in TAKES {
            let ended = home.run(&[command, &[named, "--package-dir", folder]].concat());
            ended.failed_with(told);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
    for command in TAKES {
        home.run(&[command, &["v1.30.3", "--package-dir", folder]].concat()).succeeded();
    }
}

/// The source may have such a tag, and is asked for it, and not for anything else.
#[test]
fn a_version_without_a_patch_release_is_asked_of_a_source_that_is_named() {
    let home = Home::new();
    let server = Server::start(|_, _, stream| reply(stream, "404 Not Found", &[], &[]));
    let ended = home.run(&["release", "fetch", "-q", "1.30", "--release-source", &server.url("/{version}.tgz")]);
    ended.failed_with("there is none (the server answered 404)");
    ended.failed_with("names no patch release");
    assert_eq!(server.paths(), ["/1.30.tgz"]);
}

#[test]
fn a_spec_that_is_broken_is_told_before_its_package_is_fetched() {
    let (home, server, dir) = (Home::new(), Server::with(release("1.30.3")), tempfile::tempdir().unwrap());
    let file = dir.path().join("spec.yaml");
    let location = server.url("/a.tgz");
    let generate = |text: &str, more: &[&str]| {
        fs::write(&file, text).unwrap();
        home.run(&[&["manifest", "generate", "-f", file.to_str().unwrap(), "-d", &location], more].concat())
    };
    generate("a: [b", &[]).failed_with("spec.yaml:2:1: did not find");
    generate("kind: Istio\nspec: {}\n", &[]).failed_with("not an IstioOperator resource");
    generate("kind: IstioOperator\nspec: []\n", &[]).failed_with("spec must be a map");
    generate("kind: IstioOperator\nspce: {}\n", &[]).failed_with("spec.yaml:2:1: spce: unknown field");
    generate("kind: IstioOperator\n", &["--set", "profile"]).failed_with("must be path=value");
    assert!(server.requests().is_empty());
}

#[test]
fn the_list_tells_what_of_the_cache_cannot_be_used() {
    let (home, server) = (Home::new(), Server::with(release("1.30.3")));
    let list = || home.run(&["release", "list"]);
    assert_eq!(list().succeeded().stdout.lines().count(), 2, "a cache that is not there is empty");
    let folder = home.fetch(&server.url("/a.tgz")).succeeded().said("folder").to_owned();
    let packages = home.cache().join("packages");
    for junk in ["notes", "new-0123456789abcdef", "sha256-short"] {
        fs::create_dir(packages.join(junk)).unwrap();
    }
    let with_junk = list();
    assert_eq!(with_junk.succeeded().stdout.lines().count(), 3);
    assert_eq!(with_junk.stderr, "", "it is nobody's package");
    let half = packages.join(format!("sha256-{}", "0".repeat(64)));
    fs::create_dir(&half).unwrap();
    let broken = list();
    assert_eq!(broken.succeeded().stdout.lines().count(), 3);
    let told = format!("Warning: release package {}: it is not as it was unpacked; it is not used", half.display());
    assert!(broken.stderr.starts_with(&told), "{}", broken.stderr);
    fs::remove_dir(&half).unwrap();
    fs::write(format!("{folder}/profiles/default.yaml"), "spec: {}").unwrap();
    let changed = list();
    assert!(changed.stderr.contains(&folder) && changed.stdout.lines().count() == 2, "{}", changed.stderr);
    for name in ["notes", "new-0123456789abcdef", "sha256-short"] {
        fs::remove_dir(packages.join(name)).unwrap();
    }
    fs::remove_dir_all(&packages).unwrap();
    fs::write(&packages, "").unwrap();
    let none = home.start(&["release", "list"]).wait_with_output().unwrap();
    let told = String::from_utf8(none.stderr).unwrap();
    assert_eq!(none.status.code(), Some(1));
    let start = format!("Error: release package cache {}: Not a directory", home.cache().display());
    assert!(told.starts_with(&start) && told.contains("it is not known what it has"), "{told}");
    assert!(String::from_utf8(none.stdout).unwrap().contains("built-in"), "what is known is told");
    fs::remove_file(&packages).unwrap();
}

/// Root reads everything.
#[test]
fn a_cache_that_must_not_be_read_is_not_an_empty_one() {
    let (home, server) = (Home::new(), Server::with(release("1.30.3")));
    home.fetch(&server.url("/a.tgz")).succeeded();
    let packages = home.cache().join("packages");
    fs::set_permissions(&packages, fs::Permissions::from_mode(0o000)).unwrap();
    let is_read = fs::read_dir(&packages).is_ok();
    let list = home.start(&["release", "list"]).wait_with_output().unwrap();
    fs::set_permissions(&packages, fs::Permissions::from_mode(0o700)).unwrap();
    if is_read {
        println!("not tested: this user reads everything");
        return;
    }
    let told = String::from_utf8(list.stderr).unwrap();
    assert!(list.status.code() == Some(1) && told.contains("Permission denied"), "{told}");
}

/// What the operator's cache keeps: one package is in use, and of the others one.
#[test]
fn a_cache_with_a_limit_keeps_what_is_in_use_and_the_last_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _, stream| {
        reply(stream, "200 OK", &[], &release(request.path.trim_start_matches('/').trim_end_matches(".tgz")))
    });
    let (cache_dir, policy) = (dir.path().join("cache"), Policy::unrestricted());
    let source = Source::new(Settings { cache_dir, policy, most_cached: Some(2), ..Settings::default() });
    let fetch = |version: &str| {
        let location: Location = server.url(&format!("/{version}.tgz")).parse().unwrap();
        let silent: Arc<dyn Progress> = Arc::new(Silent);
        source.fetch_blocking(&location, Refresh::IfAbsent, &Credentials::default(), &silent).unwrap()
    };
    let in_use = fetch("1.20.0");
    for version in ["1.21.0", "1.22.0", "1.23.0"] {
        drop(fetch(version));
    }
    let versions = || {
        let packages = source.cache().list().unwrap().packages;
        packages.into_iter().filter_map(|package| package.record.version).collect::<BTreeSet<_>>()
    };
    assert_eq!(versions(), ["1.20.0", "1.23.0"].map(str::to_owned).into());
    assert!(in_use.directory.join("profiles/default.yaml").exists());
    let asked = server.requests().len();
    drop((fetch("1.23.0"), in_use));
    assert_eq!(server.requests().len(), asked);
    drop(fetch("1.21.0"));
    assert_eq!(server.requests().len(), asked + 1, "what has gone is fetched again");
    assert_eq!(versions(), ["1.21.0", "1.23.0"].map(str::to_owned).into());
}
