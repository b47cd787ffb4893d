//! The install engine: makes a cluster match what an installation wants.
//!
//! ```text
//! Manifests → Draft → Plan → apply → Outcome        remains → delete
//! ```
//!
//! It is a library: the controller calls it with watches, other resources and metrics around it, a command with a client
//! alone ([`Engine::alone`]). What happens is told to a [`Listener`]; what is remembered between two runs is in a [`State`].
//!
//! | module | in → out |
//! |---|---|
//! | [`plan`], `waves`, `candidate`, `prune` | manifests, and what the cluster has → waves, and what is to be deleted |
//! | `apply`, `wave`, `object` | a plan → an [`Outcome`]: of the whole, of a component, of an object |
//! | [`fields`] | a wanted and a live object → the fields in which they differ, whose they are |
//! | [`readiness`] | a live object → whether it is ready, and why not |
//! | [`remains`] | all that a resource has, to be deleted |
//! | [`preview`] | a plan → what applying it would do |
//! | [`forecast`] | a plan → each object as it is, and as the API server says it would be |
//! | [`installed_state`] | manifests → the record of an installation, and back |
//! | [`downgrade`] | that no control plane is moved to an older release |
//! | [`default_revision`] | which control plane has the tag `default` without having been asked to |
//! | [`webhooks`], `injectors` | which webhook injects which pods; those that there are |
//! | [`tags`] | what goes → the revision tags that lead to it |
//! | `run`, `state` | what a run works on; what is remembered between two runs |
//! | `repairs`, `autoscaling`, [`cached`], [`provenance`] | how fast what others change is repaired; whose replicas are; what is known without a read; what a live object tells of itself |
//!
//! Guarantees: nothing is written over what is as it should be; nothing waits for readiness, one run does what can be done
//! now; a component is applied once those it needs are ready, and what is installed is repaired at any time; what others have
//! set, and what another resource has, is left alone; nothing is deleted that something may still need. Every call is safe to
//! cancel.

mod apply;
mod autoscaling;
pub mod cached;
mod candidate;
pub mod default_revision;
mod definition;
pub mod downgrade;
mod engine;
pub mod fields;
pub mod forecast;
mod injectors;
pub mod installed_release;
pub mod installed_state;
mod object;
mod outcome;
pub mod plan;
pub mod preview;
pub mod provenance;
mod prune;
pub mod readiness;
pub mod remains;
mod repairs;
mod run;
mod state;
pub mod tags;
mod wave;
mod waves;
pub mod webhooks;

pub use apply::create_namespace;
pub use autoscaling::Autoscalers;
pub use candidate::{Candidate, in_order_of_deletion, is_never_deleted};
pub use engine::{Cache, Engine, Event, INITIAL_KINDS, Kind, KnownTag, Listener, NoCache, NoOthers, Others, Silent};
pub use injectors::Injectors;
pub use outcome::{
    Actor, ComponentOutcome, ComponentResult, Conflict, Failure, InstallError, Outcome, Repair, Wait, cut, cut_summary,
    failures_told, named, summary,
};
pub use plan::{Draft, Kept, Plan};
pub use repairs::RepairLimits;
pub use run::Options;
pub use state::{ObjectState, Observed, State};
pub use waves::{Wave, waves};
