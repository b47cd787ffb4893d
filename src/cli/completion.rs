//! `completion`: what shells need to complete commands, flags, and the names that a cluster has.
//!
//! The shell asks this program itself what may follow. The cluster gets a moment to answer; without an answer there are fewer
//! suggestions, and never an error.

use super::cluster::door;
use super::input::Outcome;
use super::package::PlaceArgs;
use crate::api::component::ALL;
use crate::api::{API_VERSION, KIND};
use crate::cluster::Cluster;
use crate::cluster::connect::{self, Choice};
use crate::object::labels::{DEFAULT, REVISION, TAG};
use crate::release::Package;
#[cfg(test)]
use crate::release::RELEASE;
use anyhow::Context;
use clap::{Arg, Args, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

/// The variable by which a shell asks.
const ASKED: &str = "COMPLETE";
const PROGRAM: &str = "istio-operator";
/// Longer than nobody waits at a prompt.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  source <(istio-operator completion bash)                                      # this shell, bash
  istio-operator completion zsh > \"${fpath[1]}/_istio-operator\"                 # every shell, zsh
  istio-operator completion fish > ~/.config/fish/completions/istio-operator.fish
  istio-operator completion powershell | Out-String | Invoke-Expression";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &CompletionArgs, out: &mut dyn Write) -> Outcome {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell.to_string()).context("the shell is not known")?;
    let mut text = vec![];
    shell.write_registration(ASKED, PROGRAM, PROGRAM, PROGRAM, &mut text)?;
    out.write_all(&text)?;
    Ok(0)
}

/// Answers the shell, where it is the one who asks; then the program has done its work.
pub(super) fn answer(command: fn() -> Command) {
    if std::env::var_os(ASKED).is_none_or(|shell| shell.is_empty()) {
        return;
    }
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let line = Line::of(command(), words);
    CompleteEnv::with_factory(move || with_names(with_hidden_aliases(command()), PROGRAM, &line))
        .bin(PROGRAM)
        .complete();
}

/// What a line says of where names are, as far as it is written.
#[derive(Clone, Default)]
struct Line {
    choice: Choice,
    places: PlaceArgs,
}

impl Line {
    fn of(command: Command, words: impl Iterator<Item = OsString>) -> Self {
        let Ok(matches) = command.ignore_errors(true).try_get_matches_from(words) else { return Self::default() };
        let mut matches = &matches;
        while let Some((_, below)) = matches.subcommand() {
            matches = below;
        }
        let path = |id: &str| matches.try_get_one::<PathBuf>(id).ok().flatten().cloned();
        let folders = matches.try_get_many::<PathBuf>("package_dir").ok().flatten().into_iter().flatten();
        Self {
            choice: Choice {
                kubeconfig: path("kubeconfig"),
                context: matches.try_get_one("context").ok().flatten().cloned(),
                asks_nobody: true,
            },
            places: PlaceArgs::new(path("cache_dir"), folders.cloned().collect()),
        }
    }
}

/// The same commands, of which other names are still understood, but not suggested in place of their own.
fn with_hidden_aliases(command: Command) -> Command {
    command.mut_subcommands(|sub| {
        let names = sub.get_visible_aliases().chain(sub.get_aliases()).map(str::to_owned);
        // clap takes nothing shorter-lived, and the program is at its end.
        let names: Vec<&'static str> = names.map(|name| &*name.leak()).collect();
        with_hidden_aliases(sub.visible_alias(None).alias(None).aliases(names))
    })
}

type Names = fn(&Cluster) -> Lookup<'_>;
type Lookup<'a> = std::pin::Pin<Box<dyn Future<Output = BTreeSet<String>> + Send + 'a>>;

/// Where names come from.
#[derive(Clone, Copy)]
enum Suggested {
    /// The cluster has them.
    OfCluster(Names),
    /// This machine has them.
    Here(fn(&Line) -> BTreeSet<String>),
    /// Files.
    Files,
    /// Directories.
    Directories,
    /// Releases at hand, files and directories.
    Releases,
}

/// Which flags and arguments take names that are to be had: what the command's path begins with, the flag's name in clap, and where they
/// come from. The first row counts.
const ROWS: [(&str, &str, Suggested); 21] = [
    ("tag", "tag", Suggested::OfCluster(tags)),
    ("experimental revision tag", "tag", Suggested::OfCluster(tags)),
    ("upgrade plan", "name", Suggested::OfCluster(resources)),
    ("operator status", "name", Suggested::OfCluster(resources)),
    ("operator adopt", "name", Suggested::OfCluster(resources)),
    ("profile", "profile", Suggested::Here(profiles)),
    ("profile", "a", Suggested::Here(profiles)),
    ("profile", "b", Suggested::Here(profiles)),
    ("chart", "values", Suggested::Files),
    ("chart", "release", Suggested::Files),
    ("", "revision", Suggested::OfCluster(revisions)),
    ("", "namespace", Suggested::OfCluster(namespaces)),
    ("", "of_objects", Suggested::OfCluster(namespaces)),
    ("", "istio_namespace", Suggested::OfCluster(namespaces)),
    ("", "include", Suggested::OfCluster(namespaces)),
    ("", "exclude", Suggested::OfCluster(namespaces)),
    ("", "operator_namespace", Suggested::OfCluster(namespaces)),
    ("", "context", Suggested::Here(contexts)),
    ("", "component", Suggested::Here(components)),
    ("", "to_release", Suggested::Releases),
    ("", "manifests", Suggested::Releases),
];

