//! `experimental revision`: the revisions of the control plane, and who uses them.

pub(super) mod found;

use super::cluster::{self, ConnectArgs};
use super::input::Outcome;
use super::output::{ListArgs, ListFormat};
use super::table::{aligned, first, line};
use super::tag::{self, TagCommand};
use clap::{Args, Subcommand};
use found::{Found, Resource, Revision, Workload};
use std::io::Write;

/// What `revision list --help` ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  istio-operator x revision list
  istio-operator x revision list -o json
  istio-operator x revision describe default   # the one without a revision";

/// So many pods and namespaces are named for a person.
const NAMED: usize = 10;
const UNKNOWN: &str = "unknown";

#[derive(Subcommand)]
pub(super) enum RevisionCommand {
    /// List the revisions, with their tags, releases and users.
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
    /// Describe one revision.
    #[command(after_help = EXAMPLES)]
    Describe(DescribeArgs),
    /// The same as `tag`, as upstream once had it.
    #[command(subcommand, hide = true, after_help = super::help::TAG)]
    Tag(Box<TagCommand>),
}

#[derive(Args)]
pub(super) struct DescribeArgs {
    /// The revision, default for the unnamed one; or one of its tags.
    revision: String,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
    #[command(flatten)]
    cluster: ConnectArgs,
}

pub(super) fn run(command: &RevisionCommand, out: &mut dyn Write) -> Outcome {
    let cluster = match command {
        RevisionCommand::List(ListArgs { cluster, .. }) | RevisionCommand::Describe(DescribeArgs { cluster, .. }) => {
            cluster
        }
        RevisionCommand::Tag(command) => return tag::run(command, out),
    };
    let connected = cluster::connect_to(cluster)?;
    let found = Found::read(&connected)?;
    for why in &found.unknown {
        eprintln!("Warning: not everything is known: {why}");
    }
    match command {
        RevisionCommand::List(args) => args.output.print(&found.revisions, |revisions| table(revisions), out)?,
        RevisionCommand::Tag(_) => {}
        RevisionCommand::Describe(DescribeArgs { revision, output, .. }) => {
            let Some(one) = found.get(revision) else {
                let names: Vec<&str> = found.revisions.iter().map(|found| found.name.as_str()).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                anyhow::bail!("there is no revision or tag \"{revision}\"; revisions here: {names}");
            };
            match output {
                ListFormat::Table => write!(out, "{}", described(one))?,
                other => other.print(one, |_| vec![], out)?,
            }
        }
    }
    Ok(0)
}

fn count<T>(all: Option<&Vec<T>>) -> String {
    all.map_or_else(|| UNKNOWN.to_owned(), |all| all.len().to_string())
}

fn ready(workloads: &[Workload]) -> String {
    let sum = |count: fn(&Workload) -> i64| workloads.iter().map(count).sum::<i64>();
    if workloads.is_empty() { String::new() } else { format!("{}/{}", sum(|w| w.ready), sum(|w| w.wanted)) }
}

/// Those that an operator reconciles, or else the records of installations.
fn main_resources(revision: &Revision) -> Option<Vec<&Resource>> {
    let all = revision.resources.as_ref()?;
    let reconciled: Vec<&Resource> = all.iter().filter(|resource| !resource.is_left_alone).collect();
    Some(if reconciled.is_empty() { all.iter().collect() } else { reconciled })
}

fn table(revisions: &[Revision]) -> Vec<Vec<String>> {
    let titles = ["REVISION", "TAGS", "RESOURCE", "PROFILE", "RELEASE", "ISTIOD", "GATEWAYS", "NAMESPACES", "PODS"];
    let mut lines = vec![line(titles)];
    for revision in revisions {
        let resources = main_resources(revision);
        let named = |name: fn(&Resource) -> String| match &resources {
            Some(all) => all.iter().map(|resource| name(resource)).collect::<Vec<_>>().join(","),
            None => UNKNOWN.to_owned(),
        };
        let mut releases: Vec<&str> = revision.control_planes.iter().filter_map(|w| w.release.as_deref()).collect();
        releases.dedup();
        lines.push(vec![
            revision.name.clone(),
            revision.tags.join(","),
            named(|resource| format!("{}/{}", resource.namespace, resource.name)),
            named(|resource| resource.profile.clone()),
            releases.join(","),
            ready(&revision.control_planes),
            ready(&revision.gateways),
            count(revision.namespaces.as_ref()),
            count(revision.pods.as_ref()),
        ]);
    }
    lines
}

