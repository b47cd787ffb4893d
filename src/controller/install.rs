//! The waves of an installation: every wave that is open is applied, in order, and what is no longer wanted is pruned as soon
//! as nothing needs it.

use super::bring::Brought;
use super::fights::Fight;
use super::held::Held;
use super::index::{Blind, OwnerId};
use super::prune::Unwanted;
use super::scaling::Autoscalers;
use super::wave::{Waits, WaveResult};
use super::webhooks::Replaced;
use super::{Context, Memory, Standing, events, prune};
use crate::api::component::{self, Component};
use crate::api::status::{ComponentStatus, HeldRevision, Phase};
use crate::cluster::{ClusterError, Refusal};
use crate::controller::status::{Findings, Remark, Verdict};
use crate::install::apply;
use crate::install::plan;
use crate::object::inventory::Entry;
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey};
use crate::process::metrics::labels::ByComponentResult;
use events::Note;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::Instrument;
use tracing::field::Empty;

/// How long what is no longer wanted of a component is kept for one that does not become ready.
const PATIENCE: Duration = Duration::from_mins(5);
/// When what waits for a moment only is looked at again.
const LOOK_SOON: Duration = Duration::from_millis(500);

/// What came of a pass over an installation.
pub(super) struct Installed {
    /// For the status.
    pub findings: Findings,
    /// What failed and is to be tried again.
    pub failure: Option<String>,
    /// When to look again, even if nothing happens.
    pub again: Option<Duration>,
    /// What was done that a person should hear of.
    pub notes: Vec<Note>,
}

/// The objects that a resource wants.
pub(super) struct Wanted<'a> {
    /// The components'.
    pub manifests: &'a Manifests,
    /// The record of the installation, written once all is applied.
    pub record: &'a Object,
    /// Control planes that stay although the spec does not want them.
    pub held: Vec<Held>,
    /// What the resource has and nobody wants, but for what is held.
    pub unwanted: Vec<Unwanted>,
    /// Injection webhooks that change places.
    pub replaced: Replaced,
}

impl Wanted<'_> {
    /// The keys of all that is to be there.
    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        let mut keys = self.manifests.keys();
        keys.insert(self.record.key());
        keys.extend(self.held.iter().flat_map(|held| held.keys.iter().cloned()));
        keys
    }

    /// What the spec comes to, and what the records of control planes that stay come to.
    pub fn installations(&self) -> impl Iterator<Item = &Manifests> {
        [self.manifests].into_iter().chain(self.held())
    }

    /// Of control planes that stay.
    fn held(&self) -> impl Iterator<Item = &Manifests> {
        self.held.iter().filter_map(|held| held.manifests.as_ref())
    }
}

/// Something that failed.
pub(super) struct Failure {
    pub text: String,
    /// Whether it fails until something changes, so that trying again cannot help.
    pub is_final: bool,
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Self { text: error.to_string(), is_final: error.refusal() == Refusal::Never }
    }
}

/// A pass over one installation.
pub(super) struct Pass<'a> {
    pub context: &'a Context,
    pub id: &'a OwnerId,
    pub memory: &'a mut Memory,
    /// The autoscalers that the resource wants.
    pub autoscalers: Autoscalers,
    again: Option<Duration>,
    repairs: Vec<String>,
}

/// What a pass has found so far.
#[derive(Default)]
struct Outcome {
    failures: Vec<Failure>,
    conflicts: Vec<String>,
    stuck: Vec<String>,
    waits: Vec<String>,
    components: BTreeMap<Component, ComponentStatus>,
    stands: BTreeMap<Component, Stand>,
}

/// How far a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// Nothing new of it is applied: it waits for its parents, or something went wrong.
    Open,
    /// It is applied, and not ready.
    Applied,
    Ready,
}

