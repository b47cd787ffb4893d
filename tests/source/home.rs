//! A home for the binary, in which nothing but the cache may change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A home.
pub struct Home {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// How a command has ended.
pub struct Ended {
    pub is_success: bool,
    pub stdout: String,
    pub stderr: String,
    /// The most memory it has had, in MiB.
    pub peak: f64,
}

impl Ended {
    /// What a line of the output says.
    pub fn said(&self, name: &str) -> &str {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_else(|| panic!("no {name} in {}\n{}", self.stdout, self.stderr)).trim()
    }

    /// It has failed, with this in its message.
    #[track_caller]
    pub fn failed_with(&self, text: &str) {
        assert!(!self.is_success && self.stderr.contains(text), "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.lines().all(|line| !line.contains("panicked")), "{}", self.stderr);
    }

    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert!(self.is_success, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["work", "tmp", "cache"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        Self { dir, variables: vec![] }
    }

    /// With a variable in the environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The cache's folder.
    pub fn cache(&self) -> PathBuf {
        self.path().join("cache/istio-operator")
    }

    /// Starts the binary: with nothing of the environment but what it needs.
    pub fn start(&self, args: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_istio-operator"))
            .args(args)
            .current_dir(self.path().join("work"))
            .env_clear()
            .env("HOME", self.path().join("work"))
            .env("TMPDIR", self.path().join("tmp"))
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits for its end; then nothing has changed but the cache, and in it there are packages and nothing else.
    pub fn end(&self, mut child: Child) -> Ended {
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0_f64;
        while child.try_wait().unwrap().is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u32>().ok());
            peak = peak.max(kib.map_or(0.0, |kib| f64::from(kib) / 1024.0));
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.is_tidy();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Ended { is_success: output.status.success(), stdout, stderr, peak }
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        self.end(self.start(args))
    }

    /// Fetches a location, quietly.
    pub fn fetch(&self, location: &str) -> Ended {
        self.run(&["release", "fetch", "--quiet", location])
    }

    #[track_caller]
    fn is_tidy(&self) {
        for folder in ["work", "tmp"] {
            assert_eq!(files(&self.path().join(folder)), <[String; 0]>::default(), "{folder}");
        }
        let is_of_cache = |path: &String| {
            let is_package = path.starts_with("istio-operator/packages/sha256-");
            is_package
                || path == "istio-operator/packages/.lock"
                || ["locations", "versions"].iter().any(|folder| path.starts_with(&format!("istio-operator/{folder}/")))
        };
        let all = files(&self.path().join("cache"));
        let odd: Vec<_> = all.iter().filter(|path| !is_of_cache(path)).collect();
        assert!(odd.is_empty(), "{odd:?}");
    }

    /// The files of the packages in the cache, by their path in it.
    pub fn packages(&self) -> Vec<String> {
        let all = files(&self.cache().join("packages"));
        all.into_iter().filter_map(|path| Some(path.split_once('/')?.1.to_owned())).collect()
    }
}

/// The files at or below a folder, in order. What is neither file nor folder is a fault.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        // Another process may be at work.
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            assert!(kind.is_file() || kind.is_dir(), "{} is a link", entry.path().display());
            if kind.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}
