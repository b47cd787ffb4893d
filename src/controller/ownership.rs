//! Which resources want which objects, and which of them owns an object that several want.
//!
//! One rule, so that there is no race: an object stays with the owner that its labels name, as long as that resource wants it;
//! otherwise the oldest resource owns it. Objects of the base (CRDs, cluster-wide roles), which serves all revisions, belong to
//! the resource with the newest version. The other resources do not write the object: they share it if they want the same, and
//! report a conflict if they do not.

use crate::api::component::Component;
use crate::install::installed_state as record;
use crate::object::ObjectKey;
use crate::object::OwnerId;
use crate::object::manifests::revision_label;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a resource wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// When the resource was created, RFC 3339 in UTC.
    pub since: String,
    /// The version it installs.
    pub version: String,
    /// `spec.revision`, empty for none.
    pub revision: String,
    /// Whether its present spec says so, rather than what it was last seen to have.
    pub is_current: bool,
    /// Whether it wants the revision tag `default` without having been asked to.
    pub is_default_unasked: bool,
    /// The objects.
    pub keys: BTreeSet<ObjectKey>,
}

#[derive(Default)]
struct State {
    claims: BTreeMap<OwnerId, Wants>,
    by_key: HashMap<ObjectKey, BTreeSet<OwnerId>>,
}

/// The claims of all resources.
#[derive(Default)]
pub struct Ownership(Mutex<State>);

impl Ownership {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what a resource wants now, `None` when it is gone. Returns the other resources that this concerns.
    pub fn set(&self, id: &OwnerId, claim: Option<Wants>) -> BTreeSet<OwnerId> {
        let mut state = self.state();
        let before = match claim.clone() {
            Some(claim) => state.claims.insert(id.clone(), claim),
            None => state.claims.remove(id),
        };
        if before == claim {
            return BTreeSet::new();
        }
        let (before, now) = (before.unwrap_or_default(), claim.unwrap_or_default());
        let mut concerned = BTreeSet::new();
        for key in before.keys.union(&now.keys) {
            let wanted_by = state.by_key.entry(key.clone()).or_default();
            let wanted = now.keys.contains(key);
            let changed = if wanted { wanted_by.insert(id.clone()) } else { wanted_by.remove(id) };
            if changed || before.is_current != now.is_current || before.version != now.version {
                concerned.extend(wanted_by.iter().filter(|other| *other != id).cloned());
            }
            if wanted_by.is_empty() {
                state.by_key.remove(key);
            }
        }
        concerned
    }

    /// What a resource wants, if that is known.
    pub fn get(&self, id: &OwnerId) -> Option<Wants> {
        self.state().claims.get(id).cloned()
    }

    /// The resources of which it is known what they want.
    pub fn known(&self) -> Vec<OwnerId> {
        self.state().claims.keys().cloned().collect()
    }

    /// The other resources of a revision.
    pub fn others_of_revision(&self, id: &OwnerId, revision: &str) -> BTreeSet<OwnerId> {
        let is_other = |(other, claim): &(&OwnerId, &Wants)| {
            *other != id && revision_label(&claim.revision) == revision_label(revision)
        };
        self.state().claims.iter().filter(is_other).map(|(other, _)| other.clone()).collect()
    }

    /// Says that the present spec of a resource is not known to want what it is known to have.
    pub fn mark_stale(&self, id: &OwnerId) -> BTreeSet<OwnerId> {
        let claim = self.get(id).map(|claim| Wants { is_current: false, ..claim });
        claim.map(|claim| self.set(id, Some(claim))).unwrap_or_default()
    }

    /// Whether the record of a resource with this name and revision has the name of another one's record, and that other one
    /// may have it: the one with the longer name does.
    pub fn is_record_name_taken(&self, id: &OwnerId, revision: &str) -> bool {
        let wanted = record::name(&id.name, revision);
        let state = self.state();
        let mut others = state
            .claims
            .iter()
            .filter(|(other, _)| other.namespace == id.namespace && other.name.len() > id.name.len());
        others.any(|(other, claim)| record::name(&other.name, &claim.revision) == wanted)
    }

