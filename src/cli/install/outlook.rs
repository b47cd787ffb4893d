//! What will change: for a person a few lines for each component, or a line for each object; for programs each object as data.

use super::super::output::ListFormat;
use super::super::table::line;
use super::planning::{Planned, Staying};
use crate::api::IGNORE;
use crate::api::component::Component;
use crate::diff::{Selection, change_of};
use crate::install::fields::Effect;
use crate::install::forecast::{Fate, Forecast, Refused};
use crate::install::summary;
use crate::object::ObjectKey;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::io::Write;

/// So many remarks of a kind are told; more would push the rest off the screen.
const TOLD: usize = 3;

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Create,
    Change,
    Delete,
    /// It is as it should be.
    None,
    /// It is somebody else's, or annotated so.
    LeaveAlone,
    /// It is not wanted any more, and in use.
    Keep,
    /// Another resource has it and wants it otherwise.
    Conflict,
    /// The API server would refuse it.
    Fail,
    /// The API server does not say.
    Unknown,
}

impl Action {
    /// As remarks and lines name it.
    fn told(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::None => "none",
            Self::LeaveAlone => "left alone",
            Self::Keep => "kept",
            Self::Conflict => "in the way",
            Self::Fail => "will fail",
            Self::Unknown => "not known",
        }
    }

    /// Whether an installation ends with an error for it, or does nothing of a component.
    fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Conflict)
    }
}

/// An object, and what becomes of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    api_version: String,
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "by_name")]
    component: Option<Component>,
    action: Action,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // the signature that serde calls
fn by_name<S: Serializer>(component: &Option<Component>, serializer: S) -> Result<S::Ok, S::Error> {
    component.map(Component::name).serialize(serializer)
}

/// What will change.
#[derive(Default)]
pub(super) struct Outlook {
    rows: Vec<Row>,
    /// What stays although it is not wanted any more, and why.
    kept: Vec<String>,
    /// The user who lacks permissions for some of it.
    pub(super) user: Option<String>,
}

impl Outlook {
    /// Of what is planned, the forecasts of which are taken.
    pub(super) fn new(planned: &mut Planned) -> Self {
        let mut outlook = Self::default();
        for forecast in std::mem::take(&mut planned.forecasts) {
            if let Fate::Refused(Refused { user: Some(user), .. }) = &forecast.fate {
                outlook.user.get_or_insert_with(|| user.clone());
            }
            outlook.rows.push(Row::of(forecast));
        }
        for Staying { istiod, keys, why } in &planned.staying {
            outlook.kept.push(format!("{istiod} and all that it needs, since its control plane {why}"));
            let version = |key: &ObjectKey| planned.versions.get(key).cloned().unwrap_or_default();
            let kept = |key: &ObjectKey| {
                Row::new(key.clone(), version(key), None, (Action::Keep, format!("its control plane {why}")))
            };
            outlook.rows.extend(keys.iter().map(kept));
        }
        outlook
    }

    /// How many objects an installation would fail at.
    pub(super) fn failures(&self) -> usize {
        self.rows.iter().filter(|row| row.action.is_failure()).count()
    }

    /// The lines to tell. With `all` each object has one; else a component has one, and what will fail.
    pub(super) fn lines(&self, all: bool) -> Vec<String> {
        let changes: Vec<&Row> = self.rows.iter().filter(|row| row.action <= Action::Delete).collect();
        let mut components: BTreeMap<Option<Component>, Vec<&Row>> = BTreeMap::new();
        for row in &changes {
            components.entry(row.component).or_default().push(row);
        }
        let has = |action: Action| self.rows.iter().any(|row| row.action == action);
        let mut lines = vec![match () {
            () if !components.is_empty() => "This will change:".to_owned(),
            () if self.failures() > 0 => "This would fail:".to_owned(),
            () if has(Action::Unknown) => "It is not known what will change:".to_owned(),
            () => {
                let same = self.rows.iter().filter(|row| row.action == Action::None).count();
                format!("Nothing will change: {same} objects are as they should be.")
            }
        }];
        for (component, rows) in components {
            lines.push(component_line(component, &rows, !all));
            lines.extend(rows.iter().filter(|_| all).map(|row| format!("    {}", row.told_change())));
        }
        let remarks = [Action::LeaveAlone, Action::Conflict, Action::Keep, Action::Unknown, Action::Fail];
        for action in remarks {
            let told: Vec<String> = match action {
                Action::Keep => self.kept.clone(),
                _ => self.rows.iter().filter(|row| row.action == action).map(Row::told_remark).collect(),
            };
            let most = if all || action.is_failure() { told.len() } else { TOLD };
            let what = action.told();
            lines.extend(told.iter().take(most).map(|one| format!("  {what}: {one}")));
            if let Some(more) = told.len().checked_sub(most).filter(|more| *more > 0) {
                lines.push(format!("  {what}: and {more} more"));
            }
        }
        lines
    }

    /// Prints each object as data, or a table of them.
    ///
    /// # Errors
    /// Nothing can be written to `out`.
    pub(super) fn print(&self, format: ListFormat, out: &mut dyn Write) -> anyhow::Result<()> {
        format.print(&self.rows, |rows| table(rows), out)
    }
}

fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let mut lines = vec![line(["ACTION", "COMPONENT", "API VERSION", "KIND", "NAMESPACE", "NAME", "REASON"])];
    lines.extend(rows.iter().map(|row| {
        let component = row.component.map_or("", Component::name);
        // A line of a table is one.
        let reason = row.reason.replace('\n', " ");
        line([row.action.told(), component, &row.api_version, &row.kind, &row.namespace, &row.name, &reason])
    }));
    lines
}

