use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::EntryType;

/// An entry of an archive, with a path that no honest tool writes.
struct Raw<'a>(EntryType, &'a str, &'a [u8]);

fn file<'a>(path: &'a str, text: &'a str) -> Raw<'a> {
    Raw(EntryType::Regular, path, text.as_bytes())
}

fn archive(entries: &[Raw]) -> Vec<u8> {
    let mut builder = tar::Builder::new(vec![]);
    for Raw(kind, path, data) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a package has at least.
fn package() -> Vec<Raw<'static>> {
    vec![
        file("istio-1.30.3/manifests/profiles/default.yaml", "spec: {}\n"),
        file("istio-1.30.3/manifests/charts/base/Chart.yaml", "name: base\n"),
    ]
}

/// Unpacks layers below a folder; gives the paths of the files, or what is wrong.
fn unpack(layers: &[Vec<u8>], limits: Limits) -> Result<Vec<String>, ArchiveError> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/b/folder");
    fs::create_dir_all(&folder).unwrap();
    let mut unpacker = Unpacker::new(folder.clone(), limits);
    let mut unpack = || {
        for layer in layers {
            unpacker.layer(layer.as_slice(), &Fault::default())?;
        }
        Ok(())
    };
    let result = unpack();
    let outside = [dir.path().to_owned(), dir.path().join("a"), dir.path().join("a/b")];
    for above in outside {
        assert_eq!(fs::read_dir(&above).unwrap().count(), 1, "something was written to {}", above.display());
    }
    result?;
    let files = unpacker.finish()?;
    for (path, written) in &files {
        let text = fs::read(folder.join(path)).unwrap();
        assert_eq!((text.len() as u64, Digest::of(&text)), (written.size, written.sha256), "{path}");
    }
    Ok(files.into_keys().collect())
}

fn one(entries: &[Raw]) -> Result<Vec<String>, ArchiveError> {
    unpack(&[zipped(&archive(entries))], Limits::default())
}

/// What is wrong with a package that has one entry more.
fn problem(more: Raw) -> String {
    let mut entries = package();
    entries.insert(1, more);
    one(&entries).unwrap_err().to_string()
}

const KEPT: [&str; 2] = ["charts/base/Chart.yaml", "profiles/default.yaml"];

#[test]
fn only_profiles_and_charts_are_kept() {
    let mut entries = package();
    entries.insert(0, Raw(EntryType::XGlobalHeader, "pax_global_header", b"20 comment=01234567\n"));
    entries.insert(1, Raw(EntryType::Directory, "istio-1.30.3/manifests/profiles/", b""));
    entries.push(file("istio-1.30.3/bin/istioctl", "program"));
    entries.push(file("istio-1.30.3/samples/charts/a.yaml", "a: b"));
    // Of no consequence, since nobody writes it.
    entries.push(Raw(EntryType::Symlink, "istio-1.30.3/samples/link", b""));
    assert_eq!(one(&entries).unwrap(), KEPT);
    assert_eq!(unpack(&[archive(&entries)], Limits::default()).unwrap(), KEPT);
}

#[test]
fn what_leads_out_of_the_folder_is_refused() {
    for (path, word) in [
        ("../profiles/a.yaml", "leads out of the archive"),
        ("istio-1.30.3/manifests/profiles/../../../../x", "leads out of the archive"),
        ("..", "leads out of the archive"),
        ("/etc/cron.d/x", "is absolute"),
        ("//profiles/x", "is absolute"),
        ("a/profiles\\..\\x", "has a backslash"),
    ] {
        let found = problem(file(path, "text"));
        assert!(found.contains(word) && found.contains("has an entry with the path"), "{path}: {found}");
    }
}

#[test]
fn links_and_devices_among_profiles_and_charts_are_refused() {
    for (kind, word) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a named pipe"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::new(b'Z'), "of an unknown kind"),
    ] {
        for path in ["istio-1.30.3/manifests/profiles/a.yaml", "istio-1.30.3/manifests/charts"] {
            let found = problem(Raw(kind, path, b""));
            assert!(found.contains(word) && found.contains(path), "{found}");
        }
    }
}

#[test]
fn nothing_is_written_that_is_more_than_the_limits_allow() {
    let default = Limits::default;
    for (word, limits) in [
        ("more than 1 files", Limits { files: 1, ..default() }),
        ("more than 1 entries", Limits { entries: 1, ..default() }),
        ("more than 10 bytes in a file", Limits { file_bytes: 10, ..default() }),
        ("more than 15 bytes in profiles/ and charts/", Limits { kept_bytes: 15, ..default() }),
        ("more than 2 folders in one another", Limits { depth: 2, ..default() }),
        ("more than 44 bytes in a path", Limits { path_bytes: 44, ..default() }),
    ] {
        let found = unpack(&[zipped(&archive(&package()))], limits).unwrap_err().to_string();
        assert!(found.contains(word), "{found}");
    }
}