impl<'a> Pass<'a> {
    /// Begins.
    pub fn new(context: &'a Context, id: &'a OwnerId, memory: &'a mut Memory, wanted: &Wanted<'_>) -> Self {
        let autoscalers = Autoscalers::wanted(wanted.installations());
        Self { context, id, memory, autoscalers, again: None, repairs: vec![] }
    }

    /// Applies every wave that is open, in order, repairs what else is installed, and prunes what may go.
    pub async fn install(mut self, wanted: &Wanted<'_>, generation: i64) -> Installed {
        let manifests = wanted.manifests;
        let mut outcome = Outcome::default();
        // Whoever has objects in it need not ask, unless something went wrong with them.
        let is_there =
            self.memory.failures == 0 && self.memory.objects.keys().any(|k| k.namespace == manifests.namespace);
        if !is_there && let Err(error) = ensure_namespace(manifests, self.context).await {
            outcome.failures.push(error.into());
        }
        let version = Some(manifests.version.clone()).filter(|v| !v.is_empty());
        self.apply_waves(wanted, version.as_ref(), &mut outcome).await;
        outcome.failures.extend(self.repair_held(wanted).await);
        let mut notes = vec![];
        self.finish(wanted, &mut outcome, &mut notes).await;
        self.take_stock(wanted);
        notes.extend(self.told_repairs());
        let is_installed = |component, stand: &Stand| component != Component::Pilot || *stand == Stand::Ready;
        let is_version_known = outcome.failures.is_empty()
            && outcome.conflicts.is_empty()
            && outcome.stands.iter().all(|(component, stand)| is_installed(*component, stand) && *stand != Stand::Open);
        let failure = texts(&outcome.failures, false);
        let verdict = self.verdict(&outcome, wanted);
        let findings = Findings {
            profile: Some(manifests.profile.clone()),
            version: version.filter(|_| is_version_known),
            remarks: self.remarks(&outcome.conflicts, wanted),
            held: Some(wanted.held.iter().map(|held| held.told.clone()).collect()),
            ignored: Some(self.ignored(wanted)),
            components: outcome.components,
            ..Findings::of(verdict, generation)
        };
        let peace = self.memory.fights.next_peace(Instant::now());
        let held = wanted.held.iter().filter_map(|held| held.again).min();
        Installed { findings, failure, again: sooner(sooner(self.again, peace), held), notes }
    }

    /// Repairs what is installed, and changes nothing: for a resource whose deletion is held up, since what it installed is in
    /// use. Returns what failed.
    pub async fn repair_all(mut self, wanted: &Wanted<'_>) -> Option<String> {
        let mut failures = self.repair_held(wanted).await;
        for wave in plan::waves(wanted.manifests) {
            if let WaveResult::Failed(failed) = self.repair(&wave, wanted).await {
                failures.extend(failed);
            }
        }
        self.take_stock(wanted);
        texts(&failures, false).or_else(|| texts(&failures, true))
    }

