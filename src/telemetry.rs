//! Logs, on stderr.

use std::io::IsTerminal;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The filter that is meant: the spans of the queue, which repeat what ours say at length, only where they are asked for.
fn filter(level: &str) -> String {
    if level.contains("kube_runtime") { level.to_owned() } else { format!("{level},kube_runtime=warn") }
}

/// Starts logging. The level is one of error, warn, info, debug, trace, or a filter such as `info,istio_operator=debug`.
pub fn start(level: &str, format: LogFormat) {
    let filter = EnvFilter::from_str(&filter(level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false);
    // A second start, in tests, keeps the first.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
