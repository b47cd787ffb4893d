//! Patches that undo what an earlier patch of the same object did.

use crate::spec::path::{Element, Path, item_of};
use serde_json::Value;

/// A step to a place that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

struct Done {
    /// Where the patch is written.
    written: String,
    at: Vec<Step>,
}

/// What patches have done to one object so far.
#[derive(Default)]
pub(super) struct Trail(Vec<Done>);

/// A patch that is about to be made.
pub(super) struct Next {
    at: Vec<Step>,
    deletes: bool,
    /// What stands now where each earlier patch wrote.
    stands: Vec<Option<Value>>,
}

impl Trail {
    /// Looks at the object before a patch.
    pub(super) fn before(&self, tree: &Value, path: &Path, deletes: bool) -> Next {
        let stands = self.0.iter().map(|done| at(tree, &done.at).cloned()).collect();
        Next { at: steps(tree, path), deletes, stands }
    }

    /// Looks at it after the patch: where the earlier patches are written that it has undone.
    pub(super) fn after(&mut self, tree: &Value, next: Next, written: &str) -> Vec<String> {
        let mut undone = vec![];
        let mut stands = next.stands.into_iter();
        self.0.retain_mut(|done| {
            let stood = stands.next().flatten();
            let is_undone = if next.deletes && removes_item(&next.at, done) {
                true
            } else {
                let above = done.at.starts_with(&next.at);
                let within = next.deletes && next.at.starts_with(&done.at);
                (above || within) && at(tree, &done.at) != stood.as_ref()
            };
            if is_undone {
                undone.push(done.written.clone());
            }
            !is_undone
        });
        self.0.push(Done { written: written.to_owned(), at: next.at });
        undone
    }
}

/// Whether the item of a list that goes is what was written, or what that is in; what follows it in the list moves up.
fn removes_item(gone: &[Step], done: &mut Done) -> bool {
    let Some((Step::Item(index), list)) = gone.split_last() else { return false };
    if !done.at.starts_with(list) {
        return false;
    }
    match done.at.get_mut(list.len()) {
        Some(Step::Item(other)) if other == index => true,
        Some(Step::Item(other)) if *other > *index => {
            *other -= 1;
            false
        }
        _ => false,
    }
}

fn at<'t>(tree: &'t Value, steps: &[Step]) -> Option<&'t Value> {
    steps.iter().try_fold(tree, |node, step| match step {
        Step::Key(key) => node.get(key),
        Step::Item(index) => node.get(index),
    })
}

/// The place that a path means in a tree, or would make.
fn steps(tree: &Value, path: &Path) -> Vec<Step> {
    let mut node = Some(tree);
    let mut steps = vec![];
    for element in path.elements() {
        let items = node.and_then(Value::as_array);
        let length = items.map_or(0, Vec::len);
        let step = match (element, items) {
            (Element::Index(index), _) => Step::Item(usize::try_from(*index).unwrap_or(length).min(length)),
            (_, Some(items)) => Step::Item(item_of(items, element).unwrap_or(length)),
            (Element::Key(key), None) => Step::Key(key.clone()),
            (other, None) => Step::Key(other.to_string()),
        };
        node = node.and_then(|n| at(n, std::slice::from_ref(&step)));
        steps.push(step);
    }
    steps
}