    /// Applies the waves that are open. Of a wave that is not, only what is installed already is repaired.
    async fn apply_waves(&mut self, wanted: &Wanted<'_>, version: Option<&String>, outcome: &mut Outcome) {
        let before = self.memory.known().component_status.unwrap_or_default();
        let mut ready: BTreeMap<_, _> = wanted.manifests.parts.iter().map(|part| (part.component, false)).collect();
        for mut wave in plan::waves(wanted.manifests) {
            wave.steps.iter_mut().for_each(|step| step.retain(|o| !wanted.replaced.by.contains(&o.key())));
            let component = wave.component;
            let known = || before.get(component.name()).and_then(|known| known.version.clone());
            let closed_by = plan::closed_by(component, &ready);
            let result = match closed_by {
                Some(_) => self.repair(&wave, wanted).await,
                None => self.apply_component(&wave, &wanted.manifests.changed).await,
            };
            let (stand, phase, version, note) = match (result, closed_by) {
                (WaveResult::Failed(failures), _) => {
                    let why = failures.iter().map(|failure| failure.text.as_str()).collect::<Vec<_>>().join("; ");
                    let named = |f: Failure| Failure { text: format!("{component}: {}", f.text), ..f };
                    outcome.failures.extend(failures.into_iter().map(named));
                    (Stand::Open, Phase::Error, known(), Some(why))
                }
                (_, Some(parent)) => {
                    let note = format!("waits for {}", parent.facts().title);
                    (Stand::Open, Phase::Reconciling, known(), Some(note))
                }
                (WaveResult::Ready, None) => {
                    ready.insert(component, true);
                    (Stand::Ready, Phase::Healthy, version.cloned(), None)
                }
                (WaveResult::Waiting(what), None) => {
                    outcome.waits.push(what.clone());
                    (Stand::Applied, Phase::Reconciling, version.cloned(), Some(what))
                }
                (WaveResult::NotProgressing(what), None) => {
                    outcome.stuck.push(format!("{component}: {what}"));
                    (Stand::Applied, Phase::Error, version.cloned(), Some(what))
                }
                (WaveResult::Conflict(why), None) => {
                    self.context.metrics.objects.conflicts.inc(component);
                    outcome.conflicts.push(format!("{component}: {why}"));
                    (Stand::Open, Phase::Error, known(), Some(why))
                }
            };
            if stand == Stand::Applied {
                self.memory.waiting_since.entry(component).or_insert_with(Instant::now);
            } else {
                self.memory.waiting_since.remove(&component);
            }
            outcome.stands.insert(component, stand);
            let version = version.filter(|v| !v.is_empty());
            outcome.components.insert(component, ComponentStatus { version, status: Some(phase), error: note });
        }
    }

    /// What the whole comes to.
    fn verdict(&mut self, outcome: &Outcome, wanted: &Wanted<'_>) -> Verdict {
        if let Some(passing) = texts(&outcome.failures, false) {
            let final_ones = texts(&outcome.failures, true);
            return self.memory.failed(final_ones.map_or(passing.clone(), |others| format!("{passing}; {others}")));
        }
        self.memory.failing_since = None;
        if let Some(rejected) = texts(&outcome.failures, true) {
            return Verdict::Rejected(rejected);
        }
        let has_plane = wanted.manifests.has_control_plane();
        match () {
            () if !outcome.conflicts.is_empty() => Verdict::Conflict(outcome.conflicts.join("; ")),
            () if !outcome.stuck.is_empty() => Verdict::NotProgressing(outcome.stuck.join("; ")),
            () if !outcome.waits.is_empty() => Verdict::Waiting(outcome.waits.join("; ")),
            // One revision beside another is nothing that waits for a person.
            () if !has_plane && !wanted.held.is_empty() => Verdict::Kept(kept(&wanted.held)),
            () => Verdict::Healthy,
        }
    }

    /// The wave of a component, timed.
    async fn apply_component(&mut self, wave: &plan::Wave<'_>, changed: &BTreeSet<ObjectKey>) -> WaveResult {
        let (component, objects) = (wave.component.name(), wave.steps.iter().map(Vec::len).sum::<usize>());
        let span = tracing::debug_span!("component", component, objects, result = Empty);
        let timer = self.context.metrics.objects.component_seconds.start();
        let result = self.apply_wave(wave, changed).instrument(span.clone()).await;
        span.record("result", result.name());
        timer.stop(ByComponentResult { component: wave.component, result: result.name() });
        result
    }

    /// What is installed already of a component that has to wait is repaired, and nothing else of it is touched.
    async fn repair(&mut self, wave: &plan::Wave<'_>, wanted: &Wanted<'_>) -> WaveResult {
        let is_recorded = match self.is_recorded(wanted.record).await {
            Ok(is_recorded) => is_recorded,
            Err(error) => return WaveResult::Failed(vec![error.into()]),
        };
        let is_applied = |object: &&&Object| {
            let last = self.memory.objects.get(&object.key());
            is_recorded || last.is_some_and(|seen| seen.digest == self.digest(object) && seen.standing == Standing::Own)
        };
        let steps: Vec<Vec<&Object>> =
            wave.steps.iter().map(|step| step.iter().filter(is_applied).copied().collect()).collect();
        let mut failures = vec![];
        for step in &steps {
            let (failed, _) = self.apply_step(step, wave.component, &mut Waits::default()).await;
            failures.extend(failed.into_iter().map(|(_, failure)| failure));
        }
        if failures.is_empty() { WaveResult::Ready } else { WaveResult::Failed(failures) }
    }