/// The same by what the help calls their values.
const BY_VALUE: [(&str, Suggested); 5] = [
    ("FILE", Suggested::Files),
    ("FILE|DIR", Suggested::Files),
    ("DIR", Suggested::Directories),
    ("DIRECTORY", Suggested::Directories),
    ("VERSION|LOCATION", Suggested::Releases),
];

/// Commands whose flags and arguments have their names.
fn with_names(command: Command, path: &str, line: &Line) -> Command {
    let command = command.mut_subcommands(|sub| {
        let below = format!("{path} {}", sub.get_name());
        with_names(sub, &below, line)
    });
    let path = path.strip_prefix(PROGRAM).unwrap_or(path).trim_start().to_owned();
    command.mut_args(|arg| match names_of(&path, &arg) {
        Some(names) => {
            let line = line.clone();
            arg.add(ArgValueCompleter::new(move |begin: &OsStr| suggested(names, begin, &line)))
        }
        None => arg,
    })
}

fn names_of(path: &str, arg: &Arg) -> Option<Suggested> {
    if !arg.get_action().takes_values() {
        return None;
    }
    let id = arg.get_id().as_str();
    let row = ROWS.iter().find(|(begin, of, _)| *of == id && path.starts_with(begin));
    let called = arg.get_value_names().and_then(<[_]>::first).map(clap::builder::Str::as_str);
    let by_value = || BY_VALUE.iter().find(|(value, _)| Some(*value) == called).map(|(_, names)| *names);
    row.map(|(.., names)| *names).or_else(by_value)
}

fn suggested(names: Suggested, begin: &OsStr, line: &Line) -> Vec<CompletionCandidate> {
    match names {
        Suggested::OfCluster(names) => asked(begin, line.choice.clone(), names),
        Suggested::Here(names) => beginning(begin, names(line)),
        Suggested::Files => PathCompleter::any().complete(begin),
        Suggested::Directories => PathCompleter::dir().complete(begin),
        Suggested::Releases => {
            let mut all = beginning(begin, line.places.versions().into_iter().collect());
            all.extend(PathCompleter::any().complete(begin));
            all
        }
    }
}

/// Names of the cluster that begin so.
fn asked(begin: &OsStr, choice: Choice, names: Names) -> Vec<CompletionCandidate> {
    let (sender, receiver) = mpsc::channel();
    // The whole program ends when this thread is too slow.
    let thread = std::thread::Builder::new().spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let found = runtime.block_on(async { Some(names(&door(&choice, PATIENCE).await.ok()?.0).await) });
        sender.send(found?).ok()
    });
    let found = thread.ok().and_then(|_| receiver.recv_timeout(PATIENCE).ok());
    beginning(begin, found.unwrap_or_default())
}

fn beginning(begin: &OsStr, names: BTreeSet<String>) -> Vec<CompletionCandidate> {
    let begin = begin.to_string_lossy();
    // Of a list only the last name is being written.
    let (earlier, last) =
        begin.rsplit_once(',').map_or(("", &*begin), |(_, last)| (&begin[..begin.len() - last.len()], last));
    let fitting = names.into_iter().filter(|name| name.starts_with(last));
    fitting.map(|name| CompletionCandidate::new(format!("{earlier}{name}"))).collect()
}

fn revisions(cluster: &Cluster) -> Lookup<'_> {
    Box::pin(async {
        let mut all = BTreeSet::new();
        for (api_version, kind, labels, label) in [
            ("apps/v1", "Deployment", "app=istiod", REVISION),
            ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", TAG, TAG),
        ] {
            let found = cluster.list(api_version, kind, None, labels).await.unwrap_or_default();
            all.extend(found.iter().filter_map(|object| object.labels().get(label).cloned()));
        }
        all.insert(DEFAULT.to_owned());
        all
    })
}

fn namespaces(cluster: &Cluster) -> Lookup<'_> {
    Box::pin(async {
        let found = cluster.list("v1", "Namespace", None, "").await.unwrap_or_default();
        found.iter().map(ResourceExt::name_any).collect()
    })
}

