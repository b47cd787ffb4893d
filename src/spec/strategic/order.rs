//! The order of a merged list.

use serde_json::Value;

/// Orders merged items: those that `order` names in its order, those only in the base in theirs, and between the two the
/// base's item first exactly if the base has both and has it before the other. Equal items count once.
pub(super) fn interleave(
    merged: Vec<Value>,
    base: &[Value],
    order: &[Value],
    identity: impl Fn(&Value) -> Option<String>,
) -> Vec<Value> {
    let identities = |items: &[Value]| items.iter().map(&identity).collect::<Vec<_>>();
    let (order, base) = (identities(order), identities(base));
    let place = |name: &Option<String>, list: &[Option<String>]| list.iter().position(|other| other == name);
    let mut seen: Vec<Option<String>> = Vec::new();
    let mut named: Vec<(Option<usize>, Option<String>, Value)> = Vec::new();
    let mut rest: Vec<(Option<usize>, Value)> = Vec::new();
    for item in merged {
        let name = identity(&item);
        if name.is_some() && seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        match place(&name, &order) {
            Some(index) => named.push((Some(index), name, item)),
            None => rest.push((place(&name, &base), item)),
        }
    }
    named.sort_by_key(|(index, ..)| *index);
    let mut rest = rest.into_iter().peekable();
    let mut out = Vec::new();
    for (_, name, item) in named {
        let here = place(&name, &base);
        let before =
            |(there, _): &(Option<usize>, Value)| matches!((there, here), (Some(there), Some(here)) if *there < here);
        while let Some((_, earlier)) = rest.next_if(before) {
            out.push(earlier);
        }
        out.push(item);
    }
    out.extend(rest.map(|(_, item)| item));
    out
}
