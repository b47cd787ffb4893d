//! What every function of a template costs: Go's own, sprig's and Helm's.
//!
//! A unit of work is about 10 ns of a build without optimisation. Bytes are the most that a call holds at once for each
//! byte, item or node of its arguments, intermediate copies included. A price that is too low lets a chart exceed its
//! budgets; one that is too high refuses charts that are fine. The tests with hostile and with ordinary charts show
//! both.

use super::args::{at, int, text};
use crate::gotmpl::{Cost, Measure, Price, Prices, ResultSize, Value};

/// A call that reads little and allocates nothing.
const fn small(work: u64) -> Price {
    Price { base: work, measure: Measure::Constant, work: 0, bytes: 0, result: ResultSize::NotCounted }
}

/// A call that reads its texts byte by byte and returns another text, or a list of parts.
const fn texts(work: u64, bytes: u64) -> Price {
    Price { base: 100, measure: Measure::Texts, work, bytes, result: ResultSize::Deep }
}

/// A call that makes shallow copies of lists or maps.
const fn items(work: u64, bytes: u64) -> Price {
    Price { base: 100, measure: Measure::Items, work, bytes, result: ResultSize::Shallow }
}

/// A call that walks through whole values.
const fn trees(work: u64, bytes: u64, result: ResultSize) -> Price {
    Price { base: 100, measure: Measure::Trees, work, bytes, result }
}

/// A call whose price is computed from its arguments.
const fn rule(rule: fn(&[Value]) -> Cost) -> Price {
    Price { base: 100, measure: Measure::Rule(rule), work: 0, bytes: 0, result: ResultSize::Deep }
}

/// A call that takes long whatever its arguments are.
const fn slow(base: u64) -> Price {
    Price { base, measure: Measure::Texts, work: 50, bytes: 100, result: ResultSize::Deep }
}