    /// Whether the record says that the present spec was applied as a whole, so that what differs from it is no change of
    /// ours.
    async fn is_recorded(&self, record: &Object) -> Result<bool, ClusterError> {
        let key = record.key();
        let Some(known) = self.context.index.get(&key).filter(|known| known.owner == *self.id) else {
            return Ok(false);
        };
        if self
            .memory
            .objects
            .get(&key)
            .is_some_and(|seen| seen.digest == record.digest() && known.is_unchanged_since(&seen.resource_version))
        {
            return Ok(true);
        }
        let live = self.context.cluster.get(record.api_version(), &key).await?;
        Ok(live.is_some_and(|live| apply::compare(record, Some(&live), apply::Replicas::Desired).is_equal()))
    }

    /// Repairs the control planes that stay although the spec does not want them. Whether they are ready is another matter.
    async fn repair_held(&mut self, wanted: &Wanted<'_>) -> Vec<Failure> {
        let mut failures = vec![];
        for manifests in wanted.held() {
            for wave in plan::waves(manifests) {
                for step in &wave.steps {
                    let (failed, _) = self.apply_step(step, wave.component, &mut Waits::default()).await;
                    failures.extend(failed.into_iter().map(|(_, failure)| failure));
                }
            }
        }
        failures
    }

    /// The record, once everything is applied, and what is no longer wanted, as soon as nothing needs it.
    async fn finish(&mut self, wanted: &Wanted<'_>, outcome: &mut Outcome, notes: &mut Vec<Note>) {
        let is_applied = outcome.failures.is_empty() && outcome.stands.values().all(|stand| *stand != Stand::Open);
        // The record of a control plane that stays is what it is repaired by, also where its revision is the wanted one.
        let is_record_needed = wanted.held.iter().any(|held| held.keys.contains(&wanted.record.key()));
        if is_applied && !is_record_needed {
            let record = plan::Wave { component: Component::Pilot, steps: vec![vec![wanted.record]] };
            match self.apply_wave(&record, &BTreeSet::new()).await {
                WaveResult::Failed(failures) => outcome.failures.extend(failures),
                // Another resource has a record of this name; it serves no one but readers.
                WaveResult::Conflict(why) => tracing::warn!(why, "the record is another resource's"),
                _ => {}
            }
        }
        if !self.context.is_all_read() {
            self.again = sooner(self.again, (!wanted.unwanted.is_empty()).then_some(LOOK_SOON));
            return;
        }
        let doomed: Vec<_> = wanted.unwanted.iter().filter(|object| self.may_go(object, outcome)).cloned().collect();
        if doomed.len() < wanted.unwanted.len() {
            self.again = sooner(self.again, Some(self.context.config.recheck_interval));
        }
        let is_replaced = !wanted.replaced.old.is_empty()
            && wanted.replaced.old.iter().all(|key| doomed.iter().any(|object| object.key == *key));
        outcome.failures.extend(self.prune(doomed, notes).await);
        if is_replaced {
            outcome.failures.extend(self.apply_replacements(wanted).await);
        }
    }

    /// Applies the webhooks whose predecessors have just gone.
    async fn apply_replacements(&mut self, wanted: &Wanted<'_>) -> Vec<Failure> {
        let late = wanted.manifests.objects().filter(|object| wanted.replaced.by.contains(&object.key())).collect();
        let wave = plan::Wave { component: Component::Pilot, steps: vec![late] };
        match self.apply_wave(&wave, &BTreeSet::new()).await {
            WaveResult::Failed(failures) => failures,
            WaveResult::Conflict(text) => vec![Failure { text, is_final: false }],
            WaveResult::Ready | WaveResult::Waiting(_) | WaveResult::NotProgressing(_) => vec![],
        }
    }

