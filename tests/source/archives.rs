//! Archives that somebody has made to do harm: each ends in an error, little memory, and nothing on disk.

use super::home::Home;
use super::package::{gzip, header, hex, link, plain, release, tar, with_more};
use super::server::{Server, head};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use tar::EntryType;

/// In MiB.
const MOST_MEMORY: f64 = 64.0;
const BOMB: u64 = 10 << 30;

/// Fetches an archive, which is refused with these words and leaves nothing.
#[track_caller]
fn refused(archive: Vec<u8>, words: &str) {
    let (home, server) = (Home::new(), Server::with(archive));
    let ended = home.fetch(&server.url("/a.tar.gz"));
    ended.failed_with(words);
    assert!(ended.stderr.contains(&server.url("/a.tar.gz")), "{}", ended.stderr);
    assert_eq!(home.packages(), <[String; 0]>::default());
    assert_eq!(server.requests().len(), 1, "what is dangerous is not fetched again");
}

#[test]
fn paths_that_lead_out_of_the_archive_end_in_an_error() {
    for (path, words) in [
        ("istio-1.30.3/manifests/profiles/../../../../../../work/x", "which leads out of the archive"),
        ("../../work/profiles/x", "which leads out of the archive"),
        ("/tmp/profiles/x", "which is absolute"),
    ] {
        let entry = header(EntryType::Regular, path, 4);
        let archive = gzip(&with_more("1.30.3", &[(entry, &b"evil"[..])]));
        refused(archive, &format!("the archive has an entry with the path {path:?}, {words}"));
    }
}

#[test]
fn links_in_an_archive_are_neither_made_nor_followed() {
    let path = "istio-1.30.3/manifests/charts/base";
    for (kind, words) in [(EntryType::Symlink, "a symbolic link"), (EntryType::Link, "a hard link")] {
        for target in ["/etc", "../../../../../work", "profiles"] {
            let archive = gzip(&with_more("1.30.3", &[(link(kind, path, target), &[])]));
            refused(
                archive,
                &format!("the archive has {path:?} as {words}; profiles and charts must be files and folders"),
            );
        }
    }
    // Elsewhere in the archive they are of no consequence.
    let (home, other) = (Home::new(), link(EntryType::Symlink, "istio-1.30.3/samples/x", "/etc/passwd"));
    let server = Server::with(gzip(&with_more("1.30.3", &[(other, &[])])));
    home.fetch(&server.url("/a.tgz")).succeeded();
}

/// Fetches what a server writes without end, which is refused with these words.
#[track_caller]
fn too_long(write: impl Fn(&mut dyn Write) -> io::Result<()> + Send + Sync + 'static, words: &str) {
    let server = Server::start(move |_, _, stream| {
        head(stream, "200 OK", &[("Content-Type", "application/gzip")])?;
        write(stream)
    });
    let home = Home::new();
    let ended = home.fetch(&server.url("/bomb.tar.gz"));
    ended.failed_with(words);
    assert!(ended.peak > 1.0 && ended.peak < MOST_MEMORY, "{} MiB", ended.peak);
    println!("{words}: {:.1} MiB", ended.peak);
    assert_eq!(home.packages(), <[String; 0]>::default());
}

/// Writes this many zeros.
fn zeros(out: &mut impl Write, count: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    (0..count >> 20).try_for_each(|_| out.write_all(&zeros))
}

#[test]
fn a_bomb_of_zeros_ends_early_with_little_memory() {
    let write = |out: &mut dyn Write| zeros(&mut GzEncoder::new(out, Compression::fast()), BOMB);
    too_long(write, "the archive has more than 1073741824 bytes when decompressed");
}

#[test]
fn a_file_of_ten_gigabytes_is_refused_by_its_header() {
    for path in ["istio-1.30.3/manifests/profiles/default.yaml", "istio-1.30.3/bin/istioctl"] {
        let write = move |out: &mut dyn Write| {
            let mut encoder = GzEncoder::new(out, Compression::fast());
            encoder.write_all(header(EntryType::Regular, path, BOMB).as_bytes())?;
            zeros(&mut encoder, BOMB)
        };
        too_long(write, "the archive has more than 1073741824 bytes when decompressed");
    }
}

