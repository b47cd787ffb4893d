//! What a function or method takes, in Go's types.

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`: anything, nil included
    Any,
    /// bool
    Bool,
    /// int
    Int,
    /// int64
    Int64,
    /// float64
    Float,
    /// string
    String,
    /// `map[string]interface {}`
    Map,
    /// `[]interface {}`
    List,
    /// uint32, which only `derivePassword` takes
    Uint32,
    /// `time.Time`
    Time,
    /// `reflect.Value`: anything, checked by the function itself (`eq`, `index`, `len`); a
    /// [`Function`](super::Function) cannot tell it from `Any`
    Reflect,
    /// `sprig.certificate`
    Certificate,
}

impl Type {
    /// The name Go prints in "expected T".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::String => "string",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Uint32 => "uint32",
            Self::Time => "time.Time",
            Self::Reflect => "reflect.Value",
            Self::Certificate => "sprig.certificate",
        }
    }
}

/// What a function or method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of the arguments after them, for a variadic one.
    pub variadic: Option<Type>,
}
