//! Which revisions are in use, and by whom, kept current by three metadata watches: of pods with proxies, of namespaces, and of
//! the webhooks of tags.
//!
//! For each pod its revision and a hash of its name are kept: about forty bytes for a pod with a proxy, and nothing for one
//! without. Labels are kept for the pods of installed gateways, and names for tags and for the namespaces that point to a
//! revision.
//!
//! While one of the watches fails, no revision counts as unused.

use super::super::index::Index;
use super::super::watch_health::{LOOK, START, WatchHealth};
use super::metadata::{PROXY_LABEL, RUNNING, is_of, label, points_to, said_by};
use crate::cluster::ClusterError;
use crate::cluster::meta::Meta;
use crate::cluster::outage::is_caused_by_outage;
use crate::cluster::watch_metadata::{Selection, Told, watch_metadata};
use crate::install::KnownTag;
use crate::object::OwnerId;
use crate::object::labels::{self, TAG};
use crate::object::pods::Pods;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::ApiResource;
use kube::runtime::watcher::Event;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::time::timeout;

/// How many users are named.
const NAMED: usize = 5;

/// Whether anybody uses a revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Use {
    /// Not everything is known that may use it.
    #[default]
    Unknown,
    /// Nobody does.
    Unused,
    /// Proxies of running pods are of it.
    Pods,
    /// Namespaces point to it, and no pod is of it.
    Namespaces,
}

/// Who uses a revision, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Whether anybody does.
    pub by: Use,
    /// How many running pods have proxies of it.
    pub pods: usize,
    /// One of them, as `namespace/name`, if one is known by name.
    pub pod: Option<String>,
    /// The first few of the namespaces that point to it, by its name or by a tag, in order.
    pub namespaces: Vec<String>,
    /// The first few of the tags that stand for it, in order, whether or not anybody uses them.
    pub tags: Vec<String>,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Pods,
    Namespaces,
    Tags,
}

const SOURCES: [Source; 3] = [Source::Pods, Source::Namespaces, Source::Tags];

impl Source {
    fn resource(self) -> ApiResource {
        match self {
            Self::Pods => ApiResource::erase::<Pod>(&()),
            Self::Namespaces => ApiResource::erase::<Namespace>(&()),
            Self::Tags => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
        }
    }

    fn selection(self) -> Selection<'static> {
        match self {
            Self::Pods => Selection { labels: PROXY_LABEL, fields: RUNNING },
            Self::Namespaces => Selection::default(),
            Self::Tags => Selection { labels: TAG, fields: "" },
        }
    }

    /// As metrics and logs name it.
    fn name(self) -> &'static str {
        match self {
            Self::Pods => "injected Pod",
            Self::Namespaces => "Namespace",
            Self::Tags => "revision tag",
        }
    }
}

/// Who wants to know of a revision, and what was answered.
struct Question {
    except: Vec<Pods>,
    answer: Usage,
}

/// The pods of a revision, but for those of installed gateways.
#[derive(Default)]
struct Count {
    pods: usize,
    /// The name of the one seen last, and its hash.
    last: Option<(u64, String)>,
}

/// A webhook that stands for a tag.
#[derive(PartialEq)]
struct Tag {
    name: String,
    revision: String,
}

#[derive(Default)]
struct State {
    sights: HashMap<Source, WatchHealth>,
    /// The revisions of pods, by the hash of their name, and of each how many.
    pods: HashMap<u64, Arc<str>>,
    counts: HashMap<Arc<str>, Count>,
    /// The revisions and labels of pods of installed gateways, which tell whose gateway they are of.
    gateways: HashMap<u64, (String, ObjectMeta)>,
    /// The revision or tag that a namespace points to.
    namespaces: BTreeMap<String, String>,
    /// By the name of the webhook.
    tags: BTreeMap<String, Tag>,
    questions: BTreeMap<OwnerId, BTreeMap<String, Question>>,
}

/// See the module; clones share it.
#[derive(Clone)]
pub struct Users {
    state: Arc<Mutex<State>>,
    index: Index,
    synced: Arc<tokio::sync::watch::Sender<()>>,
}