    /// Whether nothing needs an unwanted object any more. What is of a gateway or the CNI agent is replaced by the component
    /// as it is wanted now, and one that is not ready for long, as on a broken node, keeps it only for so long. All else may
    /// be needed by every proxy.
    fn may_go(&self, object: &Unwanted, outcome: &Outcome) -> bool {
        let stands = |component| outcome.stands.get(&component).copied();
        let is_ready = |component| stands(component).is_none_or(|stand| stand == Stand::Ready);
        match object.component {
            Some(component) if component.is_gateways() || component == Component::Cni => match stands(component) {
                None => component.facts().parents.iter().all(|parent| is_ready(*parent)),
                Some(Stand::Ready) => true,
                Some(Stand::Open) => false,
                Some(Stand::Applied) => {
                    let since = self.memory.waiting_since.get(&component);
                    since.is_some_and(|since| since.elapsed() >= PATIENCE)
                }
            },
            _ => {
                outcome.failures.is_empty() && component::ALL.into_iter().filter(|c| *c != Component::Cni).all(is_ready)
            }
        }
    }

    /// Deletes what is no longer wanted. Returns what failed.
    #[tracing::instrument(level = "debug", skip_all, fields(objects = doomed.len()))]
    async fn prune(&mut self, doomed: Vec<Unwanted>, notes: &mut Vec<Note>) -> Vec<Failure> {
        let doomed = plan::prune(doomed, |object| (&object.key, object.component));
        let failures = prune::delete(self.context, &doomed).await;
        let failed: BTreeSet<_> = failures.iter().map(|(key, _)| *key).collect();
        let gone: Vec<_> = doomed.iter().map(|object| &object.key).filter(|key| !failed.contains(key)).collect();
        for key in &gone {
            self.memory.objects.remove(*key);
            self.memory.inventory.remove(*key);
            self.context.metrics.objects.pruned.inc(key.group_kind());
        }
        if !gone.is_empty() {
            let text = summary(&gone.iter().map(ToString::to_string).collect::<Vec<_>>());
            notes.push(Note {
                is_warning: false,
                reason: "Pruned",
                text: format!("no longer wanted, deleted: {text}"),
            });
        }
        failures.into_iter().map(|(_, error)| error.into()).collect()
    }

    /// Remembers what came of an object.
    pub(super) fn take_in(&mut self, key: ObjectKey, brought: Brought) {
        if let Some((fields, by)) = brought.repair {
            self.context.metrics.objects.repaired.inc(key.group_kind());
            self.memory.fights.repaired(&key, &fields, &by, self.context.config.repair_limits, Instant::now());
            let by = if by.is_empty() { String::new() } else { format!(", changed by {}", by.join(", ")) };
            self.repairs.push(format!("{key} ({}{by})", summary(&fields)));
        }
        self.again = sooner(self.again, brought.again);
        // Before its definition was established the kind could not be watched.
        self.context.index.watch(&brought.seen.api_version, &key.kind);
        self.memory.objects.insert(key, brought.seen);
    }

    /// Brings the inventory up to date with what was looked at.
    fn take_stock(&mut self, wanted: &Wanted<'_>) {
        for key in wanted.keys() {
            let Some(seen) = self.memory.objects.get(&key).filter(|seen| !seen.uid.is_empty()) else { continue };
            if matches!(seen.standing, Standing::Conflict(..)) {
                self.memory.inventory.remove(&key);
            } else {
                let entry = Entry { api_version: seen.api_version.clone(), uid: seen.uid.clone() };
                self.memory.inventory.insert(key, entry);
            }
        }
    }

