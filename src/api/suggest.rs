//! The known names that a misspelt one may mean, by edit distance.

/// The most names that are suggested.
const MOST: usize = 3;

/// Known names near `name`, nearest first, at most three. Case does not count; a swap of neighbours counts as one edit;
/// up to a third of the letters may differ. A known name that starts with the given one counts as near too.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted = name.to_lowercase();
    let length = wanted.chars().count();
    let limit = (length / 3).max(1);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            if length >= 3 && lower.starts_with(&wanted) {
                return Some((limit.min(lower.chars().count() - length), candidate));
            }
            if lower.chars().count().abs_diff(length) > limit {
                return None;
            }
            Some((strsim::osa_distance(&wanted, &lower), candidate)).filter(|(distance, _)| *distance <= limit)
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