impl Users {
    /// Nothing is known yet. Who asks for the use of a revision is woken through the index when it changes.
    pub fn new(index: Index) -> Self {
        Self { state: Arc::default(), index, synced: Arc::new(tokio::sync::watch::channel(()).0) }
    }

    /// Begins to watch.
    pub fn watch(&self, client: &Client) {
        for source in SOURCES {
            tokio::spawn(self.clone().follow(source, client.clone()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the tags are known, for a while: by them it is decided who injects by default.
    pub async fn tags_known(&self) {
        let (end, mut synced) = (Instant::now() + START, self.synced.subscribe());
        loop {
            let now = Instant::now();
            if now >= end || self.state().sights.get(&Source::Tags).is_some_and(|sight| sight.is_settled(now)) {
                return;
            }
            let wait = LOOK.min(end - now);
            if matches!(timeout(wait, synced.changed()).await, Ok(Err(_))) {
                return;
            }
        }
    }

    /// A tag, whoever made it.
    pub fn tag(&self, tag: &str) -> KnownTag {
        let state = self.state();
        match state.tags.values().find(|known| known.name == tag) {
            _ if !state.is_known(Source::Tags) => KnownTag::Unknown,
            Some(known) => KnownTag::Of(known.revision.clone()),
            None => KnownTag::Absent,
        }
    }

    /// Who uses a revision, but for the pods of these workloads. The resource is woken when it is others, and when a tag
    /// comes or goes, for each revision that it has asked for.
    pub fn ask(&self, id: &OwnerId, revision: &str, except: Vec<Pods>) -> Usage {
        let mut state = self.state();
        let answer = state.usage_of(revision, &except);
        let question = Question { except, answer: answer.clone() };
        state.questions.entry(id.clone()).or_default().insert(revision.to_owned(), question);
        answer
    }

    /// A resource does not want to know any more of revisions other than these.
    pub fn keep(&self, id: &OwnerId, revisions: &[&str]) {
        if let Some(asked) = self.state().questions.get_mut(id) {
            asked.retain(|revision, _| revisions.contains(&revision.as_str()));
        }
    }

    /// A resource does not want to know any more.
    pub fn forget(&self, id: &OwnerId) {
        self.state().questions.remove(id);
    }

    async fn follow(self, source: Source, client: Client) {
        let mut listed = HashSet::new();
        watch_metadata(client, &source.resource(), source.selection(), |told| {
            let is_news = match told {
                Told::Event(event) => {
                    if let (Source::Namespaces, Event::Apply(Meta { metadata })) = (source, &event) {
                        // What could not be created without it can be now.
                        let namespace = metadata.name.as_deref().unwrap_or_default();
                        self.index.wake_lacking(|key| key.namespace == namespace);
                    }
                    self.state().take_in(source, &mut listed, event)
                }
                Told::Heard => self.hear(source),
                Told::Failed(error) => self.fail(source, error),
            };
            if is_news {
                self.announce(source);
                self.synced.send_replace(());
            }
            ControlFlow::Continue(())
        })
        .await;
    }

    fn hear(&self, source: Source) -> bool {
        self.index.metrics().client.watch_heard.set_to_now(source.name().to_owned());
        let is_back = self.state().sights.entry(source).or_default().hear();
        if is_back {
            tracing::info!(what = source.name(), "the watch works again");
        }
        is_back
    }

    fn fail(&self, source: Source, error: kube::Error) -> bool {
        let error = Arc::new(ClusterError::of("watch", &source.name(), error));
        tracing::debug!(what = source.name(), %error, "watch interrupted, starting it again");
        self.index.metrics().client.watch_errors.inc(source.name().to_owned());
        let is_blind = self.state().sights.entry(source).or_default().fail(Arc::clone(&error), Instant::now());
        // That the API server is away is said elsewhere, once.
        if is_blind && !is_caused_by_outage(&*error) {
            tracing::warn!(what = source.name(), %error, "cannot be watched, so it is not known which revisions are in use");
        }
        is_blind
    }

    /// Wakes those whose answer is another now.
    fn announce(&self, source: Source) {
        let mut state = self.state();
        let mut questions = std::mem::take(&mut state.questions);
        for (id, asked) in &mut questions {
            let mut is_news = source == Source::Tags;
            for (revision, question) in asked {
                let answer = state.usage_of(revision, &question.except);
                is_news |= answer.differs(&question.answer);
                question.answer = answer;
            }
            if is_news {
                self.index.wake(id.clone());
            }
        }
        state.questions = questions;
    }
}

impl Usage {
    /// Whether there is more to it than other pods.
    fn differs(&self, other: &Self) -> bool {
        (self.by, &self.namespaces, &self.tags) != (other.by, &other.namespaces, &other.tags)
    }
}

impl State {
    fn is_known(&self, source: Source) -> bool {
        self.sights.get(&source).is_some_and(|sight| sight.is_current(Instant::now()))
    }

    /// Takes in what has happened; says whether that is something new.
    fn take_in(&mut self, source: Source, listed: &mut HashSet<u64>, event: Event<Meta>) -> bool {
        match event {
            Event::Init => {
                listed.clear();
                false
            }
            Event::InitApply(object) => {
                listed.insert(hash_of(&object.metadata));
                self.put(source, &object.metadata);
                false
            }
            Event::InitDone => {
                self.retain(source, &std::mem::take(listed));
                self.sights.entry(source).or_default().list();
                true
            }
            Event::Apply(object) => self.put(source, &object.metadata),
            Event::Delete(object) => self.remove(source, &object.metadata),
        }
    }

    /// Takes an object in; says whether that is something new.
    fn put(&mut self, source: Source, object: &ObjectMeta) -> bool {
        let name = object.name.clone().unwrap_or_default();
        match source {
            Source::Pods => self.put_pod(object),
            Source::Namespaces => match points_to(object) {
                Some(revision) => {
                    let before = self.namespaces.insert(name, revision.to_owned());
                    before.as_deref() != Some(revision)
                }
                None => self.namespaces.remove(&name).is_some(),
            },
            Source::Tags => {
                let tag = || Tag {
                    name: label(object, TAG).to_owned(),
                    revision: label(object, labels::REVISION).to_owned(),
                };
                self.tags.insert(name, tag()) != Some(tag())
            }
        }
    }

    fn put_pod(&mut self, pod: &ObjectMeta) -> bool {
        let (key, revision) = (hash_of(pod), said_by(pod).name().to_owned());
        if is_of_gateway(pod) {
            self.remove_pod(key);
            let now = (revision, brief(pod));
            let is_same = self.gateways.get(&key) == Some(&now);
            self.gateways.insert(key, now);
            return !is_same;
        }
        let was_gateway = self.gateways.remove(&key).is_some();
        if self.pods.get(&key).is_some_and(|known| **known == *revision) {
            return was_gateway;
        }
        self.remove_pod(key);
        // Every revision is held once.
        let revision =
            self.counts.get_key_value(revision.as_str()).map_or_else(|| revision.into(), |(r, _)| Arc::clone(r));
        let count = self.counts.entry(Arc::clone(&revision)).or_default();
        count.pods += 1;
        let name = [&pod.namespace, &pod.name].map(|part| part.as_deref().unwrap_or_default()).join("/");
        count.last = Some((key, name));
        self.pods.insert(key, revision);
        true
    }

    fn remove(&mut self, source: Source, object: &ObjectMeta) -> bool {
        let (key, name) = (hash_of(object), object.name.as_deref().unwrap_or_default());
        match source {
            Source::Pods => self.remove_pod(key) | self.gateways.remove(&key).is_some(),
            Source::Namespaces => self.namespaces.remove(name).is_some(),
            Source::Tags => self.tags.remove(name).is_some(),
        }
    }

    fn remove_pod(&mut self, key: u64) -> bool {
        let Some(revision) = self.pods.remove(&key) else { return false };
        if let Some(count) = self.counts.get_mut(&revision) {
            count.pods = count.pods.saturating_sub(1);
            count.last.take_if(|(last, _)| *last == key);
            if count.pods == 0 {
                self.counts.remove(&revision);
            }
        }
        true
    }

    /// Forgets what was not listed.
    fn retain(&mut self, source: Source, listed: &HashSet<u64>) {
        let named = |name: &String| listed.contains(&hash(None, Some(name)));
        match source {
            Source::Pods => {
                let gone: Vec<u64> = self.pods.keys().filter(|key| !listed.contains(*key)).copied().collect();
                for key in gone {
                    self.remove_pod(key);
                }
                self.gateways.retain(|key, _| listed.contains(key));
            }
            Source::Namespaces => self.namespaces.retain(|name, _| named(name)),
            Source::Tags => self.tags.retain(|name, _| named(name)),
        }
    }

    fn usage_of(&self, revision: &str, except: &[Pods]) -> Usage {
        let is_other = |pod: &ObjectMeta| !except.iter().any(|workload| is_of(pod, workload));
        let gateways = self.gateways.values().filter(|(of, pod)| of == revision && is_other(pod)).count();
        let count = self.counts.get(revision);
        let tags: BTreeSet<&str> =
            self.tags.values().filter(|tag| tag.revision == revision).map(|tag| tag.name.as_str()).collect();
        let namespaces = self.namespaces.iter().filter(|(_, to)| *to == revision || tags.contains(to.as_str()));
        let mut usage = Usage {
            by: Use::Unknown,
            pods: gateways + count.map_or(0, |count| count.pods),
            pod: count.and_then(|count| count.last.as_ref()).map(|(_, name)| name.clone()),
            namespaces: namespaces.map(|(name, _)| name.clone()).take(NAMED).collect(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).take(NAMED).collect(),
        };
        if SOURCES.iter().all(|source| self.is_known(*source)) {
            usage.by = match (usage.pods, usage.namespaces.is_empty()) {
                (0, true) => Use::Unused,
                (0, false) => Use::Namespaces,
                _ => Use::Pods,
            };
        }
        usage
    }
}

/// Only the pods of installed gateways say of which component they are.
fn is_of_gateway(pod: &ObjectMeta) -> bool {
    !label(pod, labels::COMPONENT).is_empty()
}

/// The namespace and the labels.
fn brief(object: &ObjectMeta) -> ObjectMeta {
    ObjectMeta { namespace: object.namespace.clone(), labels: object.labels.clone(), ..ObjectMeta::default() }
}

fn hash_of(object: &ObjectMeta) -> u64 {
    hash(object.namespace.as_deref(), object.name.as_deref())
}

fn hash(namespace: Option<&str>, name: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (namespace.unwrap_or_default(), name.unwrap_or_default()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn meta(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn listed(sources: &[Source]) -> State {
        let mut state = State::default();
        for source in sources {
            state.sights.entry(*source).or_default().list();
        }
        state
    }

    fn known() -> State {
        listed(&SOURCES)
    }

    fn by(state: &State, revision: &str) -> Use {
        state.usage_of(revision, &[]).by
    }

    fn gateway() -> Value {
        json!({"name": "gw-1", "namespace": "ns", "labels": {"istio.io/rev": "canary", "app": "gw",
            "operator.istio.io/component": "IngressGateways"}})
    }

    fn pod(name: &str, revision: &str) -> ObjectMeta {
        meta(json!({"name": name, "namespace": "shop", "labels": {"istio.io/rev": revision}}))
    }

    fn namespace(name: &str, revision: &str) -> ObjectMeta {
        meta(json!({"name": name, "labels": {"istio.io/rev": revision}}))
    }

    fn tag(name: &str, revision: &str) -> ObjectMeta {
        meta(json!({"name": format!("hook-{name}"), "labels": {"istio.io/tag": name, "istio.io/rev": revision}}))
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_unused() {
        assert_eq!(by(&State::default(), "canary"), Use::Unknown);
        assert_eq!(by(&listed(&[Source::Pods, Source::Tags]), "canary"), Use::Unknown);
        assert_eq!(by(&known(), "canary"), Use::Unused);
    }

    fn failed() -> Arc<ClusterError> {
        Arc::new(ClusterError::of("watch", &"pods", kube::Error::LinesCodecMaxLineLengthExceeded))
    }

    #[test]
    fn while_a_watch_is_blind_nothing_is_unused_and_no_tag_is_missing() {
        let long_ago = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        for blind in SOURCES {
            let mut state = known();
            state.sights.get_mut(&blind).unwrap().fail(failed(), long_ago);
            assert_eq!(by(&state, "canary"), Use::Unknown, "{blind:?}");
            assert_eq!(state.is_known(Source::Tags), blind != Source::Tags);
            state.sights.get_mut(&blind).unwrap().hear();
            assert_eq!(by(&state, "canary"), Use::Unused, "{blind:?} is back");
        }
    }

    #[test]
    fn a_revision_is_used_by_pods_and_by_namespaces_that_point_to_it() {
        let mut state = known();
        assert!(state.put(Source::Namespaces, &namespace("shop", "prod")));
        assert!(!state.put(Source::Namespaces, &namespace("shop", "prod")), "nothing new");
        assert_eq!(by(&state, "canary"), Use::Unused);
        assert!(state.put(Source::Tags, &tag("prod", "canary")));
        assert_eq!(by(&state, "canary"), Use::Namespaces);
        assert!(state.put(Source::Namespaces, &meta(json!({"name": "shop"}))), "it points nowhere any more");
        assert_eq!(by(&state, "canary"), Use::Unused);
        state.put(Source::Pods, &pod("p", "canary"));
        assert_eq!((by(&state, "canary"), by(&state, "default")), (Use::Pods, Use::Unused));
    }

    #[test]
    fn the_users_of_a_revision_are_counted_and_the_first_few_named() {
        let mut state = known();
        for name in ["a", "b", "c"] {
            assert!(state.put(Source::Pods, &pod(name, "canary")));
            assert!(!state.put(Source::Pods, &pod(name, "canary")), "nothing new");
        }
        for name in ["z", "y", "x", "w", "v", "u"] {
            state.put(Source::Namespaces, &namespace(name, "prod"));
        }
        for name in ["prod", "beta"] {
            state.put(Source::Tags, &tag(name, "canary"));
        }
        let usage = state.usage_of("canary", &[]);
        assert_eq!((usage.by, usage.pods, usage.pod.as_deref()), (Use::Pods, 3, Some("shop/c")));
        assert_eq!(usage.namespaces, ["u", "v", "w", "x", "y"]);
        assert_eq!(usage.tags, ["beta", "prod"]);

        assert!(state.remove(Source::Pods, &pod("c", "canary")));
        let usage = state.usage_of("canary", &[]);
        assert_eq!((usage.pods, usage.pod), (2, None), "nobody is named who has gone");
        state.put(Source::Pods, &pod("a", "other"));
        assert_eq!(state.usage_of("canary", &[]).pods, 1);
        state.retain(Source::Pods, &HashSet::from([hash_of(&pod("a", ""))]));
        state.retain(Source::Namespaces, &HashSet::from([hash_of(&namespace("x", ""))]));
        let usage = state.usage_of("canary", &[]);
        assert_eq!((usage.pods, usage.namespaces), (0, vec!["x".to_owned()]), "what was not listed has gone");
        assert_eq!(
            state.counts.keys().map(|r| &**r).collect::<Vec<_>>(),
            ["other"],
            "nothing is held of what has gone"
        );
    }

    #[test]
    fn a_resources_own_gateways_are_no_users_of_its_revision() {
        let mut state = known();
        state.put(Source::Pods, &meta(gateway()));
        let own: Pods = ("ns".into(), BTreeMap::from([("app".into(), "gw".into())]));
        assert_eq!((state.usage_of("canary", &[own]).by, by(&state, "canary")), (Use::Unused, Use::Pods));
    }
}