/// The counts of a component, with the names of the first few objects where no lines of their own follow.
fn component_line(component: Option<Component>, rows: &[&Row], is_alone: bool) -> String {
    let mut told = vec![];
    for action in [Action::Create, Action::Change, Action::Delete] {
        let names: Vec<String> = rows.iter().filter(|row| row.action == action).map(|row| row.key()).collect();
        let what = action.told();
        match (action, component) {
            _ if names.is_empty() => {}
            _ if !is_alone => told.push(format!("{what} {}", names.len())),
            // The names of what is new are those of the component's chart.
            (Action::Create, Some(_)) if names.len() > TOLD => told.push(format!("{what} {}", names.len())),
            _ => told.push(format!("{what} {} ({})", names.len(), summary(&names))),
        }
    }
    format!("  {}: {}", component.map_or("Other objects", |component| component.info().title), told.join(", "))
}

impl Row {
    fn new(key: ObjectKey, api_version: String, component: Option<Component>, told: (Action, String)) -> Self {
        let ObjectKey { kind, namespace, name, .. } = key;
        let (action, reason) = told;
        Self { api_version, kind, namespace, name, component, action, reason }
    }

    fn of(Forecast { key, api_version, component, fate }: Forecast) -> Self {
        let told = match fate {
            Fate::Same => (Action::None, String::new()),
            Fate::Create(_) => (Action::Create, String::new()),
            Fate::Change(effect) => (Action::Change, fields_of(&key, *effect)),
            Fate::Delete(_) => (Action::Delete, "no longer wanted".to_owned()),
            Fate::Ignored => (Action::LeaveAlone, format!("annotated {IGNORE}")),
            Fate::Foreign(owner) => (Action::LeaveAlone, format!("of IstioOperator {owner}")),
            Fate::Conflict(owner, fields) => {
                (Action::Conflict, format!("of IstioOperator {owner}, which wants {} otherwise", summary(&fields)))
            }
            Fate::Refused(refused) => (Action::Fail, refused.why),
            Fate::Unknown(error) => (Action::Unknown, error.to_string()),
        };
        Self::new(key, api_version, component, told)
    }

    fn key(&self) -> String {
        let Self { kind, namespace, name, .. } = self;
        if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
    }

    fn told_change(&self) -> String {
        let reason = if self.action == Action::Change { format!(" ({})", self.reason) } else { String::new() };
        format!("{} {}{reason}", self.action.told(), self.key())
    }

    fn told_remark(&self) -> String {
        match self.action {
            Action::Fail | Action::Unknown => format!("{}: {}", self.key(), self.reason),
            _ => format!("{} ({})", self.key(), self.reason),
        }
    }
}

/// The fields in which an object changes.
fn fields_of(key: &ObjectKey, Effect { before, after }: Effect) -> String {
    let change = change_of(key, [Some(before), Some(after)], &Selection::default());
    let fields: Vec<String> = change.into_iter().flat_map(|change| change.fields).map(|field| field.path).collect();
    summary(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(action: Action, component: Option<Component>, count: usize) -> impl Iterator<Item = Row> {
        (0..count).map(move |i| {
            let (kind, namespace, name) = ("Role".into(), "a".into(), i.to_string());
            let key = ObjectKey { group: "rbac.authorization.k8s.io".into(), kind, namespace, name };
            Row::new(key, "rbac.authorization.k8s.io/v1".into(), component, (action, "why".into()))
        })
    }

    fn outlook() -> Outlook {
        let pilot = Some(Component::Pilot);
        let mut all = Outlook::default();
        all.rows.extend(rows(Action::None, pilot, 2));
        all.rows.extend(rows(Action::Create, None, 1));
        all.rows.extend(rows(Action::Create, pilot, 40));
        all.rows.extend(rows(Action::Change, pilot, 1));
        all.rows.extend(rows(Action::Delete, pilot, 5));
        all.rows.extend(rows(Action::Unknown, pilot, 9));
        all.kept.push("istiod".into());
        all
    }

    #[test]
    fn an_outlook_has_a_line_for_each_component_and_few_remarks() {
        let same = Outlook { rows: rows(Action::None, None, 2).collect(), ..Outlook::default() };
        assert_eq!(same.lines(false), ["Nothing will change: 2 objects are as they should be."]);
        let lines = outlook().lines(false);
        assert_eq!(
            lines[..3],
            [
                "This will change:",
                "  Other objects: create 1 (Role a/0)",
                "  Istiod: create 40, change 1 (Role a/0), delete 5 (Role a/0; Role a/1; Role a/2; and 2 more)",
            ]
        );
        assert_eq!(lines[3..5], ["  kept: istiod", "  not known: Role a/0: why"]);
        assert_eq!((lines.len(), lines[7].as_str()), (8, "  not known: and 6 more"));
    }

    #[test]
    fn what_will_fail_is_told_object_by_object() {
        let mut outlook = outlook();
        assert_eq!(outlook.failures(), 0);
        outlook.rows.extend(rows(Action::Fail, None, 5));
        let told = |line: &&String| line.starts_with("  will fail: Role a/");
        assert_eq!((outlook.lines(false).iter().filter(told).count(), outlook.failures()), (5, 5));
    }

    #[test]
    fn all_objects_are_told_where_nothing_else_is_done() {
        let lines = outlook().lines(true);
        assert_eq!(lines.iter().filter(|line| line.starts_with("    create Role a/")).count(), 41);
        assert!(lines.contains(&"    change Role a/0 (why)".to_owned()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains(": and ")), "{lines:?}");
        let mut out = vec![];
        outlook().print(ListFormat::Json, &mut out).unwrap();
        let all: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(all.as_array().unwrap().len(), 58);
        assert_eq!(
            all[3],
            serde_json::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "namespace": "a", "name": "0",
                "component": "Pilot", "action": "create", "reason": "why"})
        );
    }
}
