//! Archives: a small release package of our own, and what else somebody may send instead.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use tar::{EntryType, Header};

/// The digits of the digest of something.
pub fn hex(bytes: &[u8]) -> String {
    istio_operator::source::digest::Digest::of(bytes).hex()
}

/// A header as it is asked for, though no honest tool would write it.
pub fn header(kind: EntryType, path: &str, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// A link, with where it leads.
pub fn link(kind: EntryType, path: &str, target: &str) -> Header {
    let mut header = header(kind, path, 0);
    header.set_link_name_literal(target).unwrap();
    header.set_cksum();
    header
}

/// A tar archive of entries.
pub fn tar(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(vec![]);
    for (header, data) in entries {
        builder.append(header, *data).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The files of a release.
pub fn entries(version: &str) -> Vec<(Header, Vec<u8>)> {
    let file = |path: &str, text: String| {
        let path = format!("istio-{version}/{path}");
        (header(EntryType::Regular, &path, text.len() as u64), text.into_bytes())
    };
    vec![
        file("bin/istioctl", "a program".to_owned()),
        file("manifests/profiles/default.yaml", format!("spec:\n  tag: {version}\n")),
        file("manifests/charts/base/Chart.yaml", "name: base\n".to_owned()),
        file("manifests/charts/base/templates/a.yaml", "a: b\n".to_owned()),
    ]
}

/// A release as upstream packs it.
pub fn release(version: &str) -> Vec<u8> {
    gzip(&plain(version))
}

/// The same, not compressed.
pub fn plain(version: &str) -> Vec<u8> {
    with_more(version, &[])
}

/// A release with other entries before its own.
pub fn with_more(version: &str, more: &[(Header, &[u8])]) -> Vec<u8> {
    let own = entries(version);
    let own = own.iter().map(|(header, data)| (header.clone(), data.as_slice()));
    tar(&more.iter().cloned().chain(own).collect::<Vec<_>>())
}
