//! Every command that the documents show is run, in their order, by a shell, against a control plane in which there is nothing:
//! as somebody does who follows them.

use crate::deploy::{DEPLOYMENT, run_as_deployed};
use crate::lab::{Lab, binary, file};
use crate::small;
use istio_operator::object::labels;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

/// What commands begin with; other words in code are names.
const PROGRAMS: [&str; 4] = ["istio-operator", "kubectl", "curl", "make"];

/// Documents whose commands are run, one after the other.
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "docs/behaviour.md",
    "docs/reference/settings.md",
    "docs/safety.md",
    "docs/releases.md",
    "docs/upgrade.md",
    "docs/operations.md",
    "CONTRIBUTING.md",
];
/// Run from nothing to nothing, on a control plane of its own.
const TUTORIAL: &str = "docs/tutorial.md";
/// How a command ends that is not run: the control plane of tests lacks what it needs, or it does not end by itself.
const NEEDS: [&str; 3] = ["needs running proxies", "needs the Gateway API", "until Ctrl-C"];
/// Run after everything else.
const LAST: &str = "Remove it";

/// Commands that end with another code than 0, as the document says.
const CODES: [(&str, i32); 3] = [
    ("istio-operator profile diff", 1),
    ("istio-operator manifest diff -f", 1),
    ("istio-operator manifest diff before.yaml", 1),
];

/// Commands that are not run, or not as they stand: by how they begin, with what is done instead, and why.
const OTHERWISE: [(&str, Instead, &str); 13] = [
    (
        "istio-operator install -f spec.yaml",
        Instead::Nothing,
        "an operator has installed already; `the_commands_of_the_readme_need_no_operator` runs it where there is none",
    ),
    ("kubectl apply -k config/prometheus", Instead::Nothing, "there is no Prometheus Operator; `tests/deploy.rs`"),
    ("kubectl logs", Instead::Nothing, "kwok's pods have no logs"),
    ("kubectl delete --cascade=orphan", Instead::Nothing, "a part of one: `a_deletion_that_orphans_leaves_everything`"),
    ("kubectl delete", Instead::InTime, "a deletion that is held back waits for a day"),
    (
        "istio-operator release fetch",
        Instead::Nothing,
        "it needs a network; `tests/source.rs` fetches from servers of its own",
    ),
    ("istio-operator upgrade plan demo", Instead::BuiltIn, NETWORK),
    ("istio-operator upgrade plan", Instead::WithPackages, PACKAGES),
    ("kubectl annotate iop demo", Instead::BuiltIn, NETWORK),
    ("kubectl wait --for=jsonpath='{.status.version}'", Instead::BuiltIn, NETWORK),
    ("istio-operator manifest diff -f a.yaml -d", Instead::WithPackages, PACKAGES),
    ("make", Instead::DryRun, "it would run this test"),
    ("curl", Instead::OperatorsAddress, "port 8383 of this host may be taken"),
];

const NETWORK: &str = "other releases need a network; `tests/commands.rs` takes those that are at hand";
const PACKAGES: &str = "the releases are a small package of these tests, by --package-dir";

#[derive(Clone, Copy)]
enum Instead {
    Nothing,
    /// With the built-in release in place of others.
    BuiltIn,
    /// With packages of the releases that documents name.
    WithPackages,
    InTime,
    DryRun,
    OperatorsAddress,
}

/// A part of a document that is to be run.
#[derive(Debug, PartialEq)]
enum Step {
    /// A command, and what it prints where the document shows that.
    Command(String, Option<String>),
    /// Resources to be applied.
    Resources(String),
}

/// What is shown of a section: its blocks, and commands within its sentences.
fn steps(section: &str) -> Vec<Step> {
    let mut steps = vec![];
    let mut block: Vec<&str> = vec![];
    let mut is_fenced = false;
    for line in section.lines().chain([""]) {
        let is_fence = line.trim_start().starts_with("```");
        let inner = if is_fenced || is_fence { Some(line) } else { line.strip_prefix("    ") };
        match inner {
            Some(inner) if !is_fence => block.push(inner.trim_end()),
            _ => {
                steps.extend(steps_of_block(&std::mem::take(&mut block)));
                let spans = line.split('`').skip(1).step_by(2).filter(|_| !is_fence);
                let commands = spans.filter(|span| is_whole_command(span));
                steps.extend(commands.map(|span| Step::Command(span.to_owned(), None)));
            }
        }
        is_fenced ^= is_fence;
    }
    steps
}

/// Resources, or commands, one a line. In a block where some begin with `$` all others are what these print.
fn steps_of_block(lines: &[&str]) -> Vec<Step> {
    if lines.iter().any(|line| line.starts_with("apiVersion:")) {
        return vec![Step::Resources(lines.join("\n"))];
    }
    let shows_output = lines.iter().any(|line| line.starts_with("$ "));
    let mut steps = vec![];
    for line in lines.iter().map(|line| line.trim_start()) {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step::Command(command.to_owned(), Some(String::new()))),
            (None, Some(Step::Command(_, Some(output)))) if shows_output => output.extend([line, "\n"]),
            _ if is_command(line) => steps.push(Step::Command(line.to_owned(), None)),
            _ => {}
        }
    }
    steps
}

