//! Streams: bytes from a channel or a file, hashed and counted on their way, never held whole.

use super::archive_error::ArchiveError;
use super::digest::Digest;
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;
use tokio::sync::mpsc::Receiver;

/// What a reader has to say of an error, which others that read through it know only as one of reading.
#[derive(Clone, Default)]
pub(super) struct Fault(Rc<RefCell<Option<ArchiveError>>>);

impl Fault {
    fn tell(&self, error: ArchiveError) -> io::Error {
        *self.0.borrow_mut() = Some(error);
        io::Error::other("see the fault")
    }

    /// What an error of reading means.
    pub(super) fn explain(&self, error: &io::Error) -> ArchiveError {
        let told = self.0.borrow_mut().take();
        told.unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Truncated,
            _ => ArchiveError::Broken(error.to_string()),
        })
    }
}

/// Reads no more than it may.
pub(super) struct Bounded<R> {
    inner: R,
    bytes: u64,
    limit: u64,
    fault: Fault,
    excess: Option<ArchiveError>,
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(inner: R, limit: u64, fault: Fault, excess: ArchiveError) -> Self {
        Self { inner, bytes: 0, limit, fault, excess: Some(excess) }
    }

    /// How much was read.
    pub(super) fn come(&self) -> u64 {
        self.bytes
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        match self.excess.take_if(|_| self.bytes > self.limit) {
            Some(excess) => Err(self.fault.tell(excess)),
            None => Ok(read),
        }
    }
}

/// Hashes what is read.
pub(super) struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), bytes: 0 }
    }

    /// The digest of all that was read, and how much it was.
    pub(super) fn finish(self) -> (Digest, u64) {
        (Digest::of_hasher(self.hasher), self.bytes)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

/// A piece of what comes over the network.
pub(super) enum Piece {
    Bytes(Bytes),
    /// All has come. A channel that closes without it was given up.
    End,
}

/// Reads what comes through a channel.
pub(super) struct Incoming {
    pieces: Receiver<Piece>,
    current: Bytes,
    has_ended: bool,
    fault: Fault,
}

impl Incoming {
    pub(super) fn new(pieces: Receiver<Piece>, fault: Fault) -> Self {
        Self { pieces, current: Bytes::new(), has_ended: false, fault }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.has_ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.current = bytes,
                Some(Piece::End) => self.has_ended = true,
                None => return Err(self.fault.tell(ArchiveError::GivenUp)),
            }
        }
        let size = buffer.len().min(self.current.len());
        let (piece, room) = (self.current.split_to(size), buffer.get_mut(..size));
        room.unwrap_or_default().copy_from_slice(&piece);
        Ok(size)
    }
}
