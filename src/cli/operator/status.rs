//! `operator status`: IstioOperator resources as trees, down to the objects that are waited for.
//!
//! It works without an operator, and says so where none reconciles a resource. What may not be read is unknown.

mod orphans;
mod read;
mod tree;

use super::super::cluster::{self, ConnectArgs, Connected};
use super::super::input::Outcome;
use super::super::output::DataFormat;
use super::super::table::{aligned, line};
use crate::api::{API_VERSION, KIND};
use crate::cluster::watch_metadata::{Selection, Told, watch_metadata};
use crate::cluster::{ClusterError, told};
use crate::object::labels::MANAGED;
use anyhow::bail;
use clap::{Args, ValueEnum};
use kube::runtime::watcher::Event;
use read::{FRAME, Reader, State};
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::sync::mpsc;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator operator status
  istio-operator operator status main -n istio-system -o json
  istio-operator operator status --watch
  istio-operator operator status main --exit-code    # in scripts

Exit code: 1 if a resource is in ERROR or on an error, 2 on invalid flags. With --exit-code 0 only
if there are resources and all are HEALTHY for their present spec.";

/// How long changes are gathered before they are drawn.
const GATHER: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Tree,
    Table,
    Json,
    Yaml,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    /// Only the resources of this name.
    name: Option<String>,
    /// Only those of this namespace.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Redraw whenever something changes, until interrupted.
    #[arg(short, long)]
    watch: bool,
    /// Exit with 1 unless there are resources and all are HEALTHY for their present spec.
    #[arg(long, conflicts_with = "watch")]
    exit_code: bool,
    /// Output format: a tree of each resource, a line of each, or all of it as data.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    cluster: ConnectArgs,
}

pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster)?;
    let mut changes = if args.watch { Some(connected.wait(follow(&connected))?) } else { None };
    let (mut reader, mut last) = (Reader::default(), String::new());
    let mut read = || reader.read(&connected, args.namespace.as_deref(), args.name.as_deref());
    let mut state = read()?;
    if let (true, Some(name)) = (state.resources.is_empty(), &args.name) {
        bail!("there is no IstioOperator \"{name}\" in {}", args.namespace.as_deref().unwrap_or("any namespace"));
    }
    loop {
        let text = drawn(&state, args.output)?;
        if text != last {
            if args.watch && std::io::stdout().is_terminal() {
                write!(out, "\x1b[H\x1b[2J\x1b[3J")?;
            }
            write!(out, "{text}")?;
            out.flush()?;
            last = text;
        }
        let Some(changes) = &mut changes else {
            return Ok(u8::from(if args.exit_code { !state.is_well() } else { state.has_failed() }));
        };
        state = loop {
            connected.wait(change(changes));
            match read() {
                Ok(state) => break state,
                // Whoever watches an API server that goes away and comes back wants to see that.
                Err(error) => eprintln!("Warning: this may be old: {}", told(error.as_ref())),
            }
            // It is drawn again when it is known again.
            last.clear();
        };
    }
}

fn drawn(state: &State, format: Format) -> anyhow::Result<String> {
    let mut bytes = vec![];
    match format {
        Format::Tree => return Ok(tree::text(state)),
        Format::Table => return Ok(aligned(&table(state))),
        Format::Json => DataFormat::Json.print(state, &mut bytes)?,
        Format::Yaml => DataFormat::Yaml.print(state, &mut bytes)?,
    }
    Ok(String::from_utf8(bytes)?)
}

fn table(state: &State) -> Vec<Vec<String>> {
    let mut lines = vec![line(["NAMESPACE", "NAME", "REVISION", "PROFILE", "VERSION", "STATUS", "OBJECTS", "AGE"])];
    for resource in &state.resources {
        let ready = resource.objects.iter().filter(|object| object.health == read::Health::Ready).count();
        lines.push(line([
            &resource.namespace,
            &resource.name,
            &resource.revision,
            &resource.profile,
            resource.version.as_deref().unwrap_or_default(),
            resource.status.unwrap_or_default(),
            &format!("{ready}/{}", resource.objects.len()),
            &resource.age,
        ]));
    }
    lines
}

/// Of what changes are drawn, and which of it.
const KINDS: [(&str, &str, &str); 3] =
    [(API_VERSION, KIND, ""), ("apps/v1", "Deployment", MANAGED), ("apps/v1", "DaemonSet", MANAGED)];

/// Tells of every change from now on.
async fn follow(connected: &Connected) -> Result<mpsc::Receiver<()>, ClusterError> {
    let (sender, receiver) = mpsc::channel(1);
    for (api_version, kind, labels) in KINDS {
        let resource = connected.cluster.resource(api_version, kind).await?;
        let (client, sender) = (connected.cluster.client().clone(), sender.clone());
        tokio::spawn(async move {
            let take = |told| {
                if matches!(told, Told::Event(Event::Apply(_) | Event::Delete(_))) {
                    // One that waits to be drawn is enough.
                    let _is_first = sender.try_send(());
                }
                ControlFlow::Continue(())
            };
            watch_metadata(client, &resource, Selection { labels, fields: "" }, take).await;
        });
    }
    Ok(receiver)
}

/// Waits for a change, or for a frame.
async fn change(changes: &mut mpsc::Receiver<()>) {
    if tokio::time::timeout(FRAME, changes.recv()).await.is_ok() {
        tokio::time::sleep(GATHER).await;
    }
}
