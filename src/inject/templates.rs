//! The injection templates of an installation, parsed.

use super::error::InjectError;
use super::functions;
use helm_template::gotmpl::TemplateSet;
use std::collections::BTreeMap;

/// Templates by name. What one of them defines, the others do not see.
#[derive(Clone)]
pub(super) struct Templates(BTreeMap<String, TemplateSet>);

impl Templates {
    /// Parses all of them.
    pub(super) fn parse(texts: &BTreeMap<String, String>) -> Result<Self, Vec<InjectError>> {
        let mut sets = BTreeMap::new();
        let mut errors = vec![];
        for (name, text) in texts {
            let mut set = TemplateSet::new(name, functions::functions());
            match set.parse(name, text) {
                Ok(()) => drop(sets.insert(name.clone(), set)),
                Err(error) => errors.push(InjectError::Parse(error)),
            }
        }
        if errors.is_empty() { Ok(Self(sets)) } else { Err(errors) }
    }

    /// The template of this name.
    pub(super) fn get(&self, name: &str) -> Result<&TemplateSet, InjectError> {
        self.0.get(name).ok_or_else(|| {
            let known = self.0.keys().cloned().collect::<Vec<_>>().join(", ");
            InjectError::UnknownTemplate { name: name.to_owned(), known }
        })
    }
}
