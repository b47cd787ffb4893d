//! Resources as trees: conditions, components, and the objects that are not ready or that could be so.

use super::super::super::revision::found::Use;
use super::super::super::table::first;
use super::orphans::Orphans;
use super::read::{Health, Piece, Resource, State};
use std::collections::BTreeSet;

/// So many namespaces, and so many objects that are not ready, are named.
const NAMED: usize = 10;

/// A line of a tree, and those below it.
struct Branch {
    text: String,
    below: Vec<Branch>,
}

impl Branch {
    fn leaf(text: impl Into<String>) -> Self {
        Self { text: text.into(), below: vec![] }
    }

    fn draw(&self, indent: &str, into: &mut String) {
        for (at, branch) in self.below.iter().enumerate() {
            let is_last = at + 1 == self.below.len();
            let (mark, more) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            into.extend([indent, mark, branch.text.as_str(), "\n"]);
            branch.draw(&format!("{indent}{more}"), into);
        }
    }
}

/// All of it.
pub(super) fn text(state: &State) -> String {
    let mut text = String::new();
    let roots = state.resources.iter().map(root).chain(state.orphans.iter().map(orphans));
    for root in roots {
        text.push_str(&root.text);
        text.push('\n');
        root.draw("", &mut text);
    }
    if state.resources.is_empty() {
        text.insert_str(0, "There are no IstioOperator resources.\n");
    }
    if let Some(why) = &state.orphans_unknown {
        text.extend(["It is not known whether there are objects of resources that are not there: ", why, "\n"]);
    }
    text
}

/// What there is of a resource that is not, and what removes it.
fn orphans(of: &Orphans) -> Branch {
    let Orphans { namespace, name, revisions, records, objects } = of;
    let list = |all: &BTreeSet<String>| first(&all.iter().cloned().collect::<Vec<_>>(), NAMED);
    let mut below = vec![];
    if !objects.is_empty() {
        below.push(Branch::leaf(format!("{} objects: {}", objects.len(), list(objects))));
    }
    if !records.is_empty() {
        below.push(Branch::leaf(format!("records of installations: {}", list(records))));
    }
    let removal =
        |revision: &String| Branch::leaf(format!("remove it: istio-operator uninstall --revision {revision}"));
    below.extend(revisions.iter().map(removal));
    if revisions.is_empty() {
        below.push(Branch::leaf("remove it, and everything of Istio: istio-operator uninstall --purge"));
    }
    let name_it = if of.is_unnamed() { "" } else { ", with a resource of this name" };
    below.push(Branch::leaf(format!("keep it: istio-operator operator adopt -f FILE{name_it}")));
    let text = if of.is_unnamed() {
        format!("! installed for no IstioOperator, by a command (namespace {namespace})")
    } else {
        format!(
            "! installed for IstioOperator {namespace}/{name}, which is not there: by a command, or before its deletion"
        )
    };
    Branch { text, below }
}