    /// The resources that want an object.
    pub fn wanted_by(&self, key: &ObjectKey) -> Vec<OwnerId> {
        self.state().by_key.get(key).into_iter().flatten().cloned().collect()
    }

    /// Those of the objects that are wanted, each with who wants it.
    pub fn wanted(&self, is_asked: impl Fn(&ObjectKey) -> bool) -> Vec<(ObjectKey, OwnerId)> {
        let state = self.state();
        let found = state.by_key.iter().filter(|(key, _)| is_asked(key));
        found.flat_map(|(key, owners)| owners.iter().map(|owner| (key.clone(), owner.clone()))).collect()
    }

    /// Whether a resource other than this one wants an object.
    pub fn is_wanted_by_another(&self, id: &OwnerId, key: &ObjectKey) -> bool {
        self.state().by_key.get(key).is_some_and(|all| all.iter().any(|other| other != id))
    }

    /// Whether a resource with another control plane has a better claim to what this one, created then, would have without
    /// having been asked to: one that was asked to, else the unnamed one, else an older one.
    pub fn is_better_claimed(&self, id: &OwnerId, since: &str, revision: &str, key: &ObjectKey) -> bool {
        let state = self.state();
        let mine = revision_label(revision);
        let others = state.by_key.get(key).into_iter().flatten().filter(|other| *other != id);
        let claims = others.filter_map(|other| Some((other, state.claims.get(other)?)));
        let mut claims = claims.filter(|(_, claim)| claim.is_current && revision_label(&claim.revision) != mine);
        claims.any(|(other, claim)| {
            let rank = |since: &str, revision: &str, id: &OwnerId| (!revision.is_empty(), since.to_owned(), id.clone());
            !claim.is_default_unasked || rank(&claim.since, &claim.revision, other) < rank(since, revision, id)
        })
    }

    /// The resource that owns an object which `id` wants too, if that is not `id` itself. `named` is the owner that the labels of
    /// the live object name; without one only resources that will create the object count.
    pub fn other_owner(
        &self,
        id: &OwnerId,
        key: &ObjectKey,
        component: Component,
        named: Option<&OwnerId>,
    ) -> Option<OwnerId> {
        let state = self.state();
        let all = state.by_key.get(key).filter(|all| all.len() > 1)?;
        let claims = all.iter().filter_map(|owner| Some((owner, state.claims.get(owner)?)));
        let able = claims.filter(|(owner, claim)| named.is_some() || claim.is_current || *owner == id);
        let holder = able.min_by_key(|(owner, claim)| {
            let version = Reverse(if component == Component::Base { numbers(&claim.version) } else { vec![] });
            (version, named != Some(*owner), claim.since.clone(), (*owner).clone())
        });
        holder.map(|(owner, _)| owner).filter(|owner| *owner != id).cloned()
    }
}