    fn ignored(&self, wanted: &Wanted<'_>) -> Vec<String> {
        let is_ignored =
            |key: &ObjectKey| self.memory.objects.get(key).is_some_and(|s| s.standing == Standing::Ignored);
        wanted.keys().into_iter().filter(is_ignored).map(|key| key.to_string()).collect()
    }

    fn remarks(&self, conflicts: &[String], wanted: &Wanted<'_>) -> Vec<Remark> {
        let mut remarks = vec![];
        if !wanted.held.is_empty() {
            remarks.push(Remark { kind: "PruneHeld", reason: "PruneHeld", message: kept(&wanted.held) });
        }
        if !wanted.manifests.warnings.is_empty() {
            let message = wanted.manifests.warnings.join("; ");
            remarks.push(Remark { kind: "SpecWarnings", reason: "SpecWarnings", message });
        }
        if !conflicts.is_empty() {
            remarks.push(Remark { kind: "Conflict", reason: "Conflict", message: conflicts.join("; ") });
        }
        let blind = self.context.index.blind();
        if !blind.is_empty() {
            let of = |blind: &Blind| format!("{} since {:.0}: {}", blind.kind, blind.since, blind.error);
            let kinds = summary(&blind.iter().map(of).collect::<Vec<_>>());
            let message = format!("changes of these kinds are not seen, and looked for from time to time: {kinds}");
            remarks.push(Remark { kind: "Blind", reason: "WatchFailed", message });
        }
        let fights: Vec<_> = self.memory.fights.on(Instant::now()).into_iter().map(contested).collect();
        if !fights.is_empty() {
            let message = summary(&fights);
            remarks.push(Remark { kind: "Contested", reason: "Contested", message });
        }
        remarks
    }

    fn told_repairs(&self) -> Option<Note> {
        let text = || format!("changed by others, repaired: {}", summary(&self.repairs));
        (!self.repairs.is_empty()).then(|| Note { is_warning: false, reason: "DriftRepaired", text: text() })
    }
}

/// Failures that are final, or those that are not, as one text.
fn texts(failures: &[Failure], is_final: bool) -> Option<String> {
    let texts: Vec<&str> = failures.iter().filter(|f| f.is_final == is_final).map(|f| f.text.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Which control planes stay, and why.
fn kept(held: &[Held]) -> String {
    let of = |held: &Held| {
        let HeldRevision { revision, namespace, tag, used_by, message, .. } = &held.told;
        let tag = tag.as_ref().map(|tag| format!("tag {tag} of ")).unwrap_or_default();
        let users = if used_by.is_empty() { String::new() } else { format!(", used by {}", summary(used_by)) };
        format!("{tag}revision {revision} in namespace {namespace}{users}: {message}")
    };
    held.iter().map(of).collect::<Vec<_>>().join("; ")
}

fn contested((key, fight): (&ObjectKey, &Fight)) -> String {
    let by = if fight.by.is_empty() { "somebody".to_owned() } else { fight.by.join(", ") };
    format!("{key}: {by} changes {} again and again; it is repaired more slowly now", summary(&fight.fields))
}

/// The earlier of two times to look again.
pub(super) fn sooner(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

/// Creates the namespace of the control plane when it is missing; one that exists is left as it is.
async fn ensure_namespace(manifests: &Manifests, context: &Context) -> Result<(), ClusterError> {
    if manifests.parts.is_empty() {
        return Ok(());
    }
    let labels = match manifests.network.as_str() {
        "" => json!({}),
        network => json!({"topology.istio.io/network": network}),
    };
    let metadata = json!({"name": manifests.namespace, "labels": labels});
    let Ok(namespace) = Object::new(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})) else {
        return Ok(());
    };
    if context.cluster.get("v1", &namespace.key()).await?.is_none() {
        context.cluster.apply(&namespace, false).await?;
    }
    Ok(())
}

/// The first few, and how many more.
pub(super) fn summary<T: AsRef<str>>(all: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown = all.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}
