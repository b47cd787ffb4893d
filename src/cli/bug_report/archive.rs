//! The archive: files of text, without secrets, none too large; and lists of what is redacted and of what is missing.

use super::redact::Redacted;
use flate2::Compression;
use flate2::write::GzEncoder;
use helm_template::yaml;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where an archive goes.
pub(super) enum Target {
    /// Bytes on stdout, for whoever reads them there.
    Stdout,
    /// A file under another name beside its own, until it is whole: what was cut off is never taken for one.
    File { whole: PathBuf, partial: PathBuf },
}

impl Target {
    /// The target that `-o` names; `-` is stdout.
    ///
    /// # Errors
    /// There is such a file already.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        let target = Self::File { whole: path.to_owned(), partial: partial.into() };
        target.check().map(|()| target)
    }

    /// Nothing is written over.
    fn check(&self) -> io::Result<()> {
        match self {
            // A link that leads nowhere is there too.
            Self::File { whole, .. } if whole.symlink_metadata().is_ok() => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is such a file already; remove it, or name another one with -o",
            )),
            _ => Ok(()),
        }
    }

    /// Begins to write, so that nobody else may read it.
    fn open(&self) -> io::Result<Box<dyn Write>> {
        let Self::File { partial, .. } = self else { return Ok(Box::new(io::stdout())) };
        // Only one that was killed and had our number can have left it.
        let _ = fs::remove_file(partial);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(options.open(partial)?))
    }

    /// What was written is whole.
    fn keep(&self) -> io::Result<()> {
        let Self::File { whole, partial } = self else { return Ok(()) };
        self.check()?;
        File::open(partial)?.sync_all()?;
        fs::rename(partial, whole)
    }

    /// Half of it is of no use.
    pub(super) fn discard(&self) {
        if let Self::File { partial, .. } = self {
            let _ = fs::remove_file(partial);
        }
    }
}

/// What is being written.
pub(super) struct Archive {
    tar: tar::Builder<GzEncoder<Box<dyn Write>>>,
    redacted: Redacted,
    problems: Vec<String>,
    names: BTreeSet<String>,
    written: u64,
    most: u64,
    time: u64,
}

/// What came of it.
pub(super) struct Summary {
    /// How many files it has.
    pub files: usize,
    /// How many places were redacted.
    pub redacted: usize,
    /// What is missing, and why.
    pub problems: Vec<String>,
}

impl Archive {
    /// Begins an archive of so many bytes of text at most; `time` is in seconds.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn begin(target: &Target, most: u64, time: u64) -> io::Result<Self> {
        let tar = tar::Builder::new(GzEncoder::new(target.open()?, Compression::default()));
        let (redacted, problems, names) = (Redacted::default(), vec![], BTreeSet::new());
        Ok(Self { tar, redacted, problems, names, written: 0, most, time })
    }

    /// Notes what is missing.
    pub(super) fn miss(&mut self, what: &str, why: &dyn std::fmt::Display) {
        // The API server may quote what it was sent.
        let why = Redacted::default().text("", &why.to_string());
        self.problems.push(format!("{what}: {why}"));
    }

    /// Whether there is room for more.
    pub(super) fn is_full(&self) -> bool {
        self.written >= self.most
    }

    /// Adds an object.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn object(&mut self, name: &str, mut object: Value) -> io::Result<()> {
        let name = self.free(name);
        self.redacted.object(&name, &mut object);
        let text = yaml::to_string(&object).unwrap_or_else(|| object.to_string());
        self.write(&name, &text)
    }

    /// Adds a text.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        let name = self.free(name);
        let text = self.redacted.text(&name, text);
        self.write(&name, &text)
    }

    /// A name that no file has, and that leads nowhere else when it is unpacked.
    fn free(&mut self, name: &str) -> String {
        let fit = |c: char| if c.is_ascii_alphanumeric() || "/.-_".contains(c) { c } else { '_' };
        let clean: String = name.chars().map(fit).collect();
        let clean = clean.split('/').filter(|part| !["", ".", ".."].contains(part)).collect::<Vec<_>>().join("/");
        let mut free = clean.clone();
        let mut number = 2;
        while !self.names.insert(free.clone()) {
            free = format!("{clean}.{number}");
            number += 1;
        }
        free
    }

    fn write(&mut self, name: &str, text: &str) -> io::Result<()> {
        let room = usize::try_from(self.most.saturating_sub(self.written)).unwrap_or(usize::MAX);
        if text.len() > room {
            self.miss(name, &format!("it has {} bytes, and there was room for {room} (--max-size)", text.len()));
            return Ok(());
        }
        self.written += u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.append(name, text)
    }

    fn append(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len().try_into().map_err(io::Error::other)?);
        header.set_mode(0o600);
        header.set_mtime(self.time);
        self.tar.append_data(&mut header, format!("bug-report/{name}"), text.as_bytes())
    }

    /// Writes both lists, and ends.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn end(mut self, target: &Target) -> io::Result<Summary> {
        let listed =
            |lines: &[String], none: &str| if lines.is_empty() { format!("{none}\n") } else { lines.join("\n") + "\n" };
        let problems = listed(&self.problems, "nothing is missing");
        let redacted = listed(&self.redacted.0, "nothing was redacted");
        self.append("missing.txt", &problems)?;
        self.append("redacted.txt", &redacted)?;
        self.tar.into_inner()?.finish()?.flush()?;
        target.keep()?;
        Ok(Summary { files: self.names.len(), redacted: self.redacted.0.len(), problems: self.problems })
    }
}
