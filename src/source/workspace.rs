//! A package on its way into the cache: layers from disk or network, unpacked on a thread, then put in its place.

use super::address::redact;
use super::archive::Unpacker;
use super::archive_error::ArchiveError;
use super::cache::{Cache, CachedPackage, PackageKind, Record, Staging, open_file};
use super::digest::Digest;
use super::directory;
use super::error::{Interruption, SourceError};
use super::limits::Limits;
use super::progress::Progress;
use super::stream::{Bounded, Fault, Hashing, Incoming, Piece};
use super::thread;
use super::web::Answer;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces between network and disk.
const PIECES: usize = 4;

/// Where an archive is unpacked. What is in it goes with it, unless it is kept.
pub(super) struct Workspace {
    // Before the folder that it writes to goes.
    unpacker: Unpacker,
    staging: Staging,
    archive_bytes: u64,
    limit: u64,
    // Until the folder is gone, or kept.
    _work: thread::Work,
}

/// How a layer that comes over the network is told of.
pub(super) struct Watch<'a> {
    /// How long to wait for the next piece.
    pub(super) patience: Duration,
    /// Who is told.
    pub(super) progress: &'a dyn Progress,
    /// Bytes of earlier layers.
    pub(super) before: u64,
    /// Bytes of all layers, if that is known.
    pub(super) total: Option<u64>,
}

impl Workspace {
    /// An empty one.
    pub(super) async fn open(
        cache: &Cache,
        limits: &Limits,
        unfinished: &thread::Unfinished,
    ) -> Result<Self, SourceError> {
        let (cache, limits, work) = (cache.clone(), limits.clone(), unfinished.begin());
        let root = cache.root().to_owned();
        let opened = thread::run("stage", move || {
            let staging = cache.stage()?;
            let limit = limits.archive_bytes;
            let unpacker = Unpacker::new(staging.folder.clone(), limits);
            Ok(Self { unpacker, staging, archive_bytes: 0, limit, _work: work })
        });
        opened.await.and_then(|opened| opened).map_err(|cause| SourceError::Cache { path: root, cause })
    }

    /// Refuses what is said to be too long before any of it is read.
    pub(super) fn admit(&self, bytes: Option<u64>) -> Result<(), ArchiveError> {
        let excess = bytes.is_some_and(|bytes| bytes > self.limit.saturating_sub(self.archive_bytes));
        if excess { Err(self.excess()) } else { Ok(()) }
    }

    fn excess(&self) -> ArchiveError {
        ArchiveError::TooMuch { what: "bytes", limit: self.limit }
    }

    /// Unpacks a layer; gives its digest.
    fn unpack(&mut self, from: impl Read, fault: &Fault) -> Result<Digest, ArchiveError> {
        let left = self.limit.saturating_sub(self.archive_bytes);
        let bounded = Bounded::new(from, left, fault.clone(), self.excess());
        let mut hashing = Hashing::new(bounded);
        self.unpacker.layer(&mut hashing, fault)?;
        let (digest, bytes) = hashing.finish();
        self.archive_bytes += bytes;
        Ok(digest)
    }

    /// Unpacks an archive of the disk.
    pub(super) async fn read(
        mut self,
        path: &Path,
        progress: Arc<dyn Progress>,
    ) -> Result<(Self, Digest), SourceError> {
        let file = path.to_owned();
        let read = thread::run("unpack", move || {
            let wrong = |cause| SourceError::File { path: file.clone(), cause };
            let opened = open_file(&file).map_err(wrong)?;
            let total = opened.metadata().map_err(wrong)?.len();
            let broken = |cause| SourceError::Archive { address: file.display().to_string(), cause };
            self.admit(Some(total)).map_err(broken)?;
            let watched = Watched { inner: opened, come: 0, total, progress };
            let digest = self.unpack(watched, &Fault::default()).map_err(broken)?;
            Ok((self, digest))
        });
        read.await.map_err(|cause| SourceError::File { path: path.to_owned(), cause })?
    }

    /// Unpacks what a server sends, as it comes.
    pub(super) async fn receive(mut self, mut answer: Answer, watch: Watch<'_>) -> Result<(Self, Digest), SourceError> {
        let address = redact(&answer.url);
        let broken = |cause| SourceError::Archive { address: address.clone(), cause };
        self.admit(answer.length()).map_err(broken)?;
        let (sender, receiver) = mpsc::channel(PIECES);
        let unpacking = thread::run("unpack", move || {
            let fault = Fault::default();
            let unpacked = self.unpack(Incoming::new(receiver, fault.clone()), &fault);
            (self, unpacked)
        });
        // Both at once; the thread ends when the sender is gone.
        let (sent, unpacked) = tokio::join!(pump(&mut answer, sender, &watch), unpacking);
        let (workspace, unpacked) = unpacked
            .map_err(|cause| broken(ArchiveError::Write { path: std::path::PathBuf::from("a thread"), cause }))?;
        let bytes = sent?;
        match unpacked {
            // Who did not say how long it is may have been cut off.
            Err(ArchiveError::Truncated) if answer.length().is_none() => {
                Err(SourceError::Interrupted { address, bytes, cause: Interruption::Truncated })
            }
            unpacked => Ok((workspace, unpacked.map_err(broken)?)),
        }
    }

    /// Puts what was unpacked in its place.
    pub(super) async fn keep(
        self,
        cache: &Cache,
        digest: Digest,
        kind: PackageKind,
        location: String,
    ) -> Result<CachedPackage, SourceError> {
        let cache = cache.clone();
        let (root, address) = (cache.root().to_owned(), location.clone());
        let kept = thread::run("keep", move || {
            let Self { unpacker, staging, .. } = self;
            let files = unpacker.finish().map_err(|cause| SourceError::Archive { address, cause })?;
            let version = directory::version(&staging.folder);
            let record = Record::new(digest, kind, version, location, files);
            let wrong = |cause| SourceError::Cache { path: cache.root().to_owned(), cause };
            let kept = cache.keep(&staging, &record).map_err(wrong)?;
            kept.ok_or_else(|| wrong(io::Error::other("what was written is not what is read")))
        });
        kept.await.map_err(|cause| SourceError::Cache { path: root, cause })?
    }
}

/// Sends on what comes, until it ends or nobody wants more; gives how much has come.
async fn pump(answer: &mut Answer, sender: mpsc::Sender<Piece>, watch: &Watch<'_>) -> Result<u64, SourceError> {
    let mut come = 0;
    watch.progress.bytes(watch.before, watch.total.or(answer.length()));
    while let Some(piece) = answer.next(watch.patience, come).await? {
        come += piece.len() as u64;
        watch.progress.bytes(watch.before + come, watch.total.or(answer.length()));
        if sender.send(Piece::Bytes(piece)).await.is_err() {
            return Ok(come);
        }
    }
    let _ = sender.send(Piece::End).await;
    Ok(come)
}

/// Tells how far the reading has come.
struct Watched<R> {
    inner: R,
    come: u64,
    total: u64,
    progress: Arc<dyn Progress>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.come += read as u64;
        self.progress.bytes(self.come, Some(self.total));
        Ok(read)
    }
}
