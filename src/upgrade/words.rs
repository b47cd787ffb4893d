//! A plan as a person reads it.

use super::{AddedField, GoneField, PlannedChange, ProxyPlan, UpgradePlan};
use crate::diff::{Change, are_labels, summary};
use std::collections::BTreeMap;
use std::fmt;

/// So many fields of an object are named.
const NAMED: usize = 4;

impl fmt::Display for UpgradePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: from {} ({}) to {}", self.resource, self.from, self.from_source, self.to)?;
        section(f, "This is in the way:", &self.blocked_by)?;
        if !self.skipped_minors.is_empty() {
            let skipped = self.skipped_minors.join(", ");
            writeln!(f, "\nSkipped minor releases: {skipped}. Istio tests upgrades by one minor release in place.")?;
        }
        writeln!(f, "\nKubernetes: the release supports {} and newer.", self.needs_kubernetes)?;
        section(f, "Fields that are gone:", &self.gone_fields.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        section(f, "Hazards:", &self.hazards.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        self.write_objects(f)?;
        match &self.restarts {
            Some(restarts) if restarts.is_empty() => writeln!(f, "\nNo pods restart.")?,
            Some(restarts) => section(f, "Pods that restart, of:", restarts)?,
            None => writeln!(f, "\nPods that restart: unknown.")?,
        }
        write!(f, "{}", self.proxies)?;
        section(f, "New fields:", &by_release(&self.added_fields))?;
        section(f, "Notes:", &self.notes)
    }
}

fn section<T: AsRef<str>>(f: &mut fmt::Formatter<'_>, title: &str, lines: &[T]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {}", line.as_ref()))
}

impl UpgradePlan {
    fn write_objects(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(objects) = &self.objects else { return writeln!(f, "\nObjects that differ: unknown.") };
        let summary = objects.summary;
        let (create, change, delete) = (summary.create, summary.change, summary.delete);
        writeln!(f, "\nObjects: {create} to create, {change} to change, {delete} to delete.")?;
        for kind in [Change::Create, Change::Change, Change::Delete] {
            let shown = |object: &&PlannedChange| object.change == kind && !are_labels(&object.fields);
            for object in objects.changes.iter().filter(shown) {
                writeln!(f, "  {object}{}", if object.stays() { " (stays in the cluster)" } else { "" })?;
            }
        }
        match objects.changes.iter().filter(|object| are_labels(&object.fields)).count() {
            0 => Ok(()),
            labelled => writeln!(f, "  change {labelled} others in their labels only"),
        }
    }
}

impl fmt::Display for PlannedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.change.name(), self.key)?;
        let paths: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        if paths.is_empty() { Ok(()) } else { write!(f, ": {}", summary(&paths, NAMED)) }
    }
}

impl fmt::Display for GoneField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.removed_in {
            Some(release) => write!(f, "{}: removed in {release}", self.path)?,
            None => write!(f, "{}: not there yet", self.path)?,
        }
        match &self.instead {
            _ if self.is_of_profile => write!(f, "; remove it: it says what the profile says now"),
            Some(instead) => write!(f, "; use {instead}"),
            None => write!(f, "; remove it"),
        }
    }
}

impl fmt::Display for super::Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)?;
        if self.at.is_empty() { Ok(()) } else { write!(f, " ({})", self.at.join(", ")) }
    }
}

impl fmt::Display for ProxyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nProxies: {}.", self.rule)?;
        if let Some(why) = &self.unknown {
            return writeln!(f, "  Which there are is unknown: {why}.");
        }
        if self.namespaces.is_empty() {
            return writeln!(f, "  There are none beside the gateways above.");
        }
        for one in &self.namespaces {
            let versions: Vec<_> =
                one.versions.iter().map(|(version, count)| format!("{count} of {version}")).collect();
            write!(f, "  {}: {}; {} to restart", one.namespace, versions.join(", "), one.must_restart)?;
            match one.unknown {
                0 => writeln!(f)?,
                unknown => writeln!(f, ", {unknown} of unknown release (restart them, too)")?,
            }
        }
        Ok(())
    }
}

/// A line for each release.
fn by_release(fields: &[AddedField]) -> Vec<String> {
    let mut releases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for field in fields {
        releases.entry(&field.since).or_default().push(field.path.strip_prefix("spec.").unwrap_or(&field.path));
    }
    releases.iter().map(|(release, paths)| format!("{release}: {}", paths.join(", "))).collect()
}
