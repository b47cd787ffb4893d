//! The templates that may call each other by name.
//!
//! In: the texts of files. Out: a set in which every template of every file can be found by name. Parsed templates are
//! `Send + Sync` and shared: a clone of a set costs a few pointers, and what is parsed into the clone is not seen by the
//! original.

use super::super::ast::Template;
use super::super::error::ParseError;
use super::super::parser::{self, MAX_NODES, Room};
use super::functions::Functions;
use std::collections::HashMap;
use std::sync::Arc;

/// Templates by name, one name space for all files parsed into it.
#[derive(Clone)]
pub struct TemplateSet {
    name: Arc<str>,
    functions: Arc<Functions>,
    /// What was there when the set was cloned, shared with the other clones.
    base: Arc<HashMap<String, Arc<Template>>>,
    /// What was parsed since; wins over `base`.
    own: HashMap<String, Arc<Template>>,
    /// What may still be parsed into it.
    room: Room,
}

impl TemplateSet {
    /// An empty set; the name appears only in the error about an unknown template.
    #[must_use]
    pub fn new(name: &str, functions: Arc<Functions>) -> Self {
        Self { name: name.into(), functions, base: Arc::default(), own: HashMap::new(), room: Room::default() }
    }

    /// Parses a file: its own body becomes the template `file`, each `define` and `block` a template of its name.
    ///
    /// As in Go, a later template replaces an earlier one of its name unless its body is empty (white space and comments).
    ///
    /// # Errors
    /// Go's text for a syntax error, an unknown function or a name defined twice in this file; or there is too much of it.
    /// No template is added then.
    pub fn parse(&mut self, file: &str, text: impl AsRef<[u8]>) -> Result<(), ParseError> {
        for template in parser::parse(file, text.as_ref(), &|name| self.functions.id(name), &mut self.room)? {
            if template.is_empty() && self.contains(&template.name) {
                continue;
            }
            let (name, template) = (template.name.clone(), Arc::new(template));
            match Arc::get_mut(&mut self.base) {
                Some(base) if self.own.is_empty() => base.insert(name, template),
                _ => self.own.insert(name, template),
            };
        }
        Ok(())
    }

    /// Whether there is a template of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.base.contains_key(name)
    }

    /// How many nodes all its templates have.
    #[must_use]
    pub fn size(&self) -> usize {
        MAX_NODES - self.room.nodes
    }

    /// How many templates a clone of the set copies.
    #[must_use]
    pub fn own(&self) -> usize {
        self.own.len()
    }

    /// The name of the set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Template>> {
        self.own.get(name).or_else(|| self.base.get(name))
    }

    pub(super) fn functions(&self) -> &Functions {
        &self.functions
    }
}