fn is_command(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|program| PROGRAMS.contains(&program))
}

/// A program is also named in sentences, and kubectl with what it can do.
fn is_whole_command(text: &str) -> bool {
    let words = text.split_whitespace().count();
    is_command(text) && words >= if text.starts_with("kubectl") { 3 } else { 2 }
}

/// The work of somebody who follows the documents.
struct Reader {
    lab: Lab,
    folder: tempfile::TempDir,
    operator: Option<crate::controlplane::operator::Operator>,
    run: BTreeSet<String>,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("app.yaml", APP);
        write("spec.yaml", "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {profile: minimal}\n");
        write("a.yaml", A);
        write("b.yaml", &A.replace("minimal", "default"));
        write("before.yaml", APP);
        write("after.yaml", &APP.replace("image: app", "image: app:2"));
        write("my-chart/Chart.yaml", "{apiVersion: v2, name: mine, version: 1.0.0}");
        write("my-chart/templates/a.yaml", "a: {{ .Release.Name }}\n");
        for shown in ["config", "crds", "Makefile"] {
            symlink(file(shown), folder.path().join(shown)).unwrap();
        }
        for release in ["1.23.6", "1.29.6", "1.30.3"] {
            small::copy_as(release, &folder.path().join("packages").join(release));
        }
        let lab = Lab::empty();
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        symlink(binary(), programs.join("istio-operator")).unwrap();
        symlink(lab.plane().kubectl_path(), programs.join("kubectl")).unwrap();
        Self { lab, folder, operator: None, run: BTreeSet::new() }
    }

    fn shell(&self, command: &str) -> Output {
        let mut paths = vec![self.folder.path().join("programs")];
        paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut shell = Command::new("sh");
        shell.current_dir(self.folder.path()).args(["-c", command]).env("PATH", std::env::join_paths(paths).unwrap());
        shell.env("KUBECONFIG", self.lab.plane().kubeconfig()).env("KUBECACHEDIR", self.folder.path().join("cache"));
        shell.env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        shell.output().unwrap()
    }

    fn follow(&mut self, step: &Step) {
        match step {
            Step::Resources(yaml) => self.lab.apply(yaml),
            Step::Command(command, output) => self.command(command, output.as_deref()),
        }
        // Its pod is this host's, by its image's only file.
        match (self.lab.get(DEPLOYMENT), self.operator.take()) {
            (Some(deployment), None) => {
                self.lab.log_in_as_operator();
                self.lab.wait_established(&["crd/istiooperators.install.istio.io"]);
                self.operator = Some(run_as_deployed(&self.lab, &deployment, 0));
            }
            (None, Some(operator)) => assert_eq!(operator.terminate().unwrap().code(), Some(0)),
            (_, same) => self.operator = same,
        }
    }

    fn command(&mut self, shown: &str, printed: Option<&str>) {
        if let Some(lacking) = NEEDS.iter().find(|lacking| shown.ends_with(**lacking)) {
            println!("{shown} is not run: {lacking}");
            return;
        }
        let bare = shown.split(" # ").next().unwrap().trim();
        let instead = OTHERWISE.iter().find(|(begin, ..)| bare.starts_with(begin));
        if let Some((_, _, why)) = instead {
            println!("{bare} is not run as it stands: {why}");
        }
        let command = match instead.map(|(_, instead, _)| *instead) {
            Some(Instead::Nothing) => return,
            Some(Instead::BuiltIn) => ["1.18.7", "1.23.6", "1.29.6", "1.30.3"]
                .iter()
                .fold(bare.to_owned(), |command, release| command.replace(release, "1.17.8")),
            Some(Instead::WithPackages) => format!("{bare} --package-dir packages"),
            Some(Instead::InTime) => format!("{bare} --timeout=90s"),
            Some(Instead::DryRun) => bare.replacen("make", "make -n", 1),
            Some(Instead::OperatorsAddress) => {
                let address = self.operator.as_ref().expect("no operator runs").address();
                bare.replacen("localhost:8383", address, 1).replacen("curl", "curl --fail --silent --show-error", 1)
            }
            None => bare.to_owned(),
        };
        if bare.starts_with("kubectl delete -k config/controller")
            && let Some(operator) = self.operator.take()
        {
            // As its pod does, it ends with its Deployment, before its rights are gone.
            assert_eq!(operator.terminate().unwrap().code(), Some(0));
        }
        let output = self.shell(&command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = CODES.iter().find(|(begin, _)| bare.starts_with(begin)).map_or(0, |(_, code)| *code);
        assert_eq!(output.status.code(), Some(code), "{shown}\n{}{}", text(&output.stdout), text(&output.stderr));
        if let Some(printed) = printed {
            assert_eq!(text(&output.stdout).trim_end(), printed.trim_end(), "{shown}");
        }
        self.run.insert(bare.to_owned());
    }
}

