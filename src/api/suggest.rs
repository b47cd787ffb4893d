//! The known names an unknown one may stand for, by edit distance.

/// Most names that are suggested.
const MOST: usize = 3;

/// Known names near `name`, nearest first, at most three. Case does not count; a swap of neighbours counts as one edit;
/// up to a third of the letters may differ. A known name that starts with the given one counts as near too.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let limit = (wanted.len() / 3).max(1);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|candidate| {
            let lower: Vec<char> = candidate.to_lowercase().chars().collect();
            let prefix = wanted.len() >= 3 && lower.starts_with(&wanted);
            let far = lower.len().abs_diff(wanted.len()) > limit;
            let distance = if prefix || !far { distance(&wanted, &lower) } else { usize::MAX };
            (prefix || distance <= limit).then_some((if prefix { distance.min(limit) } else { distance }, candidate))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MOST).map(|(_, name)| name.to_owned()).collect()
}

/// ` (did you mean "a" or "b"?)` for the end of a message, or nothing.
#[must_use]
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = nearest(name, known).iter().map(|name| format!("{name:?}")).collect();
    if quoted.is_empty() { String::new() } else { format!(" (did you mean {}?)", quoted.join(" or ")) }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        let mut last_b = None;
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&above, j) + usize::from(x != y)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if j > 0 && last_a == Some(y) && last_b == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
            last_b = Some(y);
        }
        before = std::mem::replace(&mut above, row);
        last_a = Some(x);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_near() {
        let known = ["meshConfig", "components", "values", "profile", "namespace"];
        for (name, expected) in
            [("meshconfig", "meshConfig"), ("vlaues", "values"), ("profil", "profile"), ("component", "components")]
        {
            assert_eq!(nearest(name, known).first().map(String::as_str), Some(expected), "{name}");
        }
        assert!(nearest("telemetry", known).is_empty());
        assert_eq!(hint("vaules", known), " (did you mean \"values\"?)");
    }

    #[test]
    fn a_beginning_is_near_to_the_whole_name() {
        assert_eq!(nearest("ingress", ["ingressGateways", "egressGateways"]), ["ingressGateways"]);
    }
}