#[test]
fn files_without_end_are_refused_by_their_number() {
    let endless = |path: fn(u32) -> String| {
        move |out: &mut dyn Write| {
            let mut encoder = GzEncoder::new(out, Compression::fast());
            (0..10_000_000_u32)
                .try_for_each(|number| encoder.write_all(header(EntryType::Regular, &path(number), 0).as_bytes()))
        }
    };
    too_long(
        endless(|n| format!("a/manifests/charts/{n}/x")),
        "the archive has more than 5000 files in profiles/ and charts/",
    );
    too_long(endless(|n| format!("a/samples/{n}/x")), "the archive has more than 200000 entries");
}

#[test]
fn a_name_without_end_is_refused_by_its_length() {
    let write = |out: &mut dyn Write| {
        let mut encoder = GzEncoder::new(out, Compression::fast());
        encoder.write_all(header(EntryType::GNULongName, "././@LongLink", 512 << 20).as_bytes())?;
        zeros(&mut encoder, BOMB)
    };
    too_long(write, "the archive has more than 1025 bytes in a path");
}

#[test]
fn what_is_no_release_says_what_it_is() {
    refused(b"<!DOCTYPE html>\n<html>".to_vec(), "neither a gzip nor a tar archive, but a web page; check the address");
    refused(vec![], "neither a gzip nor a tar archive, but empty");
    let other = tar(&[(header(EntryType::Regular, "istioctl", 1), &b"x"[..])]);
    refused(gzip(&other), "the archive has no profiles/ in manifests/, so it is not a release of Istio");
    let archive = release("1.30.3");
    refused(archive[..archive.len() - 12].to_vec(), "the archive ends too early");
}

#[test]
fn an_archive_of_the_disk_is_held_to_the_same_rules() {
    let (home, dir) = (Home::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("good.tgz"), release("1.30.3")).unwrap();
    std::fs::write(path("plain.tar.gz"), plain("1.30.2")).unwrap();
    let evil = header(EntryType::Regular, "../../work/profiles/x", 4);
    std::fs::write(path("evil.tgz"), gzip(&with_more("1.30.3", &[(evil, &b"evil"[..])]))).unwrap();
    let first = home.fetch(&path("good.tgz"));
    assert_eq!((first.said("version"), first.said("from"), first.said("files")), ("1.30.3", "the location", "3"));
    assert_eq!(home.fetch(&path("good.tgz")).said("from"), "the cache");
    std::fs::write(path("good.tgz"), release("1.30.4")).unwrap();
    assert_eq!(home.fetch(&path("good.tgz")).said("version"), "1.30.4");
    assert_eq!(home.fetch(&path("plain.tar.gz")).said("version"), "1.30.2");
    home.fetch(&path("evil.tgz")).failed_with("which leads out of the archive");
    home.fetch(&path("gone.tgz")).failed_with("gone.tgz: No such file or directory");
    let pinned = format!("{}#sha256={}", path("good.tgz"), hex(&release("1.30.4")));
    home.fetch(&pinned).succeeded();
    let wrong = format!("{}#sha256={}", path("good.tgz"), "0".repeat(64));
    home.fetch(&wrong).failed_with("check who changed it, then change the pin");
}

#[test]
fn a_named_pipe_is_neither_an_archive_nor_part_of_a_package() {
    let (home, dir) = (Home::new(), tempfile::tempdir().unwrap());
    let pipe = |path: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path.to_str().unwrap().to_owned()
    };
    home.fetch(&pipe("a.tgz")).failed_with("a.tgz: it is not a file");
    pipe("package/profiles/default.yaml");
    std::fs::create_dir(dir.path().join("package/charts")).unwrap();
    let ended = home.fetch(dir.path().join("package").to_str().unwrap());
    ended.failed_with("profiles/default.yaml is neither a file nor a folder");
}