fn root(resource: &Resource) -> Branch {
    let version = resource.version.as_deref().map(|version| format!(", version {version}")).unwrap_or_default();
    let text = format!(
        "IstioOperator {}/{}: {} (revision {}, profile {}{version}, {} old)",
        resource.namespace,
        resource.name,
        resource.status.unwrap_or("no status"),
        resource.revision,
        resource.profile,
        resource.age
    );
    let mut below: Vec<Branch> = resource.remarks.iter().map(|remark| Branch::leaf(format!("! {remark}"))).collect();
    below.extend(resource.message.iter().map(Branch::leaf));
    let conditions = resource.conditions.iter().map(|condition| {
        let message = if condition.message.is_empty() { String::new() } else { format!(": {}", condition.message) };
        Branch::leaf(format!("{} {} ({}){message}", condition.r#type, condition.status, condition.reason))
    });
    below.extend(conditions);
    below.extend(resource.held.iter().map(|held| {
        let tag = held.tag.as_deref().map(|tag| format!("tag {tag} of ")).unwrap_or_default();
        Branch::leaf(format!("held: {tag}revision {}: {}", held.revision, held.message))
    }));
    below.push(used_by(resource));
    let names: Vec<&str> = resource.components.iter().map(|component| component.name.as_str()).collect();
    below.extend(resource.components.iter().map(|component| {
        let error = component.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        let status = component.status.unwrap_or("no status");
        let own = resource.objects.iter().filter(|piece| piece.component == Some(component.name.as_str()));
        Branch { text: format!("{} {status}{error}", component.name), below: pieces(own) }
    }));
    let others =
        pieces(resource.objects.iter().filter(|piece| piece.component.is_none_or(|name| !names.contains(&name))));
    if !others.is_empty() {
        below.push(Branch { text: "other objects".to_owned(), below: others });
    }
    Branch { text, below }
}

fn used_by(resource: &Resource) -> Branch {
    let Some(Use { tags, namespaces, pods }) = &resource.used_by else {
        let why = resource.used_by_unknown.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        return Branch::leaf(format!("used by: unknown{why}"));
    };
    let names = first(namespaces, NAMED);
    let names = if names.is_empty() { names } else { format!(" ({names})") };
    let tags = if tags.is_empty() { String::new() } else { format!(", tags {}", tags.join(", ")) };
    Branch::leaf(format!("used by: {} namespaces{names}, {} pods{tags}", namespaces.len(), pods.len()))
}

/// The objects that are not as they should be, and the workloads; and how many others are there.
fn pieces<'p>(all: impl Iterator<Item = &'p Piece>) -> Vec<Branch> {
    let is_definition = |piece: &&Piece| piece.object.starts_with("CustomResourceDefinition ");
    let (told, others): (Vec<&Piece>, Vec<&Piece>) =
        all.partition(|piece| piece.health != Health::Ready || (piece.is_checked && !is_definition(piece)));
    let mut branches: Vec<Branch> = told.iter().take(NAMED).map(|piece| Branch::leaf(piece_text(piece))).collect();
    if told.len() > NAMED {
        branches.push(Branch::leaf(format!("and {} more; see -o json", told.len() - NAMED)));
    }
    if !others.is_empty() {
        branches.push(Branch::leaf(format!("✔ {} objects are there", others.len())));
    }
    branches
}

fn piece_text(piece: &Piece) -> String {
    let mark = match piece.health {
        Health::Ready => "✔",
        Health::Waiting => "…",
        Health::Failed | Health::Missing => "✘",
        Health::Unknown => "?",
    };
    let reason = piece.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{mark} {}{reason}", piece.object)
}

#[cfg(test)]
mod tests {
    use super::super::read::Component;
    use super::*;

    #[test]
    fn a_tree_names_what_is_waited_for_and_counts_what_is_there() {
        let piece = |object: &str, health, reason: Option<&str>| Piece {
            object: object.into(),
            component: Some("Pilot"),
            health,
            reason: reason.map(str::to_owned),
            is_checked: object.starts_with("Deployment"),
        };
        let resource = Resource {
            namespace: "istio-system".into(),
            name: "main".into(),
            revision: "default".into(),
            profile: "minimal".into(),
            status: Some("RECONCILING"),
            age: "5m".into(),
            remarks: vec!["nothing reconciles this resource: x".into()],
            components: vec![Component {
                name: "Pilot".into(),
                status: Some("RECONCILING"),
                version: None,
                error: None,
            }],
            objects: vec![
                piece("Deployment istio-system/istiod", Health::Waiting, Some("0 of 1 pods ready")),
                piece("Service istio-system/istiod", Health::Ready, None),
                piece("ConfigMap istio-system/istio", Health::Missing, Some("is not there")),
            ],
            ..Resource::default()
        };
        let expected = "\
IstioOperator istio-system/main: RECONCILING (revision default, profile minimal, 5m old)
├─ ! nothing reconciles this resource: x
├─ used by: unknown
└─ Pilot RECONCILING
   ├─ … Deployment istio-system/istiod: 0 of 1 pods ready
   ├─ ✘ ConfigMap istio-system/istio: is not there
   └─ ✔ 1 objects are there
";
        let state = |resources: Vec<Resource>, orphans: Vec<Orphans>| State {
            operators: None,
            resources,
            orphans,
            orphans_unknown: None,
        };
        assert_eq!(text(&state(vec![resource], vec![])), expected);
        let left = Orphans {
            namespace: "istio-system".into(),
            name: "main".into(),
            objects: BTreeSet::from(["Deployment istio-system/istiod".into()]),
            records: BTreeSet::from(["installed-state-main".into()]),
            revisions: BTreeSet::from(["default".to_owned()]),
        };
        let expected = "\
There are no IstioOperator resources.
! installed for IstioOperator istio-system/main, which is not there: by a command, or before its deletion
├─ 1 objects: Deployment istio-system/istiod
├─ records of installations: installed-state-main
├─ remove it: istio-operator uninstall --revision default
└─ keep it: istio-operator operator adopt -f FILE, with a resource of this name
";
        assert_eq!(text(&state(vec![], vec![left])), expected);
        let healthy = || Resource { is_healthy: true, ..Resource::default() };
        assert!(state(vec![healthy()], vec![]).is_well() && !state(vec![], vec![]).is_well());
        assert!(!state(vec![healthy(), Resource::default()], vec![]).is_well());
    }
}
