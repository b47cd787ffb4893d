//! The functions of templates: sprig 3.3.0 as Helm 3.22 exposes it (without `env` and `expandenv`), and those of
//! Helm's own that need nothing but their arguments.
//!
//! In: arguments that the evaluator has checked against the signature. Out: a value, or the text that follows
//! `error calling NAME: `. Functions are pure; time and randomness come from [`crate::gotmpl::Host`] alone.
//!
//! The work and memory of a call are charged to the render's budgets before the call is made, by the table [`PRICES`]:
//! a new function needs a row there.

mod args;
mod base;
mod case;
mod cast;
mod crypto;
mod dates;
mod decimal;
mod defaults;
mod dicts;
pub mod encoding;
mod go_float;
mod go_text;
mod json_read;
pub(crate) mod json_write;
mod lists;
mod math;
mod paths;
mod prices;
mod random;
mod reflect;
mod regex;
pub mod semver;
mod strings;
#[cfg(test)]
mod testing;
mod toml_read;
mod toml_write;
mod urls;
mod wrap;

use crate::gotmpl::Function;

pub use dates::DurationError;
pub use prices::PRICES;

/// The tables of all modules.
const TABLES: &[&[Function]] = &[
    crypto::FUNCTIONS,
    dates::FUNCTIONS,
    defaults::FUNCTIONS,
    dicts::FUNCTIONS,
    encoding::FUNCTIONS,
    lists::FUNCTIONS,
    math::FUNCTIONS,
    paths::FUNCTIONS,
    random::FUNCTIONS,
    reflect::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    strings::FUNCTIONS,
    urls::FUNCTIONS,
];

/// All functions; names are unique.
#[must_use]
pub fn functions() -> Vec<Function> {
    TABLES.concat()
}

/// A function by its name.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    TABLES.iter().flat_map(|table| table.iter()).find(|f| f.name == name)
}

/// Why Go's `url.Parse` refuses a text; `None` if it accepts it.
#[must_use]
pub fn go_url_problem(url: &str) -> Option<String> {
    urls::problem(url.as_bytes())
}

/// How many instructions a regular expression may compile to; nested repetitions multiply.
#[must_use]
pub fn pattern_size(pattern: &[u8]) -> u64 {
    prices::pattern_size(pattern)
}

/// A duration in Go's form (`1h30m`), in nanoseconds, as `time.ParseDuration` reads it.
///
/// # Errors
/// The text is not a duration; the error's text is Go's, such as `time: invalid duration "x"`.
pub fn go_duration(text: &str) -> Result<i64, DurationError> {
    dates::parse_duration(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = super::functions().iter().map(|f| f.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
