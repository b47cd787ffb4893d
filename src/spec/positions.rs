//! The position of a path in the text of a document.
//!
//! In: the [`Spans`] of a document and a path in text form (`spec.list[0].name`, `spec.list[name:x]`). Out: a
//! [`Position`], or the text there. A path with a regular expression has none, nor has a text that is not a path.

use super::path::{Element, Path};
use helm_template::yaml::{Position, Spans, Step};

/// The position of the last element of a path: the key in a map, the item in a list. `None` if the document has no such place.
#[must_use]
pub fn find(spans: &Spans, path: &str) -> Option<Position> {
    let path = Path::parse(path).ok()?;
    let steps: Option<Vec<_>> = path.elements().iter().map(step).collect();
    spans.find(steps?)
}

/// The position of the deepest element of a path that the document has; for errors about what is missing.
#[must_use]
pub fn nearest(spans: &Spans, path: &str) -> Position {
    let path = Path::parse(path).unwrap_or_default();
    spans.nearest(path.elements().iter().map_while(step))
}

/// The text of the scalar at a path as it is written, without quotes. `None` if there is no scalar.
#[must_use]
pub fn text<'s>(spans: &'s Spans, path: &str) -> Option<&'s str> {
    let path = Path::parse(path).ok()?;
    let steps: Option<Vec<_>> = path.elements().iter().map(step).collect();
    spans.text(steps?)
}

fn step(element: &Element) -> Option<Step<'_>> {
    match element {
        Element::Key(key) => Some(Step::Key(key)),
        Element::Index(index) => usize::try_from(*index).ok().map(Step::Index),
        Element::KeyValue { key, value } => Some(Step::Entry { key, value }),
        Element::Match(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use helm_template::yaml::parse_document;

    #[test]
    fn a_path_in_text_form_leads_to_its_place() {
        let document = parse_document("spec:\n  list:\n  - name: w\n  \"k.e\": {z: 1}\n").unwrap().unwrap();
        let at = |path| find(&document.spans, path).map(|p| (p.line, p.column));
        assert_eq!(at(""), Some((1, 1)));
        assert_eq!(at("spec.list[0]"), Some((3, 5)));
        assert_eq!(at("spec.list[name:w].name"), Some((3, 5)));
        assert_eq!(at(r"spec.k\.e.z"), Some((4, 11)));
        assert_eq!(text(&document.spans, r"spec.k\.e.z"), Some("1"));
        for nowhere in ["spec.nope", "spec.list[-1]", "spec.list[:w.*]", "spec.list[0"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
        assert_eq!(nearest(&document.spans, "spec.list[7].x"), Position { line: 2, column: 3 });
    }
}
