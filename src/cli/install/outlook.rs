//! What will change, for a person: a few lines for each component.

use crate::api::component::Component;
use crate::install::forecast::{Fate, Forecast};
use crate::install::plan::Plan;
use crate::install::summary;
use crate::object::ObjectKey;
use std::collections::BTreeMap;

/// So many remarks of a kind are told; more would push the rest off the screen.
const TOLD: usize = 3;

/// What becomes of the objects of a component.
#[derive(Default)]
struct Changes {
    created: Vec<String>,
    changed: Vec<String>,
    deleted: Vec<String>,
}

/// What will change.
#[derive(Default)]
pub(super) struct Outlook {
    components: BTreeMap<Option<Component>, Changes>,
    same: usize,
    left_alone: Vec<String>,
    conflicts: Vec<String>,
    unknown: Vec<String>,
}

impl Outlook {
    /// Of forecasts of a plan.
    pub(super) fn new(forecasts: Vec<Forecast>, plan: &Plan) -> Self {
        let parts = plan.manifests().parts.iter();
        let of: BTreeMap<ObjectKey, Component> =
            parts.flat_map(|part| part.objects.iter().map(|object| (object.key(), part.component))).collect();
        let mut outlook = Self::default();
        let components = &mut outlook.components;
        for Forecast { key, fate } in forecasts {
            let name = key.to_string();
            let component = of.get(&key).copied();
            match fate {
                Fate::Same => outlook.same += 1,
                Fate::Create(_) => components.entry(component).or_default().created.push(name),
                Fate::Change(_) => components.entry(component).or_default().changed.push(name),
                Fate::Delete(deleted) => components.entry(deleted.component).or_default().deleted.push(name),
                Fate::Ignored => outlook.left_alone.push(format!("{name} (annotated {})", crate::api::IGNORE)),
                Fate::Foreign(owner) => outlook.left_alone.push(format!("{name} (of IstioOperator {owner})")),
                Fate::Conflict(owner, fields) => {
                    let fields = summary(&fields);
                    outlook
                        .conflicts
                        .push(format!("{name} (of IstioOperator {owner}, which wants {fields} otherwise)"));
                }
                Fate::Unknown(why) => outlook.unknown.push(format!("{name}: {why}")),
            }
        }
        outlook
    }

    /// The lines to tell. `kept` says what stays although it is not wanted any more.
    pub(super) fn lines(&self, kept: &[String]) -> Vec<String> {
        let mut lines = vec![];
        if self.components.is_empty() && self.conflicts.is_empty() && self.unknown.is_empty() {
            lines.push(format!("Nothing will change: {} objects are as they should be.", self.same));
        } else {
            lines.push("This will change:".to_owned());
        }
        lines.extend(self.components.iter().map(|(component, changes)| changes.line(*component)));
        let (left_alone, conflicts) = (&self.left_alone[..], &self.conflicts[..]);
        let remarks =
            [("left alone", left_alone), ("in the way", conflicts), ("kept", kept), ("not known", &self.unknown)];
        for (what, all) in remarks {
            lines.extend(all.iter().take(TOLD).map(|one| format!("  {what}: {one}")));
            if let Some(more) = all.len().checked_sub(TOLD).filter(|more| *more > 0) {
                lines.push(format!("  {what}: and {more} more"));
            }
        }
        lines
    }
}

impl Changes {
    fn line(&self, component: Option<Component>) -> String {
        let told = [("create", &self.created), ("change", &self.changed), ("delete", &self.deleted)];
        let told = told.into_iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<String> = told
            .map(|(what, names)| match (what, component) {
                // The names of what is new are those of the component's chart.
                ("create", Some(_)) if names.len() > TOLD => format!("create {}", names.len()),
                _ => format!("{what} {} ({})", names.len(), summary(names)),
            })
            .collect();
        format!("  {}: {}", component.map_or("Other objects", |component| component.info().title), told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlook_has_a_line_for_each_component_and_few_remarks() {
        let names = |n: usize| (0..n).map(|i| format!("Role a/{i}")).collect::<Vec<_>>();
        let mut outlook = Outlook { same: 2, ..Outlook::default() };
        assert_eq!(outlook.lines(&[]), ["Nothing will change: 2 objects are as they should be."]);
        outlook.components.insert(None, Changes { created: vec!["Namespace a".into()], ..Changes::default() });
        let pilot = Changes { created: names(40), changed: names(1), deleted: names(5) };
        outlook.components.insert(Some(Component::Pilot), pilot);
        outlook.unknown = names(9);
        let lines = outlook.lines(&["istiod".into()]);
        assert_eq!(
            lines[..3],
            [
                "This will change:",
                "  Other objects: create 1 (Namespace a)",
                "  Istiod: create 40, change 1 (Role a/0), delete 5 (Role a/0; Role a/1; Role a/2; and 2 more)",
            ]
        );
        assert_eq!(lines[3..5], ["  kept: istiod", "  not known: Role a/0"]);
        assert_eq!((lines.len(), lines[7].as_str()), (8, "  not known: and 6 more"));
    }
}
