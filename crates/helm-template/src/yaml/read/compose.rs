//! Tokens to a graph of nodes, one document at a time.
//!
//! In: the text. Out: a [`Graph`] whose aliases point at the nodes they name. Nothing is interpreted yet, so that one
//! graph serves the tree as well as the source positions. What is an error and in which words follows libyaml.

use std::collections::HashMap;

use super::error::YamlError;
use super::scanner::{Scan, Scanner, TokenKind};
use super::source::Mark;
use super::spans::Position;

/// Deepest nesting of a text. (`serde_json` stops at 128, so trees from an API server are no deeper.)
pub(super) const MAX_DEPTH: usize = 256;

/// Most nodes of a stream.
const MAX_NODES: usize = 500_000;

/// Index of a node in its graph.
pub(super) type NodeId = usize;

/// A node as written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) position: Position,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// `plain`: the type is to be found from the text (unquoted without a tag, or tagged `!`).
    Scalar {
        text: String,
        tag: Option<String>,
        plain: bool,
    },
    Sequence(Vec<NodeId>),
    /// Keys and values in turn.
    Mapping(Vec<NodeId>),
    Alias {
        name: String,
        target: NodeId,
    },
}

/// One document.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    empty: Node,
}

impl Graph {
    /// The node with this id. Ids come from the graph itself, so there always is one; an empty scalar stands in for none.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id).unwrap_or(&self.empty)
    }

    pub(super) fn root(&self) -> &Node {
        self.node(0)
    }

    /// Whether nothing at all is written in the document.
    pub(super) fn is_blank(&self) -> bool {
        matches!(&self.root().kind, Kind::Scalar { text, tag: None, plain: true } if text.is_empty())
    }
}

/// Reads document after document.
pub(super) struct Composer<'t> {
    scanner: Scanner<'t>,
    budget: usize,
    first: bool,
    nodes: Vec<Node>,
    anchors: HashMap<String, NodeId>,
    /// Handle and prefix of tags, for the current document.
    tags: Vec<(String, String)>,
    depth: usize,
}

/// Anchor and tag in front of a node.
#[derive(Default)]
struct Properties {
    anchor: Option<String>,
    tag: Option<String>,
}

/// What the parser decides by: the kind of a token without its content.
fn is_document_boundary(kind: &TokenKind) -> bool {
    use TokenKind::{DocumentEnd, DocumentStart, StreamEnd, TagDirective, Version};
    matches!(kind, Version { .. } | TagDirective { .. } | DocumentStart | DocumentEnd | StreamEnd)
}