/// The numbers of a version, to tell which is newer.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> OwnerId {
        OwnerId::new("ns", name)
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey { group: String::new(), kind: "Service".into(), namespace: "ns".into(), name: name.into() }
    }

    fn claim(since: &str, version: &str, names: &[&str]) -> Wants {
        let keys = names.iter().map(|n| key(n)).collect();
        Wants { since: since.into(), version: version.into(), is_current: true, keys, ..Wants::default() }
    }

    fn two() -> Ownership {
        let claims = Ownership::default();
        claims.set(&id("old"), Some(claim("2020", "1.17.8", &["a", "b"])));
        claims.set(&id("young"), Some(claim("2021", "1.17.8", &["b", "c"])));
        claims
    }

    #[test]
    fn of_two_with_one_record_name_the_longer_named_resource_has_it() {
        let claims = Ownership::default();
        let with = |revision: &str| Some(Wants { revision: revision.into(), ..Wants::default() });
        claims.set(&id("a"), with("b-c"));
        claims.set(&id("a-b"), with("c"));
        assert!(claims.is_record_name_taken(&id("a"), "b-c") && !claims.is_record_name_taken(&id("a-b"), "c"));
        assert!(!claims.is_record_name_taken(&id("a"), "other"));
    }

    #[test]
    fn an_object_that_nobody_has_yet_is_the_oldest_claimants() {
        let claims = two();
        let holder = |who: &str, what: &str| claims.other_owner(&id(who), &key(what), Component::Pilot, None);
        assert_eq!((holder("young", "b"), holder("old", "b")), (Some(id("old")), None));
        assert_eq!((holder("young", "c"), holder("old", "a")), (None, None), "nobody else wants these");
    }

    #[test]
    fn an_object_stays_with_the_claimant_that_has_it() {
        let claims = two();
        let named = |name: &str| {
            let named = id(name);
            ["old", "young"].map(|me| claims.other_owner(&id(me), &key("b"), Component::Pilot, Some(&named)))
        };
        assert_eq!(named("young"), [Some(id("young")), None]);
        assert_eq!(named("gone"), [None, Some(id("old"))], "whoever is gone holds nothing");
    }

    #[test]
    fn the_base_is_the_newest_versions() {
        let claims = two();
        claims.set(&id("newer"), Some(claim("2022", "1.20.0", &["b"])));
        let old = id("old");
        let holder = |component| claims.other_owner(&id("newer"), &key("b"), component, Some(&old));
        assert_eq!((holder(Component::Base), holder(Component::Pilot)), (None, Some(id("old"))));
    }

    #[test]
    fn what_nobody_asked_for_is_the_oldest_resources_or_whose_who_asked() {
        let claims = Ownership::default();
        let of = |revision: &str, is_default_unasked: bool| {
            Some(Wants { revision: revision.into(), is_default_unasked, ..claim("2021", "1.17.8", &["tag"]) })
        };
        let is_anothers =
            |since: &str, revision: &str| claims.is_better_claimed(&id("me"), since, revision, &key("tag"));
        claims.set(&id("other"), of("canary", true));
        assert!(!is_anothers("2020", "third") && is_anothers("2022", "third"), "the older one has it");
        assert!(!is_anothers("2022", ""), "before an older one the unnamed one has it");
        assert!(!is_anothers("2022", "canary"), "both have one control plane");
        claims.set(&id("other"), of("", true));
        assert!(is_anothers("2020", "third"), "before an older one the unnamed one has it");
        claims.set(&id("other"), of("canary", false));
        assert!(is_anothers("2020", "third"), "the other one was asked to");
        claims.mark_stale(&id("other"));
        assert!(!is_anothers("2020", "third"), "it may not want it any more");
    }

    #[test]
    fn who_cannot_create_an_object_does_not_hold_up_who_can() {
        let claims = two();
        claims.mark_stale(&id("old"));
        let holder = |named: Option<&OwnerId>| claims.other_owner(&id("young"), &key("b"), Component::Pilot, named);
        assert_eq!(holder(None), None);
        assert_eq!(holder(Some(&id("old"))), Some(id("old")), "what it has stays its");
    }

    #[test]
    fn others_of_a_revision_are_those_whose_specs_name_it() {
        let claims = two();
        let of = |revision: &str| Some(Wants { revision: revision.into(), ..Wants::default() });
        claims.set(&id("named"), of("default"));
        claims.set(&id("canary"), of("canary"));
        assert_eq!(claims.others_of_revision(&id("old"), ""), BTreeSet::from([id("named"), id("young")]));
        assert_eq!(claims.others_of_revision(&id("canary"), "canary"), BTreeSet::new());
    }

    #[test]
    fn those_who_share_an_object_hear_when_others_want_it_or_give_it_up() {
        let claims = two();
        let nobody = BTreeSet::new();
        assert_eq!(claims.set(&id("young"), Some(claim("2021", "1.17.8", &["b", "c"]))), nobody, "nothing new");
        assert_eq!(claims.set(&id("young"), Some(claim("2021", "1.17.8", &["c"]))), BTreeSet::from([id("old")]));
        assert_eq!(claims.set(&id("young"), Some(claim("2021", "1.17.8", &["b"]))), BTreeSet::from([id("old")]));
        assert!(claims.is_wanted_by_another(&id("old"), &key("b")));
        assert_eq!(claims.set(&id("young"), None), BTreeSet::from([id("old")]));
        assert!(!claims.is_wanted_by_another(&id("old"), &key("b")));
        assert_eq!(claims.wanted_by(&key("b")), [id("old")]);
    }
}
