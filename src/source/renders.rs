//! A folder beside the cache of packages with what large charts rendered to before.
//!
//! ```text
//! DIR/0123…   a line of JSON that names the files and their lengths, then their texts
//! ```
//!
//! Guarantees: what is damaged, cut short, made by another build of the program or cannot be read is as if it were not there; a
//! file is written as a whole or not at all, and for its owner's eyes, since values may be secret; no more than [`MOST`] stay.
//! Whoever may write the folder can forge a render, as with the packages beside it.

use super::cache::{is_begun, names, open_file, replace_private};
use super::digest::Digest;
use crate::release::renders::{Files, Name, Renders};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

/// How many renders are kept: one for each release, namespace and set of values that somebody works with.
const MOST: usize = 32;
/// No chart renders to more.
const LONGEST: u64 = 64 << 20;
/// It names a few files.
const LONGEST_INDEX: u64 = 1 << 20;
/// What has been begun for longer is never ended.
const LONGEST_WRITE: Duration = Duration::from_hours(1);

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
    files: Vec<(String, u64)>,
    /// Of all that follows.
    digest: Digest,
}

impl RenderCache {
    /// That of a folder, which need not be there, for this build of the program.
    #[must_use]
    pub fn new(directory: PathBuf, program: String) -> Self {
        Self { directory, program }
    }

    fn place(&self, name: &Name) -> PathBuf {
        self.directory.join(Digest::from(*name).hex())
    }

    /// Removes the oldest of too many, and what a program that was ended had begun; never what has another kind of name.
    fn forget_old(&self) {
        let mut all = vec![];
        // A folder that cannot be read now is looked through at the next render.
        for name in names(&self.directory).unwrap_or_default() {
            let path = self.directory.join(&name);
            let Ok(time) = path.symlink_metadata().and_then(|told| told.modified()) else { continue };
            if Digest::from_hex(&name).is_ok() {
                all.push((time, path));
            } else if is_begun(&name) && time.elapsed().is_ok_and(|age| age > LONGEST_WRITE) {
                let _ = fs::remove_file(path);
            }
        }
        all.sort();
        let many = all.len().saturating_sub(MOST);
        all.into_iter().take(many).for_each(|(_, path)| drop(fs::remove_file(path)));
    }
}

impl Renders for RenderCache {
    fn find(&self, name: &Name) -> Option<Files> {
        let mut file = BufReader::new(open_file(&self.place(name)).ok()?);
        let mut index = String::new();
        file.by_ref().take(LONGEST_INDEX).read_line(&mut index).ok()?;
        let Index { program, files, digest } = serde_json::from_str(&index).ok()?;
        let length = files.iter().try_fold(0_u64, |all, (_, length)| all.checked_add(*length))?;
        if program != self.program || length > LONGEST {
            return None;
        }
        // The texts are never held twice.
        let (mut found, mut hasher) = (Files::new(), Sha256::new());
        for (path, length) in files {
            let mut text = String::with_capacity(usize::try_from(length).ok()?);
            file.by_ref().take(length).read_to_string(&mut text).ok()?;
            hasher.update(text.as_bytes());
            found.insert(path, text);
        }
        let is_end = file.fill_buf().is_ok_and(<[u8]>::is_empty);
        (is_end && Digest::of_hasher(hasher) == digest).then_some(found)
    }

    /// What cannot be kept costs time, and nothing else.
    fn keep(&self, name: &Name, files: &Files) {
        let text: String = files.values().map(String::as_str).collect();
        let lengths = files.iter().map(|(path, text)| (path.clone(), text.len() as u64)).collect();
        let index = Index { program: self.program.clone(), files: lengths, digest: Digest::of(text.as_bytes()) };
        let Ok(index) = serde_json::to_string(&index) else { return };
        if replace_private(&self.place(name), format!("{index}\n{text}").as_bytes()).is_ok() {
            self.forget_old();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn what_was_kept_is_found_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("renders");
        let cache = RenderCache::new(place.clone(), "one".into());
        let files = Files::from([("a.yaml".into(), "a: ä\n".into()), ("b".into(), String::new())]);
        let name = |number: usize| -> Name {
            std::array::from_fn(|at| if at == 0 { u8::try_from(number).unwrap() } else { 0 })
        };
        let one = name(255);
        assert_eq!(cache.find(&one), None);
        cache.keep(&one, &files);
        assert_eq!(cache.find(&one), Some(files.clone()));
        assert_eq!(RenderCache::new(place.clone(), "two".into()).find(&one), None, "of another build");
        let whole = fs::read(cache.place(&one)).unwrap();
        for damage in
            [whole[..whole.len() - 1].to_vec(), [&whole[..], b"!"].concat(), vec![], b"{}\n".to_vec(), vec![0xff]]
        {
            fs::write(cache.place(&one), &damage).unwrap();
            assert_eq!(cache.find(&one), None, "{damage:?}");
        }
        let others = [format!(".{:016x}", 1), "notes.txt".into(), ".0123".into()];
        let long_ago = SystemTime::now() - Duration::from_hours(2);
        for other in &others {
            fs::File::create(place.join(other)).unwrap().set_modified(long_ago).unwrap();
        }
        fs::write(place.join(format!(".{:016x}", 2)), "").unwrap();
        for number in 0..=MOST {
            cache.keep(&name(number), &files);
        }
        let left = names(&place).unwrap();
        assert_eq!(left.iter().filter(|name| name.len() == 64).count(), MOST);
        let of_others: Vec<_> = left.iter().filter(|name| name.len() < 64).map(String::as_str).collect();
        let kept = [".0000000000000002", ".0123", "notes.txt"];
        assert_eq!(of_others, kept, "somebody else's, and what is being written");
        assert_eq!(cache.find(&name(MOST)), Some(files.clone()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = cache.place(&name(MOST)).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // A folder that cannot be written is not used.
        RenderCache::new(place.join("notes.txt"), String::new()).keep(&one, &files);
    }
}
