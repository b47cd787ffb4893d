//! `src/functions.ld`: the functions that runs need, for the linker to put them next to each other.
//!
//! Where one function of the program is needed, memory holds what lies around it too. A run needs a tenth of the program;
//! spread over all of it, that tenth would keep half of it in memory. Names are without what a compiler numbers: a name that
//! is gone, or that is missing, costs a little memory and nothing else.

use super::operator::{DAMAGES, RESOURCES, Site};
use super::{commands, controlplane::ControlPlane, generate, mib};
use anyhow::{Context, Result, ensure};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The longest name that is written whole, in bytes.
const LONGEST: usize = 100;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/functions.ld");

/// What the compiler numbers in a name: the function itself, or the crates.
const HASH: &str = r"17h[0-9a-f]{16}E(\.llvm\.\d+|\.\d+)?$";
const CRATE: &str = "Cs[0-9A-Za-z]+_";

/// Runs the program, which has its symbols, as the other parts do, and writes the file.
pub fn write(binary: &Path) -> Result<()> {
    Command::new("valgrind").arg("--version").output().context("valgrind is needed; install it")?;
    let folder = tempfile::tempdir()?;
    let traced = folder.path().join("istio-operator");
    let trace = "valgrind --quiet --tool=callgrind --demangle=no --dump-line=no";
    let script = format!(
        "#!/bin/sh\nexec {trace} --callgrind-out-file={}/%p.out {} \"$@\"\n",
        folder.path().display(),
        binary.display()
    );
    std::fs::write(&traced, script)?;
    std::fs::set_permissions(&traced, std::fs::Permissions::from_mode(0o755))?;
    for case in generate::CASES {
        generate::generate(&traced, case)?;
    }
    let to_render = called(folder.path())?;
    run(&traced)?;
    let script = script_of(&to_render, &called(folder.path())?, &sizes(binary)?);
    Ok(std::fs::write(FILE, script)?)
}

/// `install`, `uninstall`, and the operator, which renders and repairs.
fn run(binary: &Path) -> Result<()> {
    let plane = ControlPlane::start()?;
    for (_, args) in commands::CASES {
        commands::time(binary, &plane, args)?;
    }
    let site = Site::start(binary)?;
    site.api.send("POST", RESOURCES, &site.sample()?)?;
    site.api.wait("HEALTHY", &format!("{RESOURCES}/demo"), |r| r["status"]["status"] == "HEALTHY")?;
    for (_, path, edit) in DAMAGES {
        site.api.repair(path, edit.map(serde_json::from_str).transpose()?.as_ref())?;
    }
    let status = site.operator.terminate()?;
    ensure!(status.success(), "the operator ended with {status}");
    Ok(())
}

/// The functions that any trace in a folder names.
fn called(folder: &Path) -> Result<BTreeSet<String>> {
    let mut called = BTreeSet::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "out") {
            called.extend(functions(&std::fs::read_to_string(path)?));
        }
    }
    Ok(called)
}

fn functions(trace: &str) -> impl Iterator<Item = String> {
    let name = |line: &str| {
        let (_, name) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn="))?.split_once(' ')?;
        // Calls of itself are counted apart.
        Some(name.split_once('\'').map_or(name, |(name, _)| name).to_owned())
    };
    trace.lines().filter_map(name)
}

/// The size of each function in the program, in bytes.
fn sizes(binary: &Path) -> Result<BTreeMap<String, u64>> {
    let output = Command::new("nm").args(["--print-size", "--defined-only"]).arg(binary).output().context("run nm")?;
    let size = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (size, kind, name) = (words.next()?, words.next()?, words.next()?);
        ["t", "T", "w", "W"].contains(&kind).then_some((name.to_owned(), u64::from_str_radix(size, 16).ok()?))
    };
    let sizes: BTreeMap<String, u64> = String::from_utf8(output.stdout)?.lines().filter_map(size).collect();
    ensure!(!sizes.is_empty(), "{} has no symbols; `make functions` builds one that has", binary.display());
    Ok(sizes)
}

/// The linker's script: first what rendering needs, which all runs do. Of a generic function that was compiled for many types
/// few may have been called, so those of which most were come first.
fn script_of(to_render: &BTreeSet<String>, called: &BTreeSet<String>, sizes: &BTreeMap<String, u64>) -> String {
    let mut names = BTreeMap::<String, Sizes>::new();
    let (hash, crates) = (Regex::new(HASH).expect("a pattern"), Regex::new(CRATE).expect("a pattern"));
    for (symbol, size) in sizes {
        let name = hash.replace(symbol, "17h*");
        let name = if name.starts_with("_R") { crates.replace_all(&name, "Cs*_") } else { name };
        // The start of a long name tells it from nearly all others.
        let name = name.get(..LONGEST).map_or_else(|| name.to_string(), |start| format!("{start}*"));
        let all = names.entry(name).or_default();
        all.whole += size;
        all.called += if called.contains(symbol) { *size } else { 0 };
        all.to_render += if to_render.contains(symbol) { *size } else { 0 };
    }
    names.retain(|_, all| all.called > 0);
    let rank = |all: &Sizes| (all.to_render == 0, all.to_render.max(all.called) * 2 < all.whole);
    let ordered: BTreeSet<_> = names.iter().map(|(name, all)| (rank(all), name)).collect();
    let sum = |of: fn(&Sizes) -> u64| mib(names.values().map(of).sum());
    let [whole, used, to_render] = [sum(|all| all.whole), sum(|all| all.called), sum(|all| all.to_render)];
    println!("{whole:.1} MiB of functions together, {used:.1} of them were called, {to_render:.1} to render");

    let mut script =
        "/* Written by `make functions`; tests/bench/functions.rs says why. */\nSECTIONS {\n  .text.run : {\n"
            .to_owned();
    for (_, name) in ordered {
        // Before the name may stand that it is seldom run.
        let _ = writeln!(script, "    *(.text*.{name})");
    }
    script + "  }\n} INSERT BEFORE .text;\n"
}

/// Bytes of the functions of one name.
#[derive(Default)]
struct Sizes {
    whole: u64,
    called: u64,
    to_render: u64,
}
