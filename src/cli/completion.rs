//! `completion`: what shells need to complete commands, flags, and the names that a cluster has.
//!
//! The shell asks this program itself what may follow. The cluster gets a moment to answer; without an answer there are fewer
//! suggestions, and never an error.

use super::cluster::door;
use super::input::Outcome;
use crate::api::{API_VERSION, KIND};
use crate::cluster::Cluster;
use crate::cluster::connect::Choice;
use crate::object::labels::{DEFAULT, REVISION, TAG};
use crate::release::Package;
use anyhow::Context;
use clap::{Args, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write;
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
    let choice = Choice { asks_nobody: true, ..chosen(command(), words) };
    CompleteEnv::with_factory(move || with_names(command(), &choice)).bin(PROGRAM).complete();
}

/// The cluster that a line names, as far as it is written.
fn chosen(command: Command, line: impl Iterator<Item = OsString>) -> Choice {
    let Ok(matches) = command.ignore_errors(true).try_get_matches_from(line) else { return Choice::default() };
    let mut matches = &matches;
    while let Some((_, below)) = matches.subcommand() {
        matches = below;
    }
    Choice {
        kubeconfig: matches.try_get_one("kubeconfig").ok().flatten().cloned(),
        context: matches.try_get_one("context").ok().flatten().cloned(),
        ..Choice::default()
    }
}

type Names = fn(&Cluster) -> Lookup<'_>;
type Lookup<'a> = std::pin::Pin<Box<dyn Future<Output = BTreeSet<String>> + Send + 'a>>;

/// Which flags and arguments take names that are to be had.
fn with_names(command: Command, choice: &Choice) -> Command {
    let path = command.get_name().to_owned();
    with_names_below(command, &path, choice)
}

fn with_names_below(command: Command, path: &str, choice: &Choice) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let ids: Vec<String> = command.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let command = names.into_iter().fold(command, |command, name| {
        let below = format!("{path} {name}");
        command.mut_subcommand(name, |sub| with_names_below(sub, &below, choice))
    });
    ids.into_iter().fold(command, |command, id| {
        let Some(completer) = completer(path, &id, choice) else { return command };
        command.mut_arg(id, |arg| arg.add(completer))
    })
}

fn completer(path: &str, id: &str, choice: &Choice) -> Option<ArgValueCompleter> {
    let names: Names = match (path, id) {
        (_, "revision") => revisions,
        (_, "namespace" | "include" | "exclude" | "istio_namespace") => namespaces,
        ("istio-operator upgrade plan", "name") => resources,
        (path, "profile" | "a" | "b") if path.starts_with("istio-operator profile") => {
            return Some(ArgValueCompleter::new(profiles));
        }
        _ => return None,
    };
    let choice = choice.clone();
    Some(ArgValueCompleter::new(move |begin: &OsStr| asked(begin, choice.clone(), names)))
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

fn profiles(begin: &OsStr) -> Vec<CompletionCandidate> {
    let package = Package::embedded();
    let names = package.map(|package| package.profiles().names().map(str::to_owned).collect()).unwrap_or_default();
    beginning(begin, names)
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
            let choice = chosen(command(), line.split_whitespace().map(OsString::from));
            let found = (choice.context.as_deref(), choice.kubeconfig.as_deref());
            assert_eq!(found, (context, kubeconfig.map(std::path::Path::new)), "{line}");
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