#[test]
fn what_is_thrown_away_counts_as_well() {
    let limits = || Limits { stream_bytes: 100 << 10, ..Limits::default() };
    let zeros = "\0".repeat(200 << 10);
    let mut large = package();
    large.push(file("istio-1.30.3/bin/istioctl", &zeros));
    let behind = [archive(&package()), zeros.clone().into_bytes()].concat();
    for layer in [archive(&large), behind, zeros.into_bytes()] {
        let found = unpack(&[zipped(&layer)], limits()).unwrap_err().to_string();
        assert_eq!(found, "the archive has more than 102400 bytes when decompressed");
    }
    let half = zipped(&["\0".repeat(60 << 10).into_bytes()].concat());
    assert!(unpack(&[half.clone(), half], limits()).unwrap_err().to_string().contains("when decompressed"));
}

#[test]
fn a_file_that_is_there_twice_is_refused() {
    for second in ["istio-1.30.3/manifests/profiles/default.yaml", "istio-1.30.3/./manifests//profiles/default.yaml"] {
        assert!(problem(file(second, "x")).contains("twice"), "{second}");
    }
    let below = problem(file("istio-1.30.3/manifests/profiles/default.yaml/a", "x"));
    assert!(below.contains("both as file and as folder"), "{below}");
    let other = problem(file("istio-1.29.0/manifests/profiles/default.yaml", "x"));
    assert!(other.contains("two release packages") && other.contains("istio-1.29.0/manifests"), "{other}");
}

#[test]
fn what_has_no_package_says_what_it_lacks() {
    let [profile, chart] = &package()[..] else { panic!() };
    let lacks = |entry: &Raw| one(&[Raw(entry.0, entry.1, entry.2)]).unwrap_err().to_string();
    assert!(lacks(profile).contains("no charts/ in manifests/"));
    assert!(lacks(chart).contains("no profiles/ in manifests/"));
    assert!(lacks(&file("istioctl", "program")).contains("so it is not a release of Istio"));
}

#[test]
fn what_is_no_archive_says_what_it_is() {
    for (bytes, word) in [
        (&b""[..], "but empty"),
        (b"  <!DOCTYPE html><html>", "a web page; check the address"),
        (b"PK\x03\x04", "take the .tar.gz of the release"),
        (&[0x28, 0xb5, 0x2f, 0xfd, 0], "zstd, which is not supported"),
        (b"BZh9", "bzip2"),
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
        (b"text", "something else"),
    ] {
        let found = unpack(&[bytes.to_vec()], Limits::default()).unwrap_err().to_string();
        assert!(found.contains("neither a gzip nor a tar archive") && found.contains(word), "{found}");
    }
}

#[test]
fn an_archive_that_is_cut_off_or_changed_is_refused() {
    let whole = zipped(&archive(&package()));
    for cut in [1, 8, 20, whole.len() / 2, whole.len() - 15] {
        let found = unpack(&[whole[..whole.len() - cut].to_vec()], Limits::default()).unwrap_err();
        assert!(matches!(found, ArchiveError::Truncated), "{cut}: {found}");
    }
    let plain = archive(&package());
    let found = unpack(&[plain[..600].to_vec()], Limits::default()).unwrap_err();
    assert!(matches!(found, ArchiveError::Truncated | ArchiveError::Broken(_)), "{found}");
    let mut changed = whole;
    let at = changed.len() - 6;
    changed[at] ^= 1;
    let found = unpack(&[changed], Limits::default()).unwrap_err();
    assert!(matches!(found, ArchiveError::Broken(_)), "{found}");
    let mut header = archive(&package());
    header[3] ^= 1;
    let found = unpack(&[header], Limits::default()).unwrap_err();
    assert!(matches!(found, ArchiveError::Broken(_)), "{found}");
}

