//! What came of applying a plan: of each component, and of the whole.

use crate::api::component::Component;
use crate::cluster::ClusterError;
use crate::failure::{Cause, Retry};
use crate::object::{ObjectKey, OwnerId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why something could not be applied or deleted.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A request failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Another resource, or another webhook, stands against it.
    #[error("{}", texts(.0))]
    Conflict(Vec<Conflict>),
}

impl InstallError {
    /// When it is tried again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Cluster(error) => error.retry(),
            Self::Conflict(_) => Retry::Backoff,
        }
    }

    /// One word for it: that of the request, unless the object itself is wrong.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "Conflict",
            Self::Cluster(error) => match error.retry() {
                Retry::OnChange => "Rejected",
                Retry::Backoff => error.reason(),
            },
        }
    }
}

/// Something that failed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The component it is of; `None` where it is of none.
    pub component: Option<Component>,
    /// Why.
    pub error: Arc<InstallError>,
}

impl Failure {
    pub(super) fn of(error: impl Into<InstallError>) -> Self {
        Self { component: None, error: Arc::new(error.into()) }
    }

    /// Whether who applies the plan lacks a permission for it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.missing_permissions().is_some()
    }

    fn cluster_error(&self) -> Option<&ClusterError> {
        match self.error.as_ref() {
            InstallError::Cluster(error) => Some(error),
            InstallError::Conflict(_) => None,
        }
    }

    fn missing_permissions(&self) -> Option<Vec<String>> {
        self.cluster_error()?.missing_permissions()
    }

    /// The user who lacks a permission for it, as the API server knows whoever asked.
    #[must_use]
    pub fn refused_user(&self) -> Option<&str> {
        self.missing_permissions().and_then(|_| self.cluster_error()?.refused_user())
    }

    /// Whether it fails until something changes, so that trying again cannot help.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.error.retry() == Retry::OnChange
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.component {
            Some(component) => write!(f, "{component}: {}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

/// What stands against a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Another resource has the object and wants something else in these fields.
    Object {
        /// The object.
        key: ObjectKey,
        /// The other resource.
        owner: OwnerId,
        /// The fields.
        fields: Vec<String>,
    },
    /// Two injection webhooks would be asked about the same pods; which, and about which.
    Webhooks(Vec<String>),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { key, owner, fields } => write!(
                f,
                "{key} is that of IstioOperator {owner}, which wants something else in {}; rename it or take it out of one \
                 of the two",
                named(fields)
            ),
            Self::Webhooks(pairs) => write!(
                f,
                "{}: both would be asked about the same pods; remove one of them, or give this resource another revision or tag",
                summary(pairs)
            ),
        }
    }
}

/// An object that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The object.
    pub key: ObjectKey,
    /// Whether it is another resource's.
    pub is_shared: bool,
    /// What it lacks.
    pub what: String,
    /// What its pods say, where they were asked.
    pub why: Option<String>,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = if self.is_shared { " (shared)" } else { "" };
        write!(f, "{}{shared}: {}", self.key, self.what)?;
        self.why.as_ref().map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

/// What came of a component.
#[derive(Clone, Debug)]
pub enum ComponentOutcome {
    /// It is applied, and ready.
    Ready,
    /// It is applied, and these objects are not ready yet.
    Waiting(Vec<Wait>),
    /// Its CRDs are applied and not established yet; what needs them comes then.
    Establishing(Vec<Wait>),
    /// It is applied, and the controllers of these objects have given up.
    NotProgressing(Vec<Wait>),
    /// Another component has to be ready first; what is installed already was repaired.
    Blocked(Component),
    /// Nothing of it was written, since something stands against it.
    Conflict(Vec<Conflict>),
    /// Something of it could not be read or written.
    Failed(Vec<Failure>),
}

/// What has become of a component, as metrics and traces label it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComponentResult {
    /// It is ready.
    Ready,
    /// It is not ready yet, or its CRDs are not established.
    Waiting,
    /// Its controllers have given up.
    NotProgressing,
    /// Another component has to be ready first.
    Blocked,
    /// Something stands against it.
    Conflict,
    /// Something of it could not be read or written.
    Failed,
}

impl ComponentResult {
    /// One word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::NotProgressing => "not_progressing",
            Self::Blocked => "blocked",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }
}

impl ComponentOutcome {
    /// What it is in brief, without what it is about.
    #[must_use]
    pub fn result(&self) -> ComponentResult {
        match self {
            Self::Ready => ComponentResult::Ready,
            Self::Waiting(_) | Self::Establishing(_) => ComponentResult::Waiting,
            Self::NotProgressing(_) => ComponentResult::NotProgressing,
            Self::Blocked(_) => ComponentResult::Blocked,
            Self::Conflict(_) => ComponentResult::Conflict,
            Self::Failed(_) => ComponentResult::Failed,
        }
    }

