//! Where keys and items of a document stand in its text.

use super::compose::{Graph, Kind, Node, NodeId};
use super::decode::key_text;

/// A place in a text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line from 1.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
}

/// Source positions of one document. Nothing is computed before it is asked for.
#[derive(Debug, Clone)]
pub struct Spans {
    graph: Graph,
}

/// Most aliases followed for one element; an anchor that holds itself would have no end.
const MAX_HOPS: usize = 16;

/// One step from a node to one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value of this key of a map.
    Key(&'a str),
    /// The item of a list, from 0.
    Index(usize),
    /// The first map in a list of which the entry `key` has the text `value`.
    Entry {
        /// Name of the entry.
        key: &'a str,
        /// Its text.
        value: &'a str,
    },
}

impl Spans {
    pub(super) fn new(graph: Graph) -> Self {
        Self { graph }
    }

    /// Where the last step of a path leads: to the key in a map, to the item in a list. The empty path is the document
    /// itself. `None` if the document has no such place.
    #[must_use]
    pub fn find<'a>(&self, path: impl IntoIterator<Item = Step<'a>>) -> Option<Position> {
        self.walk(path).ok().map(|(position, _)| position)
    }

    /// The text of the scalar at a path as it is written, without quotes. `None` if there is no scalar.
    #[must_use]
    pub fn text<'a>(&self, path: impl IntoIterator<Item = Step<'a>>) -> Option<&str> {
        let (_, node) = self.walk(path).ok()?;
        match &self.target(node).kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Position of the deepest part of a path that the document has; for errors about what is missing.
    #[must_use]
    pub fn nearest<'a>(&self, path: impl IntoIterator<Item = Step<'a>>) -> Position {
        self.walk(path).map_or_else(|deepest| deepest, |(position, _)| position)
    }

    /// Position and node, or the position of the deepest part there is.
    fn walk<'a>(&self, path: impl IntoIterator<Item = Step<'a>>) -> Result<(Position, &Node), Position> {
        let mut node = self.graph.root();
        let mut position = node.position;
        for step in path {
            let found = match (step, &self.target(node).kind) {
                (Step::Key(key), Kind::Mapping(entries)) => self.entry(entries, key, 0),
                (Step::Index(index), Kind::Sequence(items)) => items.get(index).map(|id| (*id, *id)),
                (Step::Entry { key, value }, Kind::Sequence(items)) => {
                    items.iter().find(|id| self.has(**id, key, value)).map(|id| (*id, *id))
                }
                _ => None,
            };
            let (at, next) = found.ok_or(position)?;
            position = self.graph.node(at).position;
            node = self.graph.node(next);
        }
        Ok((position, node))
    }

    /// Key and value node of the last entry with this key, also in merged maps.
    fn entry(&self, entries: &[NodeId], key: &str, hops: usize) -> Option<(NodeId, NodeId)> {
        let pairs = entries.chunks_exact(2).rev().filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)));
        for (key_id, value_id) in pairs {
            let key_node = self.graph.node(key_id);
            if super::decode::is_merge(key_node) {
                if hops < MAX_HOPS
                    && let Kind::Mapping(merged) = &self.target(self.graph.node(value_id)).kind
                    && let Some(found) = self.entry(merged, key, hops + 1)
                {
                    return Some(found);
                }
            } else if key_text(self.target(key_node)).as_deref() == Some(key) {
                return Some((key_id, value_id));
            }
        }
        None
    }

    fn has(&self, item: NodeId, key: &str, value: &str) -> bool {
        let Kind::Mapping(entries) = &self.target(self.graph.node(item)).kind else { return false };
        self.entry(entries, key, 0)
            .is_some_and(|(_, id)| key_text(self.target(self.graph.node(id))).as_deref() == Some(value))
    }

    fn target<'a>(&'a self, node: &'a Node) -> &'a Node {
        let mut node = node;
        for _ in 0..MAX_HOPS {
            let Kind::Alias { target, .. } = &node.kind else { break };
            node = self.graph.node(*target);
        }
        node
    }
}