/// The prices of all functions.
pub static PRICES: &Prices = &[
    // Numbers, booleans, types, defaults, and lookups of one entry.
    (&["and", "or", "not", "call", "len", "lt", "le", "gt", "ge", "hello"], small(20)),
    (&["add", "add1", "sub", "mul", "div", "mod", "max", "biggest", "min", "int", "int64", "float64"], small(30)),
    (&["maxf", "minf", "ceil", "floor", "round", "randInt", "now", "atoi"], small(100)),
    (&["default", "empty", "coalesce", "all", "any", "ternary", "required"], small(30)),
    (&["typeOf", "kindOf", "typeIs", "typeIsLike", "kindIs", "index", "get", "hasKey", "dig", "plural"], small(80)),
    (&["include", "unset", "getHostByName", "uuidv4"], small(200)),
    (&["lookup"], small(1000)),
    (&["addf", "add1f", "subf", "mulf", "divf"], rule(calculating)),
    // Texts: one pass over the bytes.
    (&["trim", "trimSuffix", "trimPrefix", "trunc", "substr", "abbrev", "abbrevboth", "splitn"], texts(1, 3)),
    (&["contains", "hasPrefix", "hasSuffix"], texts(1, 0)),
    (&["trimAll", "trimall", "upper", "lower", "title", "untitle", "swapcase", "nospace", "initials"], texts(20, 6)),
    (&["snakecase", "kebabcase", "camelcase"], texts(40, 16)),
    (&["base", "dir", "clean", "ext", "isAbs", "osBase", "osDir", "osClean", "osExt", "osIsAbs"], texts(20, 40)),
    (&["split", "splitList"], rule(splitting)),
    (&["replace"], rule(replacing)),
    (&["repeat"], rule(|a| of_text(scaled(text(a, 1).len(), int(a, 0)), 1))),
    (&["indent", "nindent"], rule(indenting)),
    (&["wrap", "wrapWith"], rule(wrapping)),
    (&["regexQuoteMeta"], texts(4, 4)),
    (&["join"], rule(joining)),
    (&["fail"], texts(1, 8)),
    // The parsed template has a limit of its own.
    (&["tpl"], Price { base: 3000, ..texts(20, 8) }),
    // Patterns: the price of compiling one. Matching is counted while it runs.
    (&["regexMatch", "mustRegexMatch", "regexFind", "mustRegexFind"], rule(matching)),
    (&["regexFindAll", "mustRegexFindAll", "regexSplit", "mustRegexSplit"], rule(matching)),
    (&["regexReplaceAll", "mustRegexReplaceAll"], rule(matching)),
    (&["regexReplaceAllLiteral", "mustRegexReplaceAllLiteral"], rule(matching)),
    // Encodings.
    (&["b64enc", "b64dec", "b32enc", "b32dec"], texts(10, 5)),
    (&["urlParse"], texts(20, 16)),
    (&["urlJoin"], trees(20, 16, ResultSize::Deep)),
    (&["sha1sum", "sha256sum", "sha512sum", "adler32sum"], texts(4, 0)),
    (&["encryptAES", "decryptAES"], texts(100, 8)),
    (&["fromJson", "fromJsonArray", "mustFromJson"], rule(|a| parsing(text(a, 0), 100))),
    (&["fromYaml", "fromYamlArray"], rule(|a| parsing(text(a, 0), 600))),
    (&["fromToml"], rule(|a| parsing(text(a, 0), 600))),
    (&["toJson", "mustToJson", "toRawJson", "mustToRawJson"], trees(10, 8, ResultSize::Deep)),
    (&["toPrettyJson", "mustToPrettyJson"], trees(20, 16, ResultSize::Deep)),
    (&["toYaml", "toYamlPretty"], trees(20, 8, ResultSize::Deep)),
    (&["toToml"], Price { base: 100, measure: Measure::Paths, work: 20, bytes: 8, result: ResultSize::Deep }),
    // Printing.
    (&["print", "println", "cat", "squote", "toString"], trees(3, 3, ResultSize::Deep)),
    (&["toStrings"], trees(3, 4, ResultSize::Deep)),
    (&["quote"], trees(15, 10, ResultSize::Deep)),
    (&["html", "js", "urlquery"], trees(20, 12, ResultSize::Deep)),
    (&["printf"], rule(formatting)),
    // An error prints the values that cannot be compared; objects are compared by their printed form.
    (&["eq", "ne"], rule(comparing)),
    (&["toDecimal"], trees(3, 3, ResultSize::NotCounted)),
    // Lists and maps.
    (&["list", "tuple", "append", "mustAppend", "push", "mustPush", "prepend", "mustPrepend"], items(3, 56)),
    (&["rest", "mustRest", "initial", "mustInitial", "reverse", "mustReverse", "compact", "mustCompact"], items(3, 56)),
    (&["slice", "mustSlice", "concat"], items(3, 80)),
    (&["chunk", "mustChunk"], Price { result: ResultSize::Deep, ..items(60, 120) }),
    (&["first", "mustFirst", "last", "mustLast"], Price { result: ResultSize::NotCounted, ..items(3, 24) }),
    (&["sortAlpha"], trees(40, 8, ResultSize::Deep)),
    (&["uniq", "mustUniq", "without", "mustWithout", "has", "mustHas"], rule(searching)),
    (&["deepEqual"], trees(4, 2, ResultSize::NotCounted)),
    (&["dict"], items(100, 600)),
    (
        &["set"],
        Price { result: ResultSize::AsPriced, ..rule(|a| Cost { work: 100, bytes: 120 + text(a, 1).len() as u64 }) },
    ),
    (&["pluck", "keys", "values"], items(10, 80)),
    (&["pick", "omit"], rule(picking)),
    (
        &["merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite"],
        Price { result: ResultSize::AsPriced, ..rule(merging) },
    ),
    (&["deepCopy", "mustDeepCopy"], trees(6, 8, ResultSize::Deep)),
    (&["until"], rule(|a| numbers(0, 1, int(a, 0), 24))),
    (&["untilStep"], rule(|a| numbers(int(a, 0), int(a, 2), int(a, 1), 24))),
    (&["seq"], rule(sequence)),
    // Randomness.
    (
        &["randAlpha", "randAlphaNum", "randNumeric", "randAscii", "randBytes"],
        rule(|a| of_text(scaled(1, int(a, 0)), 60)),
    ),
    (&["shuffle"], texts(60, 10)),
    // Dates, versions.
    (&["date", "dateInZone", "date_in_zone", "htmlDate", "htmlDateInZone", "toDate", "mustToDate"], slow(3000)),
    (&["dateModify", "date_modify", "mustDateModify", "must_date_modify", "unixEpoch", "ago"], slow(500)),
    (&["duration", "durationRound"], slow(500)),
    (&["semver", "semverCompare"], Price { work: 100, ..slow(3000) }),
    // Cryptography: measured with the crates that every build optimises (`[profile.dev.package]`).
    (&["bcrypt", "htpasswd"], slow(6_000_000)),
    (&["derivePassword"], slow(20_000_000)),
    (&["genPrivateKey"], rule(key)),
    (&["genCA", "genSelfSignedCert", "genSignedCert"], rule(|a| certificate(a, 20_000_000))),
    (&["genCAWithKey", "genSelfSignedCertWithKey", "genSignedCertWithKey"], rule(|a| certificate(a, 10_000_000))),
    (&["buildCustomCert"], slow(400_000)),
];

