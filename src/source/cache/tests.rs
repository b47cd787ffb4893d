use super::super::index::{Validators, all_known, known, note};
use super::*;
use std::time::Duration;

fn digest() -> Digest {
    Digest::of(b"an archive")
}

/// Unpacks a package as a fetch does.
fn staged(cache: &Cache, text: &str) -> (Staging, Record) {
    let staging = cache.stage().unwrap();
    let mut files = BTreeMap::new();
    for path in ["profiles/default.yaml", "charts/base/Chart.yaml"] {
        let file = staging.folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        files.insert(path.to_owned(), Written { size: text.len() as u64, sha256: Digest::of(text.as_bytes()) });
    }
    let location = "https://x.example/a.tgz".to_owned();
    let record = Record::new(digest(), PackageKind::Archive, Some("1.30.3".to_owned()), location, files);
    (staging, record)
}

fn kept(cache: &Cache) -> CachedPackage {
    let (staging, record) = staged(cache, "text");
    cache.keep(&staging, &record).unwrap().unwrap()
}

fn cache() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path().join("cache"));
    (dir, cache)
}

fn in_packages(cache: &Cache) -> Vec<String> {
    names(&cache.packages()).unwrap().into_iter().filter(|name| name != ".lock").collect()
}

#[test]
fn a_package_that_is_kept_is_found_by_its_digest() {
    let (_dir, cache) = cache();
    assert!(cache.open(&digest()).unwrap().is_none());
    assert!(cache.list().unwrap().packages.is_empty());
    let package = kept(&cache);
    assert_eq!(fs::read_to_string(package.directory.join("profiles/default.yaml")).unwrap(), "text");
    let again = cache.open(&digest()).unwrap().unwrap();
    assert_eq!((again.record.version.as_deref(), again.record.bytes()), (Some("1.30.3"), 8));
    assert_eq!(cache.list().unwrap().packages.len(), 1);
    assert!(cache.open(&Digest::of(b"another")).unwrap().is_none());
    assert_eq!(in_packages(&cache), [format!("sha256-{}", digest().hex())], "nothing else is left");
}

#[test]
fn a_package_that_was_changed_is_not_used_and_is_replaced() {
    let changes: [fn(&Path); 7] = [
        |folder| fs::write(folder.join("profiles/default.yaml"), "tex!").unwrap(),
        |folder| fs::write(folder.join("profiles/default.yaml"), "longer").unwrap(),
        |folder| fs::write(folder.join("charts/base/more.yaml"), "x").unwrap(),
        |folder| fs::remove_file(folder.join("charts/base/Chart.yaml")).unwrap(),
        |folder| {
            fs::remove_file(folder.join("charts/base/Chart.yaml")).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", folder.join("charts/base/Chart.yaml")).unwrap();
        },
        |folder| fs::write(folder.join(RECORD), "{}").unwrap(),
        |folder| {
            let record = fs::read_to_string(folder.join(RECORD)).unwrap();
            fs::write(folder.join(RECORD), record.replace("\"format\": 1", "\"format\": 2")).unwrap();
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (_dir, cache) = cache();
        let folder = kept(&cache).directory;
        change(&folder);
        assert!(cache.open(&digest()).unwrap().is_none(), "change {number}");
        assert!(cache.list().unwrap().packages.is_empty());
        drop(kept(&cache));
        assert!(cache.open(&digest()).unwrap().is_some(), "change {number}");
        assert_eq!(in_packages(&cache).len(), 1);
    }
}

#[test]
fn what_a_killed_process_has_left_goes_and_what_a_live_one_has_stays() {
    let (_dir, cache) = cache();
    let (alive, record) = staged(&cache, "text");
    // As the kernel leaves it: the folder and the file are there, the lock is not.
    for left in ["new-0123", "old-0123"] {
        fs::create_dir_all(cache.packages().join(left).join("profiles")).unwrap();
    }
    fs::write(cache.packages().join("new-0123.lock"), "").unwrap();
    fs::write(cache.packages().join("new-4567.lock"), "").unwrap();
    let other = cache.stage().unwrap();
    let name = |staging: &Staging| staging.folder.file_name().unwrap().to_string_lossy().into_owned();
    let mut expected = vec![name(&alive), name(&other)];
    expected.extend([format!("{}.lock", name(&alive)), format!("{}.lock", name(&other))]);
    expected.sort();
    assert_eq!(in_packages(&cache), expected);
    drop(other);
    assert!(cache.keep(&alive, &record).unwrap().is_some());
    drop(alive);
    assert_eq!(in_packages(&cache).len(), 1);
}

#[test]
fn many_that_keep_the_same_package_at_once_all_get_it() {
    let (_dir, cache) = cache();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            // Another cache object for each, as another process has.
            let cache = Cache::new(cache.root.clone());
            scope.spawn(move || {
                let package = kept(&cache);
                assert!(package.directory.join("profiles/default.yaml").is_file());
            });
        }
    });
    assert_eq!(in_packages(&cache).len(), 1);
}

#[test]
fn the_last_use_of_a_package_is_noted() {
    let (_dir, cache) = cache();
    let folder = kept(&cache).directory;
    let old = SystemTime::now() - Duration::from_hours(1);
    OpenOptions::new().append(true).open(folder.join(RECORD)).unwrap().set_modified(old).unwrap();
    let used = |cache: &Cache| cache.open(&digest()).unwrap().unwrap().used.unwrap();
    assert!(used(&cache) <= old + Duration::from_secs(1));
    cache.note_use(&digest());
    assert!(used(&cache) > old + Duration::from_mins(30));
}

#[test]
fn a_location_is_known_without_its_secrets_being_written() {
    let (_dir, cache) = cache();
    drop(kept(&cache));
    let location = "https://user:word@x.example/a.tgz?token=secret".parse().unwrap();
    assert!(known(&cache, &location).is_none());
    let validators = Validators { etag: Some("\"1\"".to_owned()), ..Validators::default() };
    note(&cache, &location, digest(), validators.clone()).unwrap();
    let found = known(&cache, &location).unwrap();
    assert_eq!((found.digest, found.validators), (digest(), validators));
    assert!(known(&cache, &"https://x.example/a.tgz?token=secret".parse().unwrap()).is_none(), "another's");
    let folder = cache.root.join("locations");
    for name in names(&folder).unwrap() {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert!(!text.contains("word") && !text.contains("secret"), "{text}");
    }
    assert_eq!(all_known(&cache).unwrap().len(), 1);
}

#[test]
fn what_an_interrupted_write_has_left_of_a_location_is_not_known() {
    let (_dir, cache) = cache();
    drop(kept(&cache));
    let folder = cache.root.join("locations");
    let (first, second) = ("https://x.example/1".parse().unwrap(), "https://x.example/2".parse().unwrap());
    note(&cache, &first, digest(), Validators::default()).unwrap();
    fs::write(folder.join(".0123"), "{").unwrap();
    let file = names(&folder).unwrap().pop().unwrap();
    fs::write(folder.join(file), "{\"location\":").unwrap();
    assert!(known(&cache, &first).is_none() && all_known(&cache).unwrap().is_empty());
    note(&cache, &second, digest(), Validators::default()).unwrap();
    note(&cache, &first, digest(), Validators::default()).unwrap();
    assert_eq!(names(&folder).unwrap().len(), 2, "and nothing else is left");
    assert_eq!(all_known(&cache).unwrap().len(), 2);
}
