//! Flags: no argument of `--set` and its siblings makes their parser panic.
#![no_main]

use helm_template::helm::strvals::Kind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|argument: &str| {
    let read = |path: &str| Ok(path.to_owned());
    for kind in [Kind::Typed, Kind::Text, Kind::Json, Kind::Literal, Kind::File(&read)] {
        let mut values = serde_json::Map::new();
        let _ = kind.apply(argument, &mut values);
        let _ = kind.apply(argument, &mut values);
    }
});