/// The cost of a text of this length: its bytes twice, since it is copied once.
fn of_text(bytes: u64, work: u64) -> Cost {
    Cost { work: bytes.saturating_mul(work), bytes: bytes.saturating_mul(2) }
}

/// A length times a count.
fn scaled(length: usize, times: i64) -> u64 {
    (length as u64).saturating_mul(u64::try_from(times).unwrap_or(0))
}

/// How often a text occurs in another; an empty one occurs before every byte and at the end.
fn occurrences(part: &[u8], whole: &[u8]) -> u64 {
    match part {
        [] => whole.len() as u64 + 1,
        [byte] => memchr::memchr_iter(*byte, whole).count() as u64,
        _ => memchr::memmem::find_iter(whole, part).count() as u64,
    }
}

fn splitting(a: &[Value]) -> Cost {
    // Each part is a new text in a map, with a new key.
    let (whole, parts) = (text(a, 1).len() as u64, occurrences(text(a, 0), text(a, 1)) + 1);
    Cost { work: whole * 2 + parts * 60, bytes: whole + parts * 180 }
}

fn replacing(a: &[Value]) -> Cost {
    let (old, new, whole) = (text(a, 0), text(a, 1), text(a, 2));
    // Occurrences are counted only where the text can grow.
    let count = if new.len() > old.len() || old.len() < 2 { occurrences(old, whole) } else { whole.len() as u64 };
    let grown = if new.len() > old.len() { count.saturating_mul(new.len() as u64) } else { 0 };
    let bytes = (whole.len() as u64).saturating_add(grown);
    // The pieces between the occurrences are kept in a list.
    let pieces = if old.is_empty() { 0 } else { count.min(whole.len() as u64) * 16 };
    Cost {
        work: whole.len() as u64 * 2 + bytes / 16 + pieces,
        bytes: bytes.saturating_mul(2).saturating_add(pieces * 2),
    }
}

fn indenting(a: &[Value]) -> Cost {
    let lines = occurrences(b"\n", text(a, 1)) + 1;
    let bytes = (text(a, 1).len() as u64).saturating_add(scaled(1, int(a, 0)).saturating_mul(lines));
    Cost {
        work: text(a, 1).len() as u64 * 2 + bytes / 16 + lines * 10,
        bytes: bytes.saturating_mul(3).saturating_add(lines * 32),
    }
}

fn wrapping(a: &[Value]) -> Cost {
    let (line_end, whole) = if a.len() > 2 { (text(a, 1).len(), text(a, 2)) } else { (1, text(a, 1)) };
    let width = u64::try_from(int(a, 0)).unwrap_or(0).max(1);
    // Lines break at blanks, so they may be short, but each break takes at least one byte.
    let breaks = (whole.len() as u64).min(occurrences(b" ", whole) + whole.len() as u64 / width);
    let bytes = (whole.len() as u64).saturating_add(breaks.saturating_mul(line_end.max(1) as u64));
    Cost { work: (whole.len() as u64 + breaks) * 20 + bytes / 16, bytes: bytes.saturating_mul(3) }
}

fn joining(a: &[Value]) -> Cost {
    let count = match at(a, 1) {
        Value::List(list) => list.len() as u64,
        _ => 1,
    };
    let inside = crate::gotmpl::price::printed(at(a, 1), LARGE);
    let bytes = count.saturating_mul(text(a, 0).len() as u64).saturating_add(inside);
    Cost { work: inside.saturating_mul(3) + bytes / 16, bytes: bytes.saturating_mul(3) }
}

/// More than any budget; counting stops here.
const LARGE: u64 = 1 << 28;

/// The size of a pattern: each byte counts as often as repetitions copy it, a Unicode class counts as hundreds.
fn matching(a: &[Value]) -> Cost {
    let size = pattern_size(text(a, 0));
    Cost { work: 15_000_u64.saturating_add(size.saturating_mul(150)), bytes: 1 << 20 }
}