    /// Whether all of it is written as the plan has it.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Ready | Self::Waiting(_) | Self::NotProgressing(_))
    }

    /// What it is, in words. Who applies the plan is named where permissions are missing.
    #[must_use]
    pub fn told(&self, actor: Actor) -> String {
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Waiting(waits) | Self::NotProgressing(waits) => summary(&strings(waits)),
            Self::Establishing(waits) => match waits.as_slice() {
                [one] => one.to_string(),
                // They come and go within a second; naming them would be a write of the status each.
                _ => "CRDs to be established".to_owned(),
            },
            Self::Blocked(parent) => format!("waits for {}", parent.info().title),
            Self::Conflict(conflicts) => summary(&strings(conflicts)),
            Self::Failed(failures) => failures_told(failures.iter(), actor),
        }
    }
}

/// As the operator tells it.
impl fmt::Display for ComponentOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(Actor::Operator))
    }
}

/// Who applies a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The operator.
    Operator,
    /// Whoever runs a command, by the name that the API server knows.
    User,
}

/// Failures as one text, without the components they are of.
#[must_use]
pub fn failures_told<'f>(failures: impl Iterator<Item = &'f Failure>, actor: Actor) -> String {
    texts_of(failures, |failure| failure.error.to_string(), actor).join("; ")
}

/// An object that somebody had changed, and that is as it should be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The object.
    pub key: ObjectKey,
    /// The fields.
    pub fields: Vec<String>,
    /// Whether it was away as a whole.
    pub was_deleted: bool,
    /// The field managers who had set them.
    pub by: Vec<String>,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.was_deleted {
            return write!(f, "{} (was deleted)", self.key);
        }
        let by = if self.by.is_empty() { String::new() } else { format!(", changed by {}", self.by.join(", ")) };
        write!(f, "{} ({}{by})", self.key, named(&self.fields))
    }
}

/// What came of applying a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Of each component of the plan.
    pub components: BTreeMap<Component, ComponentOutcome>,
    /// What failed beside them, and of them.
    pub failures: Vec<Failure>,
    /// What somebody had changed.
    pub repaired: Vec<Repair>,
    /// What somebody changes again and again, so that it is repaired more slowly.
    pub contested: Vec<Repair>,
    /// What was deleted since nobody wants it any more.
    pub pruned: Vec<ObjectKey>,
    /// What is annotated to be left as it is.
    pub ignored: Vec<ObjectKey>,
    /// When to come back even if nothing is seen to happen.
    pub again: Option<Duration>,
}

impl Outcome {
    /// Whether everything is written as the plan has it, although something may not be ready.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.failures.is_empty() && self.components.values().all(ComponentOutcome::is_applied)
    }

    /// The first parent of a component that is installed and not ready: the component has to wait for it.
    #[must_use]
    pub fn blocked_by(&self, component: Component) -> Option<Component> {
        let is_ready = |parent: &Component| {
            self.components.get(parent).is_none_or(|outcome| matches!(outcome, ComponentOutcome::Ready))
        };
        component.info().parents.iter().copied().find(|parent| !is_ready(parent))
    }

    /// Whether everything is as the plan has it, and ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.failures.is_empty() && self.components.values().all(|outcome| matches!(outcome, ComponentOutcome::Ready))
    }

    /// Failures that are final, or those that are not: the word of the first, and all as one text.
    #[must_use]
    pub fn failed(&self, is_final: bool) -> Option<Cause> {
        let failed = || self.failures.iter().filter(|failure| failure.is_final() == is_final);
        let reason = failed().next()?.error.reason();
        Some(Cause::new(reason, texts_of(failed(), ToString::to_string, Actor::Operator).join("; ")))
    }

    /// Whether the operator lacks permissions.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.failures.iter().any(Failure::is_forbidden)
    }

    pub(super) fn come_back(&mut self, after: Option<Duration>) {
        self.again = self.again.into_iter().chain(after).min();
    }
}

