//! What the operator may fetch and read because of a resource.

use super::library::Library;
use super::package::release;
use super::server::Server;
use istio_operator::source::Policy;
use std::fs;
use std::path::Path;

fn package(folder: &Path) {
    for (path, text) in
        [("profiles/default.yaml", "spec:\n  tag: 1.30.3\n"), ("charts/base/Chart.yaml", "name: base\n")]
    {
        let file = folder.join("manifests").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

#[test]
fn only_directories_below_a_folder_for_packages_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (packages, secret) = (dir.path().join("packages"), dir.path().join("secret"));
    package(&packages.join("1.30.3"));
    package(&secret);
    std::os::unix::fs::symlink(&secret, packages.join("link")).unwrap();
    fs::write(secret.join("a.tgz"), release("1.30.3")).unwrap();
    let mut library = Library::new(&dir.path().join("cache"));
    let location = |path: &Path| path.to_str().unwrap().to_owned();
    // Fetched by somebody who may.
    library.fetch(&location(&packages.join("link/a.tgz"))).unwrap();
    library.settings.policy = Policy { package_dirs: vec![packages.clone()], ..Policy::default() };
    for good in ["1.30.3", "1.30.3/manifests"] {
        let fetched = library.fetch(&location(&packages.join(good))).unwrap();
        assert_eq!(fetched.directory, packages.join("1.30.3/manifests"));
        assert_eq!((fetched.version.as_deref(), fetched.digest), (Some("1.30.3"), None));
    }
    for (bad, words) in [
        (secret.clone(), "is not below a folder for packages; to allow it, start the operator with --package-dir"),
        (packages.join("../secret"), "must be an absolute path without .."),
        (packages.join("link"), "is a link that leads out of the folders given with --package-dir"),
        (packages.join("link/a.tgz"), "is a link that leads out"),
        (secret.join("a.tgz"), "is not below a folder for packages"),
        ("1.30.3".into(), "must be an absolute path"),
    ] {
        assert_eq!(library.fails(&location(&bad), words), ("ReleaseRefused", false));
        let cached = library.source().cached(&location(&bad).parse().unwrap());
        assert!(cached.unwrap_err().to_string().contains(words), "the cache makes no difference");
    }
}

#[test]
fn what_the_cache_has_is_not_given_to_whom_nobody_allows_it() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::with(release("1.30.3")));
    let location = server.url("/istio/a.tgz");
    Library::new(dir.path()).fetch(&location).unwrap();
    let library = Library::new(dir.path()).allowed(&[&server.url("/other")]);
    library.fails(&location, "is not allowed; to allow it, start the operator with --allow-package");
    let cached = |library: &Library| library.source().cached(&location.parse().unwrap());
    assert!(cached(&library).is_err());
    let library = library.allowed(&[&server.url("/istio")]);
    assert_eq!(cached(&library).unwrap().unwrap().version.as_deref(), Some("1.30.3"));
    assert_eq!(server.requests().len(), 1);
    assert!(library.source().cached(&server.url("/istio/b.tgz").parse().unwrap()).unwrap().is_none());
}