/// The first of many, and how many more.
fn some(all: Option<&Vec<String>>) -> String {
    let Some(all) = all else { return UNKNOWN.to_owned() };
    if all.is_empty() { "none".to_owned() } else { format!("{}: {}", all.len(), first(all, NAMED)) }
}

fn described(revision: &Revision) -> String {
    let workload = |w: &Workload| {
        let release = w.release.as_deref().map(|release| format!(" of release {release}")).unwrap_or_default();
        format!("Deployment {}/{}{release}: {} of {} pods ready", w.namespace, w.name, w.ready, w.wanted)
    };
    let resource = |r: &Resource| {
        let status = match (r.is_left_alone, r.status) {
            (true, _) => "left alone by operators",
            (false, status) => status.unwrap_or("no operator has reported its status"),
        };
        format!("IstioOperator {}/{} of profile {}: {status}", r.namespace, r.name, r.profile)
    };
    let all = |texts: Option<Vec<String>>| match texts {
        None => vec![UNKNOWN.to_owned()],
        Some(texts) if texts.is_empty() => vec!["none".to_owned()],
        Some(texts) => texts,
    };
    let workloads = |all: &[Workload]| all.iter().map(workload).collect::<Vec<_>>();
    let sections = [
        ("Revision:", vec![revision.name.clone()]),
        ("Tags:", all(Some(revision.tags.clone()))),
        ("Resources:", all(revision.resources.as_ref().map(|all| all.iter().map(resource).collect()))),
        ("Control plane:", all(Some(workloads(&revision.control_planes)))),
        ("Webhooks:", all(Some(revision.webhooks.clone()))),
        ("Gateways:", all(Some(workloads(&revision.gateways)))),
        ("Namespaces:", vec![some(revision.namespaces.as_ref())]),
        ("Pods:", vec![some(revision.pods.as_ref())]),
    ];
    let lines: Vec<Vec<String>> = sections
        .into_iter()
        .flat_map(|(title, texts)| {
            texts
                .into_iter()
                .enumerate()
                .map(move |(at, text)| vec![if at == 0 { title } else { " " }.to_owned(), text])
        })
        .collect();
    aligned(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision() -> Revision {
        let workload = |name: &str, ready| Workload {
            namespace: "istio-system".into(),
            name: name.into(),
            release: Some("1.30.3".into()),
            ready,
            wanted: 2,
        };
        let resource = |name: &str, is_left_alone| Resource {
            namespace: "istio-system".into(),
            name: name.into(),
            profile: "demo".into(),
            status: Some("HEALTHY"),
            is_left_alone,
        };
        Revision {
            name: "canary".into(),
            tags: vec!["prod".into(), "stable".into()],
            resources: Some(vec![resource("main", false), resource("installed-state-main", true)]),
            control_planes: vec![workload("istiod-canary", 1)],
            webhooks: vec!["istio-sidecar-injector-canary".into()],
            gateways: vec![],
            namespaces: Some((0..12).map(|n| format!("ns-{n}")).collect()),
            pods: None,
        }
    }

    #[test]
    fn a_line_of_the_list_says_who_a_revision_is_and_who_uses_it() {
        let lines = table(&[revision()]);
        let told = ["canary", "prod,stable", "istio-system/main", "demo", "1.30.3", "1/2", "", "12", "unknown"];
        assert_eq!(lines[1], told);
        let unread = Revision { resources: None, ..revision() };
        assert_eq!(table(&[unread])[1][2], "unknown");
    }

    #[test]
    fn the_description_names_what_the_list_counts() {
        let text = described(&revision());
        for part in [
            "Tags:            prod\n                 stable\n",
            "Deployment istio-system/istiod-canary of release 1.30.3: 1 of 2 pods ready",
            "IstioOperator istio-system/installed-state-main of profile demo: left alone by operators",
            "Gateways:        none\n",
            "ns-9 and 2 more\n",
            "Pods:            unknown\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