/// A text for each failure; but one for all for which permissions are missing, and one for each namespace that is, since the same
/// few are missing for many objects.
fn texts_of<'f>(
    failures: impl Iterator<Item = &'f Failure>,
    text: fn(&Failure) -> String,
    actor: Actor,
) -> Vec<String> {
    let (mut texts, mut objects, mut missing, mut user) = (vec![], 0, BTreeSet::new(), None);
    let mut namespaces: BTreeMap<&str, usize> = BTreeMap::new();
    for failure in failures {
        let namespace = failure.cluster_error().and_then(ClusterError::missing_namespace);
        match (failure.missing_permissions(), namespace) {
            (Some(permissions), _) => {
                objects += 1;
                missing.extend(permissions);
                user = user.or(failure.refused_user());
            }
            (None, Some(namespace)) => *namespaces.entry(namespace).or_default() += 1,
            (None, None) => texts.push(text(failure)),
        }
    }
    let counted = |count: usize| format!("{count} {}", if count == 1 { "object" } else { "objects" });
    texts.extend(namespaces.into_iter().map(|(namespace, count)| {
        format!(
            "there is no namespace {namespace} for {}; create it: kubectl create namespace {namespace}",
            counted(count)
        )
    }));
    if objects > 0 {
        let who = match (actor, user) {
            (Actor::User, Some(user)) => format!("user {user} lacks"),
            (Actor::User, None) => "the user of the kubeconfig's context lacks".to_owned(),
            (Actor::Operator, _) => "the operator lacks".to_owned(),
        };
        let missing: Vec<String> = missing.into_iter().collect();
        texts.push(format!("{who} permissions for {}: {}", counted(objects), summary(&missing)));
    }
    texts
}

fn strings<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn texts<T: ToString>(all: &[T]) -> String {
    summary(&strings(all))
}

/// Fields in a sentence. The path of an object as a whole is a mere point.
#[must_use]
pub fn named(fields: &[String]) -> String {
    if fields.iter().any(|field| field == ".") { "all of it".to_owned() } else { summary(fields) }
}

/// The first few, and how many more.
pub fn summary<T: AsRef<str>>(all: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown = all.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// A text of at most so many bytes.
#[must_use]
pub fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(longest.saturating_sub('…'.len_utf8())));
    format!("{kept}…")
}

/// The first few, none of them too long, and how many more.
#[must_use]
pub fn cut_summary(texts: &[String]) -> String {
    const LONGEST: usize = 1024;
    summary(&texts.iter().map(|text| cut(text, LONGEST)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_wait_for_istiod_only_where_it_is_installed() {
        let waits = ComponentOutcome::Waiting(vec![]);
        let components = BTreeMap::from([(Component::Base, ComponentOutcome::Ready), (Component::Pilot, waits)]);
        let outcome = Outcome { components, ..Outcome::default() };
        assert_eq!(outcome.blocked_by(Component::IngressGateways), Some(Component::Pilot));
        assert_eq!(outcome.blocked_by(Component::Pilot), None);
        assert_eq!(Outcome::default().blocked_by(Component::IngressGateways), None);
    }

    #[test]
    fn who_lacks_permissions_and_which_namespace_is_not_there_is_told_once() {
        let failure = |code: u16, message: &str| {
            let status = kube::core::Status::failure(message, "").with_code(code);
            Failure::of(ClusterError::of("apply", &"a", kube::Error::Api(status.boxed())))
        };
        let refused = |verb: &str| {
            let message =
                format!("x is forbidden: User \"jane\" cannot {verb} resource \"services\" in API group \"\" in");
            failure(403, &message)
        };
        let lacking = ComponentOutcome::Failed(vec![refused("patch"), refused("create")]);
        assert_eq!(
            lacking.to_string(),
            "the operator lacks permissions for 2 objects: create services; patch services"
        );
        let told = lacking.told(Actor::User);
        assert_eq!(told, "user jane lacks permissions for 2 objects: create services; patch services");
        let absent = || failure(404, "namespaces \"gw\" not found");
        let told = ComponentOutcome::Failed(vec![absent(), absent(), failure(422, "no")]).to_string();
        let expected = "apply a: no; there is no namespace gw for 2 objects; create it: kubectl create namespace gw";
        assert_eq!(told, expected);
    }

    #[test]
    fn what_was_repaired_is_told_in_words() {
        let key =
            ObjectKey { kind: "Service".into(), namespace: "ns".into(), name: "istiod".into(), ..ObjectKey::default() };
        let repair = |field: &str, was_deleted, by: &[&str]| {
            let by = by.iter().map(ToString::to_string).collect();
            Repair { key: key.clone(), fields: vec![field.to_owned()], was_deleted, by }.to_string()
        };
        assert_eq!(repair(".", true, &[]), "Service ns/istiod (was deleted)");
        assert_eq!(repair(".", false, &["kubectl"]), "Service ns/istiod (all of it, changed by kubectl)");
        assert_eq!(repair(".spec.a", false, &[]), "Service ns/istiod (.spec.a)");
    }

    #[test]
    fn messages_stay_short_whatever_is_refused() {
        let many = vec!["x".repeat(1 << 20); 1000];
        let text = cut_summary(&many);
        assert!(text.len() < 4096 && text.ends_with("and 997 more"), "{}", text.len());
        assert_eq!(cut("üü", 3), "…", "no half of a character");
    }
}
