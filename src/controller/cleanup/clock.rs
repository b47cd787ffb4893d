//! Times as a deletion counts and tells them.

use crate::api::TIME_FORMAT;
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// How long ago a time was; none, where clocks differ.
pub(super) fn since(time: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default()
}

/// A time as Kubernetes writes it.
pub(super) fn shown(time: Timestamp) -> String {
    time.strftime(TIME_FORMAT).to_string()
}