fn resources(cluster: &Cluster) -> Lookup<'_> {
    Box::pin(async {
        let found = cluster.list(API_VERSION, KIND, None, "").await.unwrap_or_default();
        found.iter().map(ResourceExt::name_any).collect()
    })
}

fn tags(cluster: &Cluster) -> Lookup<'_> {
    Box::pin(async {
        let (api_version, kind) = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration");
        let found = cluster.list(api_version, kind, None, TAG).await.unwrap_or_default();
        found.iter().filter_map(|object| object.labels().get(TAG).cloned()).collect()
    })
}

fn contexts(line: &Line) -> BTreeSet<String> {
    connect::contexts(&line.choice).into_iter().collect()
}

fn components(_: &Line) -> BTreeSet<String> {
    ALL.iter().map(|component| component.name().to_owned()).collect()
}

fn profiles(_: &Line) -> BTreeSet<String> {
    let package = Package::embedded();
    package.map(|package| package.profiles().names().map(str::to_owned).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    #[test]
    fn names_come_from_the_cluster_that_the_line_names() {
        let rows = [
            ("istio-operator upgrade plan --context there -c /k ma", Some("there"), Some("/k")),
            ("istio-operator tag list --context=there --revision= --unknown", Some("there"), None),
            ("istio-operator bug-report -c/k --include", None, Some("/k")),
            ("istio-operator profile dump de", None, None),
            ("istio-operator", None, None),
            ("", None, None),
        ];
        for (line, context, kubeconfig) in rows {
            let choice = Line::of(command(), line.split_whitespace().map(OsString::from)).choice;
            let found = (choice.context.as_deref(), choice.kubeconfig.as_deref());
            assert_eq!(found, (context, kubeconfig.map(std::path::Path::new)), "{line}");
        }
    }

    /// What is suggested at the end of a line, with a kubeconfig of these contexts.
    fn told(line: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let config = "{clusters: [], contexts: [{name: here, context: {}}, {name: there, context: {}}]}";
        std::fs::write(&path, config).unwrap();
        let line = line.replace("KUBECONFIG", &path.to_string_lossy());
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let known = Line::of(command(), words.clone().into_iter());
        let mut command = with_names(with_hidden_aliases(command()), PROGRAM, &known);
        let index = words.len() - 1;
        let found = clap_complete::engine::complete(&mut command, words, index, Some(folder.path())).unwrap();
        found.into_iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_are_suggested_by_their_names_and_known_by_the_others() {
        let top = told("istio-operator ");
        assert!(top.contains(&"install".to_owned()) && !top.contains(&"apply".to_owned()), "{top:?}");
        let tag = told("istio-operator tag ");
        assert!(tag.contains(&"remove".to_owned()) && !tag.contains(&"delete".to_owned()), "{tag:?}");
        assert!(told("istio-operator x rev").contains(&"revision".to_owned()));
    }

    #[test]
    fn names_of_this_machine_are_suggested() {
        for (line, name) in [
            ("istio-operator tag list -c KUBECONFIG --context th", "there"),
            ("istio-operator manifest generate --component Pi", "Pilot"),
            ("istio-operator install -d 1.17", RELEASE),
            ("istio-operator profile dump mini", "minimal"),
        ] {
            assert!(told(line).contains(&name.to_owned()), "{line}: {:?}", told(line));
        }
    }

    #[test]
    fn every_flag_that_takes_a_file_or_a_release_has_names() {
        fn check(command: &Command, path: &str) {
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let called = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
                let is_other = !called.split('|').any(|word| ["FILE", "DIR", "DIRECTORY", "LOCATION"].contains(&word));
                assert!(is_other || names_of(path, arg).is_some(), "{path} {}", arg.get_id());
            }
            for sub in command.get_subcommands() {
                check(sub, format!("{path} {}", sub.get_name()).trim_start());
            }
        }
        check(&command(), "");
        let command = command();
        let tag = command.find_subcommand("tag").unwrap();
        for name in ["set", "remove", "generate"] {
            let arg = tag.find_subcommand(name).unwrap().get_positionals().next().unwrap();
            assert!(matches!(names_of(&format!("tag {name}"), arg), Some(Suggested::OfCluster(_))), "{name}");
        }
    }

    #[test]
    fn names_that_begin_so_are_suggested_also_at_the_end_of_a_list() {
        let names = || ["istio-system", "istio-operator", "other"].map(str::to_owned).into_iter().collect();
        let told = |begin: &str| {
            let found = beginning(OsStr::new(begin), names());
            found.into_iter().map(|c| c.get_value().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told("istio-s"), ["istio-system"]);
        assert_eq!(told("other,istio-o"), ["other,istio-operator"]);
        assert_eq!(told("").len(), 3);
        assert!(told("x").is_empty());
    }
}
