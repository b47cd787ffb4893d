//! Where the parts of a spec came from.

use crate::spec::path::{Element, Path, item_of};
use crate::spec::positions;
use helm_template::yaml::Document;
use helm_template::yaml::scalar::{Scalar, resolve};
use serde_json::Value;

/// Where a spec came from, to tell where a problem is.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    files: Vec<(String, Document)>,
    flags: Vec<Flag>,
    /// The merged resource, which tells which item of a list a flag meant.
    result: Value,
}

/// A flag of a command.
#[derive(Clone, Debug)]
struct Flag {
    /// As it was given.
    text: String,
    /// Its value as it was given.
    value: String,
    /// The path it wrote to.
    path: Path,
}

impl Origin {
    /// Adds a file, which is merged over those before it.
    pub(super) fn add_file(&mut self, name: &str, document: Document) {
        self.files.push((name.to_owned(), document));
    }

    /// Adds a `--set` argument and the path it wrote to.
    pub(super) fn add_flag(&mut self, flag: &str, path: Path) {
        let value = flag.split_once('=').map(|(_, value)| value.trim().to_owned()).unwrap_or_default();
        self.flags.push(Flag { text: format!("--set {flag}"), value, path });
    }

    /// Adds another flag, its value, and the path it wrote to.
    pub(super) fn add_override(&mut self, text: String, value: &Value, path: Path) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.flags.push(Flag { text, value, path });
    }

    /// Notes the resource that all of them were merged to.
    pub(super) fn finish(&mut self, result: &Value) {
        if !self.flags.is_empty() {
            self.result = result.clone();
        }
    }

    /// `FILE:LINE:COLUMN` of a path such as `spec.components.pilot` where it came from a file, the flag where it came from
    /// one, such as `--set hub=x`. If several set it, the last one, as its value counts.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<String> {
        let wanted = Path::parse(path).ok().map(|p| self.concrete(&p)).unwrap_or_default();
        let flag = |fits: &dyn Fn(&[String]) -> bool| {
            let found = self.flags.iter().rev().find(|flag| fits(&self.concrete(&flag.path)));
            found.map(|flag| flag.text.clone())
        };
        let in_file = || {
            self.files.iter().rev().find_map(|(name, document)| {
                let at = positions::find(&document.spans, path)?;
                Some(format!("{name}:{}:{}", at.line, at.column))
            })
        };
        // First a flag that set this field or a parent of it, then a file that has it, then a flag that set something in it.
        flag(&|at| wanted.starts_with(at)).or_else(in_file).or_else(|| flag(&|at| at.starts_with(&wanted)))
    }

    /// The text of the scalar at a path as it is written, in the last flag or file that sets it.
    #[must_use]
    pub fn written(&self, path: &str) -> Option<String> {
        let wanted = Path::parse(path).ok().map(|p| self.concrete(&p)).unwrap_or_default();
        let in_flag = self.flags.iter().rev().find(|flag| self.concrete(&flag.path) == wanted);
        let in_file = || {
            let texts = self.files.iter().rev().filter_map(|(_, document)| positions::text(&document.spans, path));
            texts.filter(|text| resolve(text) != Scalar::Null).map(str::to_owned).next()
        };
        in_flag.map(|flag| flag.value.clone()).or_else(in_file)
    }

    /// [`locate`](Self::locate) for an item of a merged list, whose index in its file may be another: the item of the same
    /// name and namespace.
    #[must_use]
    pub fn locate_item(&self, path: &str, item: &Value) -> Option<String> {
        let (list, _) = path.rsplit_once('[')?;
        let pointer = format!("/{}", list.replace('.', "/"));
        let text = |of: &Value, field: &str| of.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_it = |other: &Value| ["name", "namespace"].iter().all(|field| text(other, field) == text(item, field));
        let in_file = self.files.iter().rev().find_map(|(name, document)| {
            let items = document.value.pointer(&pointer)?.as_array()?;
            let at = positions::find(&document.spans, &format!("{list}[{}]", items.iter().position(is_it)?))?;
            Some(format!("{name}:{}:{}", at.line, at.column))
        });
        in_file.or_else(|| self.locate(&format!("{list}[name:{}]", text(item, "name"))))
    }

    /// The elements of a path as text, items of lists by their index wherever the result has them.
    fn concrete(&self, path: &Path) -> Vec<String> {
        let mut node = Some(&self.result);
        let mut steps = vec![];
        for element in path.elements() {
            let index = node.and_then(Value::as_array).and_then(|items| Some((items, item_of(items, element)?)));
            let (step, next) = match (index, element) {
                (Some((items, index)), _) => (format!("[{index}]"), items.get(index)),
                (None, Element::Key(key)) => (key.clone(), node.and_then(|n| n.get(key))),
                (None, other) => (other.to_string(), None),
            };
            steps.push(step);
            node = next;
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::request::from_files;

    #[test]
    fn a_problem_is_located_in_the_last_place_that_wrote_it() {
        let file = "kind: IstioOperator\nspec:\n  hub: a\n  components:\n    ingressGateways:\n    - name: gw\n      enabld: 1\n";
        let sets = ["components.ingressGateways[name:gw].k8s.x=1", "hub=b", "tag=c", "components.pilot.a.b=1"];
        let sets = sets.map(str::to_owned);
        let request = from_files(&[("f.yaml".into(), file.into())], &sets).unwrap();
        for (path, place) in [
            ("spec.hub", Some("--set hub=b")),
            ("spec.tag", Some("--set tag=c")),
            ("spec.components.ingressGateways[0].enabld", Some("f.yaml:7:7")),
            ("spec.components.ingressGateways[0].k8s.x", Some("--set components.ingressGateways[name:gw].k8s.x=1")),
            (
                "spec.components.ingressGateways[name:gw].k8s.x",
                Some("--set components.ingressGateways[name:gw].k8s.x=1"),
            ),
            ("spec.components.pilot.a", Some("--set components.pilot.a.b=1")),
            ("spec.components", Some("f.yaml:4:3")),
            ("spec.profile", None),
        ] {
            assert_eq!(request.origin.locate(path).as_deref(), place, "{path}");
        }
    }
}
