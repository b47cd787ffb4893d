//! The injection templates of an installation, parsed.

use super::error::InjectError;
use super::functions;
use super::injector::Injector;
use helm_template::gotmpl::{ParseError, TemplateSet};
use std::collections::BTreeMap;

/// Templates by name. What one of them defines, the others do not see.
#[derive(Clone)]
pub(super) struct Templates {
    /// One that cannot be parsed stops only those who ask for it: some are not for pods at all, but for gateways that
    /// istiod makes by itself.
    sets: BTreeMap<String, Result<TemplateSet, ParseError>>,
    injector: Injector,
}

impl Templates {
    /// Parses all of them.
    pub(super) fn parse(texts: &BTreeMap<String, String>) -> Self {
        let parsed = |(name, text): (&String, &String)| {
            let mut set = TemplateSet::new(name, functions::functions());
            (name.clone(), set.parse(name, text).map(|()| set))
        };
        Self { sets: texts.iter().map(parsed).collect(), injector: Injector::of(texts.values().map(String::as_str)) }
    }

    /// The template of this name.
    pub(super) fn get(&self, name: &str) -> Result<&TemplateSet, InjectError> {
        match self.sets.get(name) {
            Some(Ok(set)) => Ok(set),
            Some(Err(error)) => Err(InjectError::Parse(error.clone())),
            None => {
                let known = self.sets.keys().cloned().collect::<Vec<_>>().join(", ");
                Err(InjectError::UnknownTemplate { name: name.to_owned(), known })
            }
        }
    }

    /// The injector that they are written for.
    pub(super) fn injector(&self) -> Injector {
        self.injector
    }
}