const APP: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: default}\nspec:\n  \
                   selector: {matchLabels: {app: app}}\n  template:\n    metadata: {labels: {app: app}}\n    \
                   spec: {containers: [{name: app, image: app}]}\n";

const A: &str = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: main, namespace: istio-system}\n\
                 spec: {profile: minimal, revision: a}\n";

/// The sections of a document, with their headings.
fn sections(document: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file(document)).unwrap();
    let all = text.split("\n## ").map(|section| section.split_once('\n').unwrap_or((section, "")));
    all.map(|(heading, text)| (heading.to_owned(), text.to_owned())).collect()
}

#[test]
#[ignore = "long: `make test-all`"]
fn every_command_that_the_documents_show_runs_as_they_say() {
    let mut reader = Reader::new();
    let all: Vec<_> = DOCUMENTS.into_iter().flat_map(sections).collect();
    let (last, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(heading, _)| heading == LAST);
    assert_eq!(last.len(), 1, "no section {LAST:?}");
    // Of those who are told of tenants.
    reader.lab.kubectl(&["create", "namespace", "team"]);
    for (heading, text) in others.into_iter().chain(last) {
        if heading == LAST {
            // What has a proxy would hold it back, as the document says.
            reader.lab.kubectl(&["delete", "deployment", "app", "--ignore-not-found", "--timeout=60s"]);
            reader.lab.kubectl(&["delete", "pods", "--all", "--force", "--grace-period=0"]);
        }
        for step in steps(&text) {
            println!("{heading}: {step:?}");
            reader.follow(&step);
        }
    }
    assert!(reader.operator.is_none() && reader.lab.iop("demo").is_none(), "not removed");
    let run = reader.run;
    for program in ["istio-operator", "kubectl", "make", "curl"] {
        assert!(run.iter().any(|command| command.starts_with(program)), "no {program} in {run:#?}");
    }
    assert!(run.len() >= 20, "{run:#?}");
}

/// What the section says: without an operator in the cluster or beside one.
#[test]
#[ignore = "long: `make test-all`"]
fn the_commands_of_the_readme_need_no_operator() {
    let mut reader = Reader::new();
    let all = sections("README.md").into_iter().find(|(heading, _)| heading == "On the command line");
    for step in steps(&all.unwrap().1) {
        match step {
            Step::Command(command, _) if command.starts_with("istio-operator install") => {
                let command = command.split(" # ").next().unwrap().trim();
                let output = reader.shell(&format!("echo y | {command}"));
                assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
                reader.run.insert(command.to_owned());
            }
            step => reader.follow(&step),
        }
    }
    assert!(reader.run.len() >= 6, "{:#?}", reader.run);
}

#[test]
#[ignore = "long: `make test-all`"]
fn the_tutorial_leads_from_nothing_to_a_mesh_and_back() {
    let mut reader = Reader::new();
    for (heading, text) in sections(TUTORIAL) {
        let began = std::time::Instant::now();
        for step in steps(&text) {
            println!("{heading}: {step:?}");
            reader.follow(&step);
        }
        println!("{heading} took {:?}", began.elapsed());
    }
    let kinds = "deployments,services,configmaps,serviceaccounts,mutatingwebhookconfigurations,clusterroles";
    let left = reader.lab.kubectl(&["get", kinds, "-A", "-l", labels::OWNER_NAME, "-o", "name"]);
    assert!(reader.operator.is_none() && left.is_empty(), "not removed: {left}");
    assert!(reader.run.len() > 60, "{:#?}", reader.run);
}

#[test]
fn no_other_document_shows_commands() {
    let is_shown = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        path.extension().is_some_and(|extension| extension == "md").then(|| format!("docs/{name}"))
    };
    let documents = std::fs::read_dir(file("docs")).unwrap().filter_map(is_shown);
    let is_run = |document: &String| document == TUTORIAL || DOCUMENTS.contains(&document.as_str());
    for document in documents.filter(|document| !is_run(document)) {
        let blocks = |text: &str| text.split('`').step_by(2).collect::<String>();
        let shown = sections(&document).into_iter().flat_map(|(_, text)| steps(&blocks(&text)));
        let shown: Vec<_> = shown.collect();
        assert!(shown.is_empty(), "{document} is not in DOCUMENTS, and shows {shown:?}");
    }
}

#[test]
fn commands_are_told_from_what_they_print() {
    let text = "Use `kubectl get iop -A`, not `kubectl get` or `make`.\n\n    make demo   # all\n    FOO=1\n\n```console\n$ istio-operator crd\n\
                apiVersion\n$ make\n```\n\n    apiVersion: v1\n    kind: A\n";
    let command = |text: &str, output: Option<&str>| Step::Command(text.into(), output.map(str::to_owned));
    assert_eq!(
        steps(text),
        [
            command("kubectl get iop -A", None),
            command("make demo   # all", None),
            command("istio-operator crd", Some("apiVersion\n")),
            command("make", Some("")),
            Step::Resources("apiVersion: v1\nkind: A".into()),
        ]
    );
}
