//! Logs, on stderr, and traces of reconciles, where a collector is configured.

mod otlp;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use otlp::{Traces, TracesError};

use std::io::IsTerminal;
use std::str::FromStr;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    #[value(help = None)]
    Text,
    /// One JSON object a line.
    #[value(help = None)]
    Json,
}

/// What is left out unless it is asked for: the spans of the queue, which repeat what ours say at length, and the ends of
/// watches, of which the client says each although they begin again.
const QUIET: &str =
    "kube_runtime=warn,kube_client::client=error,kube_client::client::tls=warn,kube_client::client::auth=warn";

/// The filter that is meant.
fn filter(level: &str) -> String {
    let is_asked_for = level.contains("kube_runtime") || level.contains("kube_client");
    let is_level = level.chars().all(char::is_alphanumeric);
    match (is_asked_for, is_level) {
        (true, _) => level.to_owned(),
        // Each request, where the level asks for as much.
        (false, true) => format!("{level},{QUIET},kube_client::client::builder={level}"),
        (false, false) => format!("{level},{QUIET}"),
    }
}

/// A level, or a filter, that somebody has written; as it was written. Nothing is info.
///
/// # Errors
/// It is neither, in a sentence that says what there is.
pub fn checked(level: &str) -> Result<String, String> {
    let level = if level.is_empty() { "info" } else { level };
    parse(level).map(|_| level.to_owned())
}

fn parse(level: &str) -> Result<EnvFilter, String> {
    let wrong = |e: &dyn std::fmt::Display| {
        format!(
            "{level:?} is not one of error, warn, info, debug, trace, off, nor a filter such as info,istio_operator=debug: {e}"
        )
    };
    if level.is_empty() {
        return Err(wrong(&"it is empty"));
    }
    // A single word would be taken for a part of the program of which everything is logged.
    let is_word = !level.contains(['=', ',', ':', '[']);
    if is_word && level.parse::<LevelFilter>().is_err() {
        return Err(wrong(&"it is not a level"));
    }
    EnvFilter::from_str(&filter(level)).map_err(|e| wrong(&e))
}

/// Changes what is logged, while it is.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// What is logged.
    #[must_use]
    pub fn get(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// From now on this is logged: a level, or a filter.
    ///
    /// # Errors
    /// It is neither.
    pub fn set(&self, level: &str) -> Result<(), String> {
        let filter = parse(level)?;
        self.0.reload(filter).map_err(|e| e.to_string())
    }
}

/// Starts logging, and hands spans to the traces, if there are any. The level is one of error, warn, info, debug, trace, or a
/// filter such as `info,istio_operator=debug`; it is that of logs only, and info where it is neither.
#[must_use]
pub fn start(level: &str, format: LogFormat, traces: Option<&Traces>) -> LogLevel {
    let (subscriber, handle) = subscriber(level, format, traces);
    // A second start, in tests, keeps the first.
    let _ = subscriber.try_init();
    let handle = LogLevel(handle);
    if let Err(error) = handle.set(level) {
        tracing::warn!(error, "logging at info");
    }
    handle
}

/// What takes events and spans, and what changes its level.
fn subscriber(
    level: &str,
    format: LogFormat,
    traces: Option<&Traces>,
) -> (impl Subscriber + Send + Sync + use<>, reload::Handle<EnvFilter, Registry>) {
    let chosen = EnvFilter::from_str(&filter(level)).unwrap_or_else(|_| EnvFilter::new(filter("info")));
    let (filter, handle) = reload::Layer::new(chosen);
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let logs = fmt::layer::<Registry>().with_writer(std::io::stderr).with_ansi(colours).with_target(false);
    let logs = match format {
        LogFormat::Text => logs.boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    // Each with a filter of its own: quieter logs are not a reason for holes in traces.
    let mut layers = vec![logs.with_filter(filter).boxed()];
    layers.extend(traces.map(Traces::layer));
    (tracing_subscriber::registry().with(layers), handle)
}
