//! A folder beside the cache of packages with what large charts rendered to before.
//!
//! ```text
//! DIR/0123…   a line of JSON that names the files and their lengths, then their texts
//! ```
//!
//! Guarantees: what is damaged, cut short, made by another build of the program or cannot be read is as if it were not there; a
//! file is written as a whole or not at all; no more than [`MOST`] stay. Whoever may write the folder can forge a render, as with
//! the packages beside it.

use super::cache::{names, read_bounded, replace};
use super::digest::Digest;
use crate::release::renders::{Files, Renders};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// How many renders are kept: one for each release, namespace and set of values that somebody works with.
const MOST: usize = 32;
/// No chart renders to more.
const LONGEST: u64 = 64 << 20;

/// See the module.
pub struct RenderCache {
    directory: PathBuf,
    program: String,
}

/// The beginning of a file.
#[derive(Serialize, Deserialize)]
struct Index {
    /// What made it.
    program: String,
    /// Path and length of each file.
    files: Vec<(String, usize)>,
    /// Of all that follows.
    digest: Digest,
}

impl RenderCache {
    /// That of a folder, which need not be there, for this build of the program.
    #[must_use]
    pub fn new(directory: PathBuf, program: String) -> Self {
        Self { directory, program }
    }

    /// Removes the oldest of too many.
    fn forget_old(&self) {
        let modified = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut all: Vec<PathBuf> =
            names(&self.directory).unwrap_or_default().iter().map(|n| self.directory.join(n)).collect();
        all.sort_by_key(modified);
        let many = all.len().saturating_sub(MOST);
        all.into_iter().take(many).for_each(|path| drop(fs::remove_file(path)));
    }
}

impl Renders for RenderCache {
    fn find(&self, name: &str) -> Option<Files> {
        let text = String::from_utf8(read_bounded(&self.directory.join(name), LONGEST).ok()?).ok()?;
        let (index, mut rest) = text.split_once('\n')?;
        let Index { program, files, digest } = serde_json::from_str(index).ok()?;
        if program != self.program || Digest::of(rest.as_bytes()) != digest {
            return None;
        }
        let mut found = Files::new();
        for (path, length) in files {
            let (file, after) = rest.split_at_checked(length)?;
            found.insert(path, file.to_owned());
            rest = after;
        }
        rest.is_empty().then_some(found)
    }

    /// What cannot be kept costs time, and nothing else.
    fn keep(&self, name: &str, files: &Files) {
        let text: String = files.values().map(String::as_str).collect();
        let lengths = files.iter().map(|(path, text)| (path.clone(), text.len())).collect();
        let index = Index { program: self.program.clone(), files: lengths, digest: Digest::of(text.as_bytes()) };
        let Ok(index) = serde_json::to_string(&index) else { return };
        if replace(&self.directory.join(name), format!("{index}\n{text}").as_bytes()).is_ok() {
            self.forget_old();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("renders");
        let cache = RenderCache::new(place.clone(), "one".into());
        let files = Files::from([("a.yaml".into(), "a: ä\n".into()), ("b".into(), String::new())]);
        assert_eq!(cache.find("x"), None);
        cache.keep("x", &files);
        assert_eq!(cache.find("x"), Some(files.clone()));
        assert_eq!(RenderCache::new(place.clone(), "two".into()).find("x"), None, "of another build");
        let whole = fs::read(place.join("x")).unwrap();
        for damage in
            [whole[..whole.len() - 1].to_vec(), [&whole[..], b"!"].concat(), vec![], b"{}\n".to_vec(), vec![0xff]]
        {
            fs::write(place.join("x"), &damage).unwrap();
            assert_eq!(cache.find("x"), None, "{damage:?}");
        }
        for number in 0..MOST {
            cache.keep(&number.to_string(), &files);
        }
        assert_eq!((fs::read_dir(&place).unwrap().count(), cache.find("31")), (MOST, Some(files.clone())));
        // A folder that cannot be written is none.
        RenderCache::new(place.join("31"), String::new()).keep("x", &files);
    }
}
