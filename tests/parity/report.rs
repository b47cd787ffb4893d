//! What a failed test says: every finding once, with the cases that show it and the command that shows it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

// How much is printed.
const MOST_FINDINGS: usize = 20;
const MOST_LINES: usize = 20;
const MOST_CASES: usize = 3;

/// A case: a folder below `tests/parity`.
pub struct Case {
    /// `render`, `inject` or `refuse`.
    pub folder: &'static str,
    pub name: String,
}

/// Something that is wrong with a case.
pub struct Finding {
    /// What is wrong, without the case's name.
    pub what: String,
    /// Places, one a line.
    pub lines: Vec<String>,
    /// The golden that says otherwise, relative to the folder of the cases.
    pub golden: Option<String>,
}

impl Finding {
    pub fn new(what: impl Into<String>) -> Self {
        Finding { what: what.into(), lines: vec![], golden: None }
    }
}

impl Case {
    /// The case's folder, relative to the repository's.
    pub fn path(&self) -> PathBuf {
        Path::new("tests/parity").join(self.folder).join(&self.name)
    }

    /// The lines of one of the case's files.
    pub fn lines(&self, file: &str) -> Vec<String> {
        lines(&root().join(self.path()).join(file))
    }

    /// The command that the case is about, with the built-in package or another one.
    fn arguments(&self, package: Option<&Path>) -> Vec<String> {
        let file = |name: &str| self.path().join(name).to_str().unwrap().to_owned();
        let flag = |name: &str, value: String| [name.to_owned(), value];
        let mut arguments: Vec<String> = vec![];
        if self.folder == "inject" {
            arguments.push("kube-inject".into());
            arguments.extend(flag("-f", file("input.yaml")));
            arguments.extend(flag("--operatorFileName", file("operator.yaml")));
        } else {
            arguments.extend(flag("manifest", "generate".into()));
            arguments.extend(flag("-f", file("input.yaml")));
            arguments.extend(self.lines("set.txt").into_iter().flat_map(|line| flag("--set", line)));
            arguments.extend(package.into_iter().flat_map(|p| flag("--manifests", p.to_str().unwrap().to_owned())));
        }
        arguments
    }

    /// Runs the case's command.
    pub fn run(&self, package: Option<&Path>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
        command.current_dir(root()).env_remove("KUBECONFIG").args(self.arguments(package)).output().unwrap()
    }

    /// The case's command as it is typed.
    fn command(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,".contains(c);
        let quoted = |a: String| if a.chars().all(plain) { a } else { format!("'{}'", a.replace('\'', r"'\''")) };
        let arguments: Vec<_> = self.arguments(None).into_iter().map(quoted).collect();
        format!("cargo run --quiet -- {}", arguments.join(" "))
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// Fails with what was found, if anything, under a title.
pub fn fail_on(title: &str, found: Vec<(&Case, Finding)>) {
    let mut groups: Vec<(Vec<&Case>, Finding)> = vec![];
    for (case, finding) in found {
        match groups.iter_mut().find(|(_, other)| (&other.what, &other.lines) == (&finding.what, &finding.lines)) {
            Some((cases, _)) => cases.push(case),
            None => groups.push((vec![case], finding)),
        }
    }
    if groups.is_empty() {
        return;
    }
    let mut report: String =
        groups.iter().take(MOST_FINDINGS).map(|(cases, finding)| section(cases, finding)).collect();
    if groups.len() > MOST_FINDINGS {
        let _ = writeln!(report, "\nand {} more", groups.len() - MOST_FINDINGS);
    }
    panic!("{title}; a place is `path: expected -> got`\n{report}\n{}", advice(&groups));
}

fn advice(groups: &[(Vec<&Case>, Finding)]) -> String {
    let case = groups[0].0[0];
    let mut text = format!("one case alone: CASE={}/{} cargo test --test parity", case.folder, case.name);
    if groups.iter().any(|(_, finding)| finding.golden.is_some()) {
        text += "\nif release 1.17.8 gives the same as here: make goldens RECORDED=FOLDER (CONTRIBUTING.md, Goldens)";
    }
    text
}

fn section(cases: &[&Case], finding: &Finding) -> String {
    let mut names: Vec<_> = cases.iter().take(MOST_CASES).map(|c| format!("{}/{}", c.folder, c.name)).collect();
    if cases.len() > MOST_CASES {
        names.push(format!("{} cases more", cases.len() - MOST_CASES));
    }
    let mut text = format!("\n{}: {}\n", names.join(", "), finding.what);
    for line in finding.lines.iter().take(MOST_LINES) {
        let _ = writeln!(text, "    {line}");
    }
    if finding.lines.len() > MOST_LINES {
        let _ = writeln!(text, "    and {} places more", finding.lines.len() - MOST_LINES);
    }
    if let Some(golden) = &finding.golden {
        let _ = writeln!(text, "  expected: tests/parity/{}/{golden}", cases[0].folder);
    }
    let _ = writeln!(text, "  got:      {}", cases[0].command());
    text
}
