//! That what is selected is there.

use crate::diff::Selection;
use crate::object::ObjectKey;
use anyhow::bail;
use std::collections::BTreeSet;

/// That there is something to compare: what was selected and is not there is not the same on both sides. What fits nothing
/// beside patterns that fit is told.
///
/// # Errors
/// No pattern fits an object of either side.
pub(super) fn check(
    selection: &Selection,
    before: impl Iterator<Item = ObjectKey>,
    after: impl Iterator<Item = ObjectKey>,
) -> anyhow::Result<()> {
    let keys: BTreeSet<ObjectKey> = before.chain(after).collect();
    let without = selection.without_objects(&keys);
    if selection.selects_nothing(&keys) {
        bail!("nothing is compared: --select {}", without.join("; "));
    }
    for told in without {
        eprintln!("Warning: --select {told}");
    }
    Ok(())
}
