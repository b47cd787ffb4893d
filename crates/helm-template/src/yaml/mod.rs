//! YAML as Go's yaml.v2 reads it, and as Helm writes it.
//!
//! | module | in → out |
//! |---|---|
//! | [`read`] | text → trees, with the YAML 1.1 scalar rules of Go's yaml.v2, and where in the text each part stands |
//! | [`write`](mod@write) | tree → text, byte for byte as Helm's `toYaml` and `toYamlPretty` |
//! | [`scalar`] | the text of a plain scalar → its type and value |

pub mod read;
pub mod scalar;
pub mod write;

pub use read::{
    Document, DuplicateKey, Duplicates, HelmYamlError, Position, Spans, Step, YamlError, parse, parse_document,
    parse_documents, parse_helm, parse_helm_map, parse_strict,
};
pub use write::{to_string, to_string_pretty};
