//! The archive: files of text, without secrets, none too large; and lists of what is redacted and of what is missing.

use super::redact::Redacted;
use flate2::Compression;
use flate2::write::GzEncoder;
use helm_template::yaml;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

/// What is being written.
pub(super) struct Archive {
    tar: tar::Builder<GzEncoder<File>>,
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
    /// Begins a new file that nobody else may read, of so many bytes of text at most; `time` is in seconds.
    ///
    /// # Errors
    /// It is there already, or cannot be written.
    pub(super) fn begin(path: &Path, most: u64, time: u64) -> io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let tar = tar::Builder::new(GzEncoder::new(options.open(path)?, Compression::default()));
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
    pub(super) fn end(mut self) -> io::Result<Summary> {
        let listed =
            |lines: &[String], none: &str| if lines.is_empty() { format!("{none}\n") } else { lines.join("\n") + "\n" };
        let problems = listed(&self.problems, "nothing is missing");
        let redacted = listed(&self.redacted.0, "nothing was redacted");
        self.append("missing.txt", &problems)?;
        self.append("redacted.txt", &redacted)?;
        self.tar.into_inner()?.finish()?.sync_all()?;
        Ok(Summary { files: self.names.len(), redacted: self.redacted.0.len(), problems: self.problems })
    }
}