/// How many instructions a pattern may compile to.
pub(super) fn pattern_size(pattern: &[u8]) -> u64 {
    let mut copies = 1_u64;
    let mut classes = 0;
    let mut number = 0_u64;
    let mut previous = 0;
    let mut in_braces = false;
    for byte in pattern {
        match byte {
            b'{' => (in_braces, number) = (true, 0),
            b'0'..=b'9' if in_braces => number = (number * 10 + u64::from(byte - b'0')).min(1000),
            b',' if in_braces => number = 0,
            b'}' => {
                copies = copies.saturating_mul(number.max(1)).min(1000);
                in_braces = false;
            }
            b'p' | b'P' if previous == b'\\' => classes += 1,
            _ => {}
        }
        previous = *byte;
    }
    (pattern.len() as u64 + classes * 600).saturating_mul(copies)
}

/// The cost of parsing a text: by its bytes, and by those of them that may begin a value.
fn parsing(text: &[u8], each: u64) -> Cost {
    // Without branches, and in bytes: many at once.
    let mark = |b: &u8| {
        let is = |c: u8| u8::from(*b == c);
        is(b',') | is(b':') | is(b'\n') | is(b'[') | is(b'{') | is(b'-') | is(b'?') | is(b'=')
    };
    let marks: u64 = text.chunks(255).map(|chunk| u64::from(chunk.iter().map(mark).sum::<u8>())).sum();
    // Aliases repeat their anchor's value, up to the limit of the YAML reader.
    let repeated = if text.contains(&b'*') && text.contains(&b'&') { 64 << 20 } else { 0 };
    let length = text.len() as u64;
    Cost { work: length * 10 + marks * each, bytes: length * 4 + marks * 200 + repeated }
}

/// By the widths and precisions in the format, and by the arguments as often as they may be printed.
fn formatting(a: &[Value]) -> Cost {
    let format = text(a, 0);
    let verbs = memchr::memchr_iter(b'%', format).count() as u64;
    let sizes = a.iter().skip(1).map(|v| crate::gotmpl::price::printed(v, LARGE));
    // With `[1]`, every verb may print the same argument.
    let numbered = memchr::memchr(b'[', format).is_some();
    let printed =
        if numbered { sizes.max().unwrap_or(0).saturating_mul(verbs) } else { sizes.fold(0, u64::saturating_add) };
    let grows = if format.iter().any(|b| matches!(b, b'q' | b'x' | b'X' | b'U')) { 10 } else { 1 };
    let stars = memchr::memchr_iter(b'*', format).count() as u64;
    let padding = widths(format).saturating_add(stars.saturating_mul(1_000_001));
    let bytes = printed.saturating_mul(grows).saturating_add(padding).saturating_add(format.len() as u64);
    let work = printed.saturating_mul(3 * grows).saturating_add(format.len() as u64 * 10).saturating_add(padding / 4);
    Cost { work, bytes: bytes.saturating_mul(3) }
}

