//! A value as reflection sees it: with or without an interface around it.

use super::super::signature::Type;
use super::super::value::{ListKind, MapKind, Value};

/// A value and whether its static type is `interface {}`, as that of a map's element is.
///
/// It matters for nil, which is a nil interface when boxed and no value at all when not, and for the types error texts
/// name.
#[derive(Clone)]
pub(in super::super) struct Slot {
    pub value: Value,
    pub boxed: bool,
}

impl Slot {
    /// No value.
    pub(in super::super) const INVALID: Self = Self { value: Value::Nil, boxed: false };

    /// A value of its own type.
    pub(in super::super) fn bare(value: Value) -> Self {
        Self { value, boxed: false }
    }

    /// A value in an interface.
    pub(in super::super) fn boxed(value: Value) -> Self {
        Self { value, boxed: true }
    }

    /// A function's result.
    pub(in super::super) fn result(value: Value) -> Self {
        let boxed = matches!(value, Value::Nil);
        Self { value, boxed }
    }

    pub(in super::super) fn is_nil(&self) -> bool {
        matches!(self.value, Value::Nil)
    }

    pub(in super::super) fn is_invalid(&self) -> bool {
        self.is_nil() && !self.boxed
    }

    /// The static type's name.
    pub(super) fn type_name(&self) -> &str {
        if self.boxed { Type::Any.name() } else { self.value.type_name() }
    }

    /// An element of a list of this kind.
    pub(in super::super) fn item(kind: ListKind, value: Value) -> Self {
        Self { value, boxed: kind == ListKind::Any }
    }

    /// The value of a map's key, or the zero value of the map's element type.
    pub(in super::super) fn entry(kind: MapKind, value: Option<Value>) -> Self {
        match kind {
            MapKind::Any | MapKind::Values => Self::boxed(value.unwrap_or(Value::Nil)),
            MapKind::Strings => Self::bare(value.unwrap_or_else(|| Value::string(""))),
        }
    }
}