impl<'t> Composer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            scanner: Scanner::new(text),
            budget: MAX_NODES,
            first: true,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            tags: Vec::new(),
            depth: 0,
        }
    }

    /// The next document, `None` at the end of the stream.
    pub(super) fn next_document(&mut self) -> Scan<Option<Graph>> {
        if !std::mem::take(&mut self.first) {
            while self.at(|kind| *kind == TokenKind::DocumentEnd)? {
                self.scanner.take();
            }
        } else if !self.at(is_document_boundary)? || self.at(|kind| *kind == TokenKind::DocumentEnd)? {
            self.tags.clear();
            return self.document(false).map(Some);
        }
        if self.at(|kind| *kind == TokenKind::StreamEnd)? {
            return Ok(None);
        }
        self.directives()?;
        if !self.at(|kind| *kind == TokenKind::DocumentStart)? {
            return self.fail("did not find expected <document start>");
        }
        self.scanner.take();
        self.document(true).map(Some)
    }

    /// An error if the next thing is neither the end of the text nor the start of a document, which yaml.v2 overlooks
    /// after a first document and loses the rest of the text.
    pub(super) fn expect_boundary(&mut self) -> Scan<()> {
        if self.at(is_document_boundary)? {
            return Ok(());
        }
        self.fail("this line belongs to nothing above it; check its indentation")
    }

    fn document(&mut self, may_be_empty: bool) -> Scan<Graph> {
        if may_be_empty && self.at(is_document_boundary)? {
            self.empty()?;
        } else {
            self.node(true, false)?;
        }
        if self.at(|kind| *kind == TokenKind::DocumentEnd)? {
            self.scanner.take();
        }
        self.anchors.clear();
        let kind = Kind::Scalar { text: String::new(), tag: None, plain: true };
        let empty = Node { kind, position: Position { line: 1, column: 1 } };
        Ok(Graph { nodes: std::mem::take(&mut self.nodes), empty })
    }

    fn directives(&mut self) -> Scan<()> {
        self.tags.clear();
        let mut versions = 0;
        while self.at(|kind| matches!(kind, TokenKind::Version { .. } | TokenKind::TagDirective { .. }))? {
            let mark = self.mark()?;
            match self.scanner.take().map(|token| token.kind) {
                Some(TokenKind::Version { .. }) if versions > 0 => {
                    return Err(YamlError::parser(mark, "found duplicate %YAML directive"));
                }
                Some(TokenKind::Version { major: 1, minor: 1 }) => versions += 1,
                Some(TokenKind::Version { .. }) => {
                    return Err(YamlError::parser(mark, "found incompatible YAML document"));
                }
                Some(TokenKind::TagDirective { handle, .. }) if self.tags.iter().any(|(known, _)| *known == handle) => {
                    return Err(YamlError::parser(mark, "found duplicate %TAG directive"));
                }
                Some(TokenKind::TagDirective { handle, prefix }) => self.tags.push((handle, prefix)),
                _ => {}
            }
        }
        Ok(())
    }

    /// One node and everything in it. `block`: block collections may start here; `indentless`: so may a list at the
    /// indentation of its key.
    fn node(&mut self, block: bool, indentless: bool) -> Scan<NodeId> {
        let start = self.mark()?;
        if let TokenKind::Alias(_) = self.scanner.peek()?.kind {
            return self.alias(start);
        }
        let properties = self.properties()?;
        match &self.scanner.peek()?.kind {
            TokenKind::BlockEntry if indentless => self.collection(start, properties, false, Self::indentless_items),
            TokenKind::Scalar { .. } => self.scalar(start, properties),
            TokenKind::FlowSequenceStart => self.collection(start, properties, false, Self::flow_items),
            TokenKind::FlowMappingStart => self.collection(start, properties, true, Self::flow_entries),
            TokenKind::BlockSequenceStart if block => self.collection(start, properties, false, Self::block_items),
            TokenKind::BlockMappingStart if block => self.collection(start, properties, true, Self::block_entries),
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                let plain = properties.tag.is_none();
                let kind = Kind::Scalar { text: String::new(), tag: properties.tag, plain };
                self.add(kind, start, properties.anchor)
            }
            _ => self.fail("did not find expected node content"),
        }
    }

    fn alias(&mut self, start: Mark) -> Scan<NodeId> {
        let Some(TokenKind::Alias(name)) = self.scanner.take().map(|token| token.kind) else {
            return self.fail("did not find expected node content");
        };
        let Some(target) = self.anchors.get(&name).copied() else {
            return Err(YamlError::at(start.position(), format!("unknown anchor '{name}' referenced")));
        };
        self.add(Kind::Alias { name, target }, start, None)
    }

    fn scalar(&mut self, start: Mark, properties: Properties) -> Scan<NodeId> {
        let Some(TokenKind::Scalar { text, plain }) = self.scanner.take().map(|token| token.kind) else {
            return self.fail("did not find expected node content");
        };
        let plain = match properties.tag.as_deref() {
            None => plain,
            Some(tag) => tag == "!",
        };
        self.add(Kind::Scalar { text, tag: properties.tag, plain }, start, properties.anchor)
    }

    fn properties(&mut self) -> Scan<Properties> {
        let mut properties = Properties::default();
        loop {
            match &self.scanner.peek()?.kind {
                TokenKind::Anchor(_) if properties.anchor.is_none() => {}
                TokenKind::Tag { .. } if properties.tag.is_none() => {}
                _ => return Ok(properties),
            }
            let mark = self.mark()?;
            match self.scanner.take().map(|token| token.kind) {
                Some(TokenKind::Anchor(name)) => properties.anchor = Some(name),
                Some(TokenKind::Tag { handle, suffix }) => {
                    properties.tag = Some(self.full_tag(mark, &handle, suffix)?);
                }
                _ => {}
            }
        }
    }

    fn full_tag(&self, mark: Mark, handle: &str, suffix: String) -> Scan<String> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        let own = self.tags.iter().find(|(known, _)| known == handle).map(|(_, prefix)| prefix.as_str());
        let prefix = own.or(match handle {
            "!" => Some("!"),
            "!!" => Some("tag:yaml.org,2002:"),
            _ => None,
        });
        match prefix {
            Some(prefix) => Ok(format!("{prefix}{suffix}")),
            None => Err(YamlError::parser(mark, "found undefined tag handle")),
        }
    }

    fn collection(
        &mut self,
        start: Mark,
        properties: Properties,
        mapping: bool,
        children: impl FnOnce(&mut Self, &mut Vec<NodeId>) -> Scan<()>,
    ) -> Scan<NodeId> {
        if self.depth >= MAX_DEPTH {
            return Err(YamlError::at(start.position(), format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let id = self.add(Kind::Sequence(Vec::new()), start, properties.anchor)?;
        self.depth += 1;
        let mut ids = Vec::new();
        children(self, &mut ids)?;
        self.depth -= 1;
        if let Some(node) = self.nodes.get_mut(id) {
            node.kind = if mapping { Kind::Mapping(ids) } else { Kind::Sequence(ids) };
        }
        Ok(id)
    }

    fn block_items(&mut self, ids: &mut Vec<NodeId>) -> Scan<()> {
        self.scanner.take();
        while self.taken(&TokenKind::BlockEntry)? {
            let empty = self.at(|kind| matches!(kind, TokenKind::BlockEntry | TokenKind::BlockEnd))?;
            ids.push(if empty { self.empty()? } else { self.node(true, false)? });
        }
        if self.taken(&TokenKind::BlockEnd)? { Ok(()) } else { self.fail("did not find expected '-' indicator") }
    }

    fn indentless_items(&mut self, ids: &mut Vec<NodeId>) -> Scan<()> {
        use TokenKind::{BlockEnd, BlockEntry, Key, Value};
        while self.taken(&BlockEntry)? {
            let empty = self.at(|kind| matches!(kind, BlockEntry | Key | Value | BlockEnd))?;
            ids.push(if empty { self.empty()? } else { self.node(true, false)? });
        }
        Ok(())
    }

    fn block_entries(&mut self, ids: &mut Vec<NodeId>) -> Scan<()> {
        self.scanner.take();
        while self.taken(&TokenKind::Key)? {
            ids.push(self.block_entry()?);
            let value = if self.taken(&TokenKind::Value)? { self.block_entry()? } else { self.empty()? };
            ids.push(value);
        }
        if self.taken(&TokenKind::BlockEnd)? { Ok(()) } else { self.fail("did not find expected key") }
    }

    /// The key or the value after its indicator.
    fn block_entry(&mut self) -> Scan<NodeId> {
        use TokenKind::{BlockEnd, Key, Value};
        if self.at(|kind| matches!(kind, Key | Value | BlockEnd))? { self.empty() } else { self.node(true, true) }
    }

    fn flow_items(&mut self, ids: &mut Vec<NodeId>) -> Scan<()> {
        self.scanner.take();
        let mut first = true;
        while !self.at(|kind| *kind == TokenKind::FlowSequenceEnd)? {
            if !std::mem::take(&mut first) {
                if !self.taken(&TokenKind::FlowEntry)? {
                    return self.fail("did not find expected ',' or ']'");
                }
                if self.at(|kind| *kind == TokenKind::FlowSequenceEnd)? {
                    break;
                }
            }
            let start = self.mark()?;
            ids.push(if self.at(|kind| *kind == TokenKind::Key)? {
                self.collection(start, Properties::default(), true, Self::flow_pair)?
            } else {
                self.node(false, false)?
            });
        }
        self.scanner.take();
        Ok(())
    }

    /// `[a: b]`: a map of one entry.
    fn flow_pair(&mut self, ids: &mut Vec<NodeId>) -> Scan<()> {
        use TokenKind::{FlowEntry, FlowSequenceEnd, Value};
        self.scanner.take();
        let ends = |kind: &TokenKind| matches!(kind, FlowEntry | FlowSequenceEnd);
        if self.at(|kind| *kind == Value || ends(kind))? {
            ids.push(self.empty()?);
            // libyaml loses this token, so that `[? : x]` is an error there.
            self.scanner.take();
        } else {
            ids.push(self.node(false, false)?);
        }
        let valued = self.taken(&Value)? && !self.at(ends)?;
        ids.push(if valued { self.node(false, false)? } else { self.empty()? });
        Ok(())
    }

    fn flow_entries(&mut self, ids: &mut Vec<NodeId>) -> Scan<()> {
        use TokenKind::{FlowEntry, FlowMappingEnd, Key, Value};
        self.scanner.take();
        let ends = |kind: &TokenKind| matches!(kind, FlowEntry | FlowMappingEnd);
        let mut first = true;
        while !self.at(|kind| *kind == FlowMappingEnd)? {
            if !std::mem::take(&mut first) {
                if !self.taken(&FlowEntry)? {
                    return self.fail("did not find expected ',' or '}'");
                }
                if self.at(|kind| *kind == FlowMappingEnd)? {
                    break;
                }
            }
            if self.taken(&Key)? {
                let empty = self.at(|kind| *kind == Value || ends(kind))?;
                ids.push(if empty { self.empty()? } else { self.node(false, false)? });
                let valued = self.taken(&Value)? && !self.at(ends)?;
                ids.push(if valued { self.node(false, false)? } else { self.empty()? });
            } else {
                ids.push(self.node(false, false)?);
                ids.push(self.empty()?);
            }
        }
        self.scanner.take();
        Ok(())
    }

    fn at(&mut self, test: impl FnOnce(&TokenKind) -> bool) -> Scan<bool> {
        Ok(test(&self.scanner.peek()?.kind))
    }

    /// Takes the next token if it is this one.
    fn taken(&mut self, kind: &TokenKind) -> Scan<bool> {
        let here = self.scanner.peek()?.kind == *kind;
        if here {
            self.scanner.take();
        }
        Ok(here)
    }

    fn mark(&mut self) -> Scan<Mark> {
        Ok(self.scanner.peek()?.start)
    }

    fn empty(&mut self) -> Scan<NodeId> {
        let start = self.mark()?;
        self.add(Kind::Scalar { text: String::new(), tag: None, plain: true }, start, None)
    }

    fn add(&mut self, kind: Kind, start: Mark, anchor: Option<String>) -> Scan<NodeId> {
        self.budget = self.budget.checked_sub(1).ok_or_else(|| {
            YamlError::limit(format!("more than {MAX_NODES} nodes; split the text into several files"))
        })?;
        let id = self.nodes.len();
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
        self.nodes.push(Node { kind, position: start.position() });
        Ok(id)
    }

    fn fail<T>(&mut self, problem: &str) -> Scan<T> {
        Err(YamlError::parser(self.mark()?, problem))
    }
}
