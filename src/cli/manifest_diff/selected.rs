//! Checks that the selected objects exist.

use crate::diff::Selection;
use crate::object::ObjectKey;
use anyhow::bail;
use std::collections::BTreeSet;

/// That there is something to compare: what was selected and is not there is not the same on both sides. What fits nothing
/// beside patterns that fit is told, and so is what leaves out or renames nothing. `before` has the names that it has itself.
///
/// # Errors
/// No pattern fits an object of either side.
pub(super) fn check(
    selection: &Selection,
    before: impl Iterator<Item = ObjectKey>,
    after: impl Iterator<Item = ObjectKey>,
) -> anyhow::Result<()> {
    let before: BTreeSet<ObjectKey> = before.collect();
    let keys: BTreeSet<ObjectKey> = before.iter().cloned().map(|key| selection.renamed(key)).chain(after).collect();
    let without = selection.without_objects(&keys);
    if selection.selects_nothing(&keys) {
        bail!("nothing is compared: --select {}", without.join("; "));
    }
    for (flag, without) in [
        ("select", without),
        ("ignore", selection.ignored_without_objects(&keys)),
        ("rename", selection.renamed_without_objects(&before)),
    ] {
        for told in without {
            eprintln!("Warning: --{flag} {told}");
        }
    }
    Ok(())
}