#[test]
fn long_names_are_read_within_their_limit() {
    let below = format!("istio-1.30.3/manifests/charts/base/{}/a.yaml", "folder/".repeat(14));
    let name = format!("{below}\0");
    let record = format!(" path={below}\n");
    let length = record.len() + 3;
    let pax = format!("{length}{record}");
    for (kind, text) in [(EntryType::GNULongName, &name), (EntryType::XHeader, &pax)] {
        let mut entries = package();
        entries.push(Raw(kind, "long", text.as_bytes()));
        entries.push(file("short", "text"));
        let found = one(&entries).unwrap();
        assert!(found.iter().any(|path| path.ends_with("folder/a.yaml")), "{found:?}");
    }
    let long = "a".repeat(100 << 10);
    for (kind, word) in
        [(EntryType::GNULongName, "1025 bytes in a path"), (EntryType::XHeader, "65536 bytes in a pax header")]
    {
        assert!(problem(Raw(kind, "long", long.as_bytes())).contains(word));
    }
}

#[test]
fn a_later_layer_replaces_files_of_an_earlier_one() {
    let layers = [archive(&package()), archive(&package()), archive(&[file("etc/passwd", "x")])];
    assert_eq!(unpack(&layers.map(|layer| zipped(&layer)), Limits::default()).unwrap(), KEPT);
}

#[test]
fn what_a_later_layer_removes_is_gone() {
    const CHARTS: &str = "istio-1.30.3/manifests/charts";
    let (old, deep) = (format!("{CHARTS}/base/old.yaml"), format!("{CHARTS}/gone/templates/a.yaml"));
    let mut first = package();
    first.extend([file(&old, "x"), file(&deep, "x")]);
    let first = archive(&first);
    let second = |path: &str| unpack(&[first.clone(), archive(&[file(path, "")])], Limits::default());
    let gone = |path: &str| second(&format!("{CHARTS}/{path}")).unwrap();
    assert_eq!(gone("base/.wh.old.yaml"), ["charts/base/Chart.yaml", "charts/gone/templates/a.yaml", KEPT[1]]);
    assert_eq!(gone(".wh.gone"), ["charts/base/Chart.yaml", "charts/base/old.yaml", KEPT[1]]);
    assert_eq!(gone("base/.wh..wh..opq"), ["charts/gone/templates/a.yaml", KEPT[1]]);
    assert_eq!(gone(".wh.bas").len(), 4, "a name that only begins alike is another");
    for above in ["istio-1.30.3/.wh.manifests", ".wh.istio-1.30.3", ".wh..wh..opq"] {
        assert!(second(above).unwrap_err().to_string().contains("no profiles/"), "{above}");
    }
    // Another place, and a file where a folder was: both only after the removal.
    let moved = archive(&[file("new/manifests/profiles/default.yaml", "x"), file("new/manifests/charts/base", "x")]);
    let removal = archive(&[file(".wh.istio-1.30.3", "")]);
    let found = unpack(&[first.clone(), removal, moved.clone()], Limits::default()).unwrap();
    assert_eq!(found, ["charts/base", KEPT[1]]);
    assert!(unpack(&[first, moved], Limits::default()).unwrap_err().to_string().contains("two release packages"));
}

/// A path made of what has a meaning somewhere.
fn any_path() -> impl Strategy<Value = String> {
    const PARTS: [&str; 12] =
        ["profiles", "charts", "manifests", "..", ".", "", "a", "b.yaml", ".wh.a", ".wh.charts", ".wh..wh..opq", "\\"];
    prop::collection::vec(prop::sample::select(&PARTS[..]), 0..6).prop_map(|parts| parts.join("/"))
}

fn any_archive() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(&b"0\x0012345670LKxgSZ"[..]);
    let data = prop::sample::select(vec![&b""[..], b"text", b"18 path=charts/ab\n", b"11 size=12\n", b"../../x\0"]);
    let entries = prop::collection::vec((kind, any_path(), data), 0..8);
    entries.prop_map(|entries| {
        let raw = |(kind, path, data): &(u8, String, &'static [u8])| (EntryType::new(*kind), path.clone(), *data);
        let all: Vec<_> = entries.iter().map(raw).collect();
        archive(&all.iter().map(|(kind, path, data)| Raw(*kind, path, data)).collect::<Vec<_>>())
    })
}

proptest! {
    #[test]
    fn whatever_archives_have_nothing_is_written_elsewhere(layers in prop::collection::vec(any_archive(), 1..4)) {
        if let Ok(files) = unpack(&layers, Limits::default()) {
            prop_assert!(files.iter().all(|path| path.starts_with("profiles/") || path.starts_with("charts/")), "{files:?}");
        }
    }

    #[test]
    fn a_damaged_archive_is_an_error_or_a_package(at in 0_usize..4096, byte: u8, is_zipped: bool) {
        let mut bytes = archive(&package());
        if is_zipped {
            bytes = zipped(&bytes);
        }
        let at = at % bytes.len();
        bytes[at] ^= byte;
        drop(unpack(&[bytes], Limits::default()));
    }
}