/// The sum of all numbers in a format, each limited as Go limits it.
fn widths(format: &[u8]) -> u64 {
    let numbers = format.split(|b| !b.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let value = |digits: &[u8]| digits.iter().fold(0_u64, |n, d| (n * 10 + u64::from(d - b'0')).min(1_000_001));
    numbers.map(value).fold(0, u64::saturating_add)
}

fn comparing(a: &[Value]) -> Cost {
    let composite = |v: &Value| match v {
        Value::List(_) | Value::Map(_) | Value::Object(_) => crate::gotmpl::price::printed(v, LARGE),
        Value::String(s) => s.as_bytes().len() as u64 / 16,
        _ => 1,
    };
    let size = a.iter().map(composite).fold(0, u64::saturating_add);
    Cost { work: size.saturating_mul(3), bytes: size.saturating_mul(4) }
}

/// Every item may be compared with every other, or with each item that is searched for.
fn searching(a: &[Value]) -> Cost {
    let sizes: Vec<u64> = a.iter().map(|v| crate::gotmpl::price::printed(v, LARGE)).collect();
    let total = sizes.iter().copied().fold(0, u64::saturating_add);
    let count = |v: &Value| if let Value::List(list) = v { list.len() as u64 } else { 1 };
    let times =
        if a.len() == 1 { count(at(a, 0)) } else { a.iter().map(count).min().unwrap_or(1).max(a.len() as u64 - 1) };
    let items = a.iter().map(count).max().unwrap_or(1);
    // Comparing scalars is quick, long texts are compared byte by byte, lists and maps node by node.
    let each = if a.iter().any(holds_containers) { total } else { total / 256 + items.saturating_mul(8) };
    let work = total.saturating_mul(4).saturating_add(each.saturating_mul(times));
    Cost { work, bytes: items.saturating_mul(60) }
}

fn holds_containers(value: &Value) -> bool {
    let mut found = false;
    if let Value::List(list) = value {
        list.each(|item| {
            found = matches!(item, Value::List(_) | Value::Map(_) | Value::Object(_));
            !found
        });
    }
    found
}

/// Each map is merged with all before it, including the maps nested in both.
fn merging(a: &[Value]) -> Cost {
    let mut entries = 0;
    for (at, source) in a.iter().enumerate() {
        for target in a.iter().take(at) {
            shared_entries(target, source, 0, &mut entries);
        }
    }
    Cost { work: entries.saturating_mul(60), bytes: entries.saturating_mul(110) }
}

/// Counts up to some millions, which is more than any budget.
fn shared_entries(target: &Value, source: &Value, depth: usize, entries: &mut u64) {
    const MOST: u64 = 8_000_000;
    /// Merging itself stops at this depth.
    const DEEPEST: usize = 501;
    let (Value::Map(target), Value::Map(source)) = (target, source) else { return };
    *entries += 1 + source.len() as u64;
    if target.is_same(source) || depth > DEEPEST {
        return;
    }
    source.each(|key, value| {
        if let (Value::Map(_), Some(present @ Value::Map(_))) = (value, target.get_bytes(key.as_bytes())) {
            shared_entries(&present, value, depth + 1, entries);
        }
        *entries < MOST
    });
}

fn picking(a: &[Value]) -> Cost {
    let entries = if let Value::Map(map) = at(a, 0) { map.len() as u64 } else { 0 };
    let names = a.len() as u64;
    Cost { work: entries * (60 + names * 4), bytes: entries * 180 }
}

/// Digits times digits: a very large or very small float has about three hundred of them.
fn calculating(a: &[Value]) -> Cost {
    let digits = |v: &Value| {
        let float = super::cast::to_float(v).abs();
        if float == 0.0 || (1e-15..1e15).contains(&float) { 20 } else { 350 }
    };
    let all: u64 = 20 + a.iter().map(digits).sum::<u64>();
    Cost { work: 1000 + all.saturating_mul(all) / 2, bytes: 16 * all }
}

/// A list of the numbers of a range.
fn numbers(start: i64, step: i64, end: i64, each: u64) -> Cost {
    let count = start.abs_diff(end).checked_div(step.unsigned_abs()).unwrap_or(0).saturating_add(1);
    Cost { work: count.saturating_mul(4), bytes: count.saturating_mul(each * 2) }
}

fn sequence(a: &[Value]) -> Cost {
    // A number has up to 20 digits, and each is a text before all are joined.
    let cost = match a.len() {
        1 => numbers(0, 1, int(a, 0), 60),
        2 => numbers(int(a, 0), 1, int(a, 1), 60),
        3 => numbers(int(a, 0), int(a, 1), int(a, 2), 60),
        _ => Cost::default(),
    };
    Cost { work: cost.work.saturating_mul(30), ..cost }
}

fn key(a: &[Value]) -> Cost {
    let work = match text(a, 0) {
        b"" | b"rsa" => 100_000_000,
        b"dsa" => 150_000_000,
        _ => 10_000_000,
    };
    Cost { work, bytes: 1 << 20 }
}

/// The names in a certificate count too.
fn certificate(a: &[Value], work: u64) -> Cost {
    let names = a.iter().map(|v| crate::gotmpl::price::printed(v, LARGE)).fold(0, u64::saturating_add);
    Cost {
        work: names.saturating_mul(20).saturating_add(work),
        bytes: names.saturating_mul(10).saturating_add(1 << 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gotmpl::Functions;
    use std::collections::BTreeSet;

    #[test]
    fn every_function_has_one_price() {
        let functions = Functions::new().with(&crate::sprig::functions()).priced(PRICES);
        assert_eq!(functions.unpriced(), [] as [&str; 0]);
        let mut seen = BTreeSet::new();
        for name in PRICES.iter().flat_map(|(names, _)| names.iter()) {
            assert!(seen.insert(name), "{name} stands twice");
        }
    }

    #[test]
    fn repetitions_of_a_pattern_multiply() {
        assert_eq!(pattern_size(b"abc"), 3);
        assert_eq!(pattern_size(b"a{10}"), 50);
        assert_eq!(pattern_size(b"(a{10}){20}"), 11 * 200);
        assert_eq!(pattern_size(b"a{1,63}"), 7 * 63);
        assert!(pattern_size(br"\pL{100}") > 30_000);
    }

    #[test]
    fn widths_are_bounded_as_go_bounds_them() {
        assert_eq!(widths(b"%10d%.20f%x"), 30);
        assert_eq!(widths(b"%99999999999999999999d"), 1_000_001);
    }
}
