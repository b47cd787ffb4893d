//! What the annotations of IstioOperator resources, and of what they install, say, and what is wrong with them.
//!
//! Guarantee: a value that is not understood never does more than was asked. What keeps the operator's hands off does so with
//! any value but the one that takes it back; what overrides a guard does so with its exact value only; and a time that is not
//! valid never comes. Whatever is not understood, a misspelt name too, is named together with what is taken.

use super::suggest::hint;
use super::{
    ALLOW_DOWNGRADE, DEFAULT_REVISION, DRY_RUN, FORCE_DELETE, FORCE_PRUNE, IGNORE, IGNORE_RECONCILE, LONGEST_LABEL,
    NULL_FIELDS, OBJECTS_DIGEST, PRUNE, PRUNE_UNUSED_AFTER, RECONCILE_AT, RELEASE,
};
use helm_template::sprig::{DurationError, go_duration};
use std::collections::BTreeMap;
use std::time::Duration;

/// Annotations by their names.
pub type Annotations = BTreeMap<String, String>;

/// What all of ours begin with.
const PREFIX: &str = "install.istio.io/";

/// What an annotation takes.
#[derive(Clone, Copy)]
enum Takes {
    /// `"true"` or `"false"`; and what becomes of any other value.
    Switch(&'static str),
    /// Names of revisions and tags, with commas.
    Names,
    /// A duration of Go that is not below zero.
    Duration,
    /// The version of a release.
    Release,
    /// A version, which is checked where its package is looked for.
    Filled,
    /// Anything.
    Any,
}

const COUNTS_AS_TRUE: Takes = Takes::Switch("it counts as \"true\"");
const COUNTS_AS_FALSE: Takes = Takes::Switch("it counts as \"false\"");

/// Those of IstioOperator resources. The last two are set on records, of which people make resources.
const OF_RESOURCES: [(&str, Takes); 11] = [
    (IGNORE_RECONCILE, COUNTS_AS_TRUE),
    (DRY_RUN, COUNTS_AS_TRUE),
    (FORCE_DELETE, COUNTS_AS_FALSE),
    (FORCE_PRUNE, Takes::Names),
    (PRUNE_UNUSED_AFTER, Takes::Duration),
    (DEFAULT_REVISION, Takes::Switch("it changes nothing")),
    (RELEASE, Takes::Filled),
    (ALLOW_DOWNGRADE, Takes::Release),
    (RECONCILE_AT, Takes::Any),
    (NULL_FIELDS, Takes::Any),
    (OBJECTS_DIGEST, Takes::Any),
];

/// Those of what a resource installs. The last one is the operator's own.
const OF_OBJECTS: [(&str, Takes); 3] =
    [(IGNORE, COUNTS_AS_TRUE), (PRUNE, COUNTS_AS_FALSE), (DEFAULT_REVISION, Takes::Any)];

fn is_other_than(annotations: &Annotations, name: &str, value: &str) -> bool {
    annotations.get(name).is_some_and(|given| given != value)
}

/// Whether a resource is to be left alone.
#[must_use]
pub fn is_left_alone(of_resource: &Annotations) -> bool {
    is_other_than(of_resource, IGNORE_RECONCILE, "false")
}

/// Whether of a resource is only to be told what would be done.
#[must_use]
pub fn is_dry_run(of_resource: &Annotations) -> bool {
    is_other_than(of_resource, DRY_RUN, "false")
}

/// Whether a resource is to go whatever holds it up.
#[must_use]
pub fn is_forced_to_go(of_resource: &Annotations) -> bool {
    of_resource.get(FORCE_DELETE).is_some_and(|value| value == "true")
}

/// Whether the control plane of a resource may become the one where no revision is named; `None` where that is not
/// understood, so that it is to stay as it is.
#[must_use]
pub fn may_be_default(of_resource: &Annotations) -> Option<bool> {
    match of_resource.get(DEFAULT_REVISION).map_or("true", String::as_str) {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// How long what nobody uses stays; `None` without a word about it.
#[must_use]
pub fn grace(of_resource: &Annotations) -> Option<Result<Duration, GraceError>> {
    Some(match go_duration(of_resource.get(PRUNE_UNUSED_AFTER)?).map(u64::try_from) {
        Ok(Ok(nanoseconds)) => Ok(Duration::from_nanos(nanoseconds)),
        Ok(Err(_)) => Err(GraceError::Negative),
        Err(error) => Err(GraceError::NoDuration(error)),
    })
}

/// Why `install.istio.io/prune-unused-after` cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum GraceError {
    /// It is below zero.
    #[error("{PRUNE_UNUSED_AFTER} is negative: want a duration like 24h")]
    Negative,
    /// It is not a valid Go duration.
    #[error("{PRUNE_UNUSED_AFTER} is not a valid duration such as 24h: {0}")]
    NoDuration(DurationError),
}

/// Whether an object is to be left as it is.
#[must_use]
pub fn is_ignored(of_object: &Annotations) -> bool {
    is_other_than(of_object, IGNORE, "false")
}

/// Whether an object is never to be deleted.
#[must_use]
pub fn is_kept(of_object: &Annotations) -> bool {
    is_other_than(of_object, PRUNE, "true")
}

/// What is not understood among the annotations of a resource, each with what is taken.
#[must_use]
pub fn problems_of_resource(annotations: &Annotations) -> Vec<String> {
    problems(annotations, (&OF_RESOURCES, "an IstioOperator resource"), (&OF_OBJECTS, "what a resource installs"))
}

/// What is not understood among the annotations of what a resource has installed, each with what is taken.
#[must_use]
pub fn problems_of_object(annotations: &Annotations) -> Vec<String> {
    problems(annotations, (&OF_OBJECTS, "what a resource installs"), (&OF_RESOURCES, "an IstioOperator resource"))
}

/// The annotations there are of something, and of what.
type Known<'a> = (&'a [(&'a str, Takes)], &'a str);

fn problems(annotations: &Annotations, (here, place): Known<'_>, (elsewhere, other): Known<'_>) -> Vec<String> {
    let of = |table: &[(&str, Takes)], name: &str| table.iter().find(|row| row.0 == name).map(|row| row.1);
    let problem = |(name, value): (&String, &String)| {
        let short = name.strip_prefix(PREFIX)?;
        if let Some(takes) = of(here, name) {
            return takes.problem(name, value);
        }
        let hint = hint(short, here.iter().filter_map(|row| row.0.strip_prefix(PREFIX)));
        let why = match of(elsewhere, name) {
            Some(_) => format!("is for {other}, and counts for nothing on {place}"),
            None => "is unknown, and counts for nothing".to_owned(),
        };
        Some(format!("{PREFIX}{} {why}{hint}", shown(short)))
    };
    annotations.iter().filter_map(problem).collect()
}

impl Takes {
    /// What is wrong with a value, if anything is.
    fn problem(self, name: &str, value: &str) -> Option<String> {
        let wrong = |wanted: &str| Some(format!("{name} is {:?}: want {wanted}", shown(value)));
        match self {
            Self::Filled if value.trim().is_empty() => wrong("a version such as 1.30.3"),
            Self::Release if !is_version(without_v(value.trim())) => wrong("a version such as 1.17.8"),
            Self::Names if !value.split(',').map(str::trim).all(is_revision) => {
                wrong("revisions and tags, with commas, such as default")
            }
            Self::Switch(until) if !["true", "false"].contains(&value) => {
                wrong(&format!("\"true\" or \"false\"; until then {until}"))
            }
            Self::Duration => {
                let given = Annotations::from([(PRUNE_UNUSED_AFTER.to_owned(), value.to_owned())]);
                grace(&given)?.err().map(|error| format!("{error}; until then its time never comes"))
            }
            Self::Any | Self::Filled | Self::Release | Self::Names | Self::Switch(_) => None,
        }
    }
}

/// The beginning of what may be long, since anybody may have written it: as much as a name may have.
pub(crate) fn shown(text: &str) -> String {
    let (kept, rest) = text.split_at(text.floor_char_boundary(LONGEST_LABEL));
    if rest.is_empty() { kept.to_owned() } else { format!("{kept}…") }
}

/// Whether it can be the name of a revision or of a tag. One called `true` is more likely a mistake.
fn is_revision(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.chars().all(is_part) && !["true", "false"].contains(&name)
}

/// A version as packages have it: of `v1.30.3` it is `1.30.3`.
#[must_use]
pub fn without_v(text: &str) -> &str {
    text.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(text)
}

/// Whether it is a version of three numbers, perhaps with more behind the last one.
fn is_version(text: &str) -> bool {
    let mut parts = text.splitn(3, '.');
    let mut part = || parts.next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    is_number(part()) && is_number(part()) && part().starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Annotations {
        Annotations::from([(name.to_owned(), value.to_owned())])
    }

    /// Values that people write for yes and no, and whatever else there may be.
    const NEITHER: [&str; 10] = ["True", "yes", "1", "on", "", " true", "False", "no", "0", "off"];

    #[test]
    fn a_value_that_is_not_understood_never_does_more_than_was_asked() {
        type Reads = fn(&Annotations) -> bool;
        let table: [(&str, Reads, [bool; 4]); 5] = [
            (IGNORE_RECONCILE, is_left_alone, [false, true, false, true]),
            (DRY_RUN, is_dry_run, [false, true, false, true]),
            (FORCE_DELETE, is_forced_to_go, [false, true, false, false]),
            (IGNORE, is_ignored, [false, true, false, true]),
            (PRUNE, is_kept, [false, false, true, true]),
        ];
        for (name, reads, [absent, with_true, with_false, unclear]) in table {
            let is = |value: &str| reads(&one(name, value));
            assert_eq!(
                (reads(&Annotations::new()), is("true"), is("false")),
                (absent, with_true, with_false),
                "{name}"
            );
            for value in NEITHER {
                assert_eq!(is(value), unclear, "{name}: {value:?}");
            }
        }
        let may_be_default = |value: &str| may_be_default(&one(DEFAULT_REVISION, value));
        assert_eq!(
            [may_be_default("true"), may_be_default("false"), may_be_default("no")],
            [Some(true), Some(false), None]
        );
        assert_eq!(super::may_be_default(&Annotations::new()), Some(true));
    }

    #[test]
    fn what_is_not_understood_is_named_with_what_is_taken() {
        let of = |name: &str, value: &str| problems_of_resource(&one(name, value)).join("; ");
        let expected =
            "install.istio.io/dryRun is \"yes\": want \"true\" or \"false\"; until then it counts as \"true\"";
        assert_eq!(of(DRY_RUN, "yes"), expected);
        for name in [IGNORE_RECONCILE, DRY_RUN, FORCE_DELETE, DEFAULT_REVISION] {
            assert_eq!((of(name, "true"), of(name, "false")), (String::new(), String::new()));
            assert!(NEITHER.iter().all(|value| of(name, value).contains("want \"true\" or \"false\"")), "{name}");
        }
        for (name, right, wrong) in [
            (FORCE_PRUNE, ["default", "canary, prod-1"], ["true", "Default,x"]),
            (PRUNE_UNUSED_AFTER, ["24h", "0s"], ["1d", "-1h"]),
            (ALLOW_DOWNGRADE, ["v1.17.8", "1.30.3-alpha.1"], ["1.17", "vv1.17.8"]),
            (RELEASE, ["1.17.8", "whatever"], ["", " "]),
        ] {
            assert!(right.iter().all(|value| of(name, value).is_empty()), "{name}");
            assert!(wrong.iter().all(|value| of(name, value).contains(name)), "{name}");
            assert!(
                wrong.iter().all(|value| of(name, value).contains("want a ") || of(name, value).contains("such as ")),
                "{name}: {}",
                of(name, wrong[0])
            );
        }
        let object = |name: &str, value: &str| problems_of_object(&one(name, value)).join("; ");
        assert!(object(IGNORE, "yes").ends_with("until then it counts as \"true\""), "{}", object(IGNORE, "yes"));
        assert!(object(PRUNE, "False").ends_with("until then it counts as \"false\""), "{}", object(PRUNE, "False"));
        assert_eq!(
            (object(IGNORE, "true"), object(PRUNE, "false"), object(DEFAULT_REVISION, "true")),
            Default::default()
        );
        assert!(of(DRY_RUN, &"x".repeat(10_000)).len() < 300);
    }

    #[test]
    fn a_misspelt_name_is_told_with_the_one_that_is_near() {
        let told = |short: &str| problems_of_resource(&one(&format!("{PREFIX}{short}"), "true")).join("; ");
        for (written, meant) in [("relase", "release"), ("dryrun", "dryRun"), ("force-delet", "force-delete")] {
            let expected = format!("{PREFIX}{written} is unknown, and counts for nothing (did you mean {meant:?}?)");
            assert_eq!(told(written), expected);
        }
        assert_eq!(told("anything"), format!("{PREFIX}anything is unknown, and counts for nothing"));
        let misplaced = "is for what a resource installs, and counts for nothing on an IstioOperator resource";
        assert!(
            told("ignore").contains(misplaced) && told("ignore").contains("\"ignoreReconcile\""),
            "{}",
            told("ignore")
        );
        let others = Annotations::from([("example.com/dryrun".into(), "x".into()), ("dryrun".into(), "x".into())]);
        assert!(problems_of_resource(&others).is_empty());
        let on_object = problems_of_object(&one(&format!("{PREFIX}prunne"), "false")).join("; ");
        assert!(on_object.ends_with("(did you mean \"prune\"?)"), "{on_object}");
    }

    #[test]
    fn a_time_that_is_none_says_what_is_wanted() {
        let why = |text: &str| grace(&one(PRUNE_UNUSED_AFTER, text)).unwrap().unwrap_err().to_string();
        assert_eq!(why("-1h"), format!("{PRUNE_UNUSED_AFTER} is negative: want a duration like 24h"));
        assert!(
            why("soon").starts_with(&format!("{PRUNE_UNUSED_AFTER} is not a valid duration such as 24h: ")),
            "{}",
            why("soon")
        );
        assert!(grace(&Annotations::new()).is_none());
        assert_eq!(grace(&one(PRUNE_UNUSED_AFTER, "1h")).unwrap().unwrap(), Duration::from_hours(1));
    }
}
