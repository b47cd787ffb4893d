//! Charts made to exhaust whoever renders them. Each must end soon, in little memory, by an error that says where; or
//! succeed, if it turns out to be cheap.
//!
//! Every chart is rendered by the program itself in a process of its own, whose peak memory is read while it runs.

use super::bombs::{self, Bomb, Want};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Processor time of a process until it must have ended.
const MOST_TIME: Duration = Duration::from_secs(10);
/// The most memory of a process, in KiB.
const MOST_MEMORY: u64 = 512 << 10;
/// Bytes of an error that somebody still reads.
const LONGEST_ERROR: usize = 500_000;
/// A process that waits for the processor longer than this is ended too.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// What became of a process.
struct Outcome {
    /// Processor time.
    time: Duration,
    /// KiB.
    memory: u64,
    /// `None` for one that had to be killed.
    code: Option<i32>,
    error: String,
}

#[test]
#[ignore = "long: `make test-all`"]
fn hostile_charts_end_soon_and_in_little_memory() {
    let wanted = std::env::var("BOMB").unwrap_or_default();
    let bombs: Vec<Bomb> = bombs::all().into_iter().filter(|bomb| bomb.title.contains(&wanted)).collect();
    assert!(bombs.len() >= 40 || !wanted.is_empty(), "only {} charts", bombs.len());
    let (next, wrong) = (Mutex::new(bombs.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(bomb) = { next.lock().unwrap().next() } {
                    let outcome = render(bomb);
                    println!("{}", line(bomb, &outcome));
                    wrong.lock().unwrap().extend(complaint(bomb, &outcome));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} charts:\n{}", wrong.len(), bombs.len(), wrong.join("\n"));
}

fn line(bomb: &Bomb, outcome: &Outcome) -> String {
    let Outcome { time, memory, code, error } = outcome;
    let code = code.map_or_else(|| "KILLED".to_owned(), |code| code.to_string());
    let words: String = error.trim().chars().rev().take(160).collect::<Vec<_>>().into_iter().rev().collect();
    format!("{:>6} ms {:>5} MiB {code:>6} {}: {}", time.as_millis(), memory >> 10, bomb.title, words.replace('\n', " "))
}

fn complaint(bomb: &Bomb, outcome: &Outcome) -> Option<String> {
    let Outcome { time, memory, code, error } = outcome;
    let mut wrong = String::new();
    if code.is_none() || *time > MOST_TIME {
        let _ = write!(wrong, " was not stopped in {} s;", MOST_TIME.as_secs());
    }
    if *memory > MOST_MEMORY {
        let _ = write!(wrong, " took {} MiB;", memory >> 10);
    }
    if error.len() > LONGEST_ERROR {
        let _ = write!(wrong, " has an error of {} bytes;", error.len());
    }
    match (&bomb.want, code) {
        (Want::Error(words), Some(1)) if !error.contains(words) => {
            let _ = write!(wrong, " does not say {words:?}: {}", error.get(..600).unwrap_or(error));
        }
        (_, Some(0 | 1) | None) => {}
        (_, Some(code)) => drop(write!(wrong, " ended by {code}: {}", error.get(..600).unwrap_or(error))),
    }
    if matches!(bomb.want, Want::Success) && *code != Some(0) {
        let _ = write!(wrong, " should have rendered: {}", error.get(..600).unwrap_or(error));
    }
    (!wrong.is_empty()).then(|| format!("{}:{wrong}", bomb.title))
}

fn render(bomb: &Bomb) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let chart = bomb.write(dir.path());
    let errors = dir.path().join("errors");
    let mut child = Command::new(env!("CARGO_BIN_EXE_helm-template"))
        .arg("rel")
        .arg(&chart)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&errors).unwrap())
        .spawn()
        .unwrap();
    let (memory, time, code) = watch(&mut child);
    let error = std::fs::read(&errors).unwrap_or_default();
    Outcome { time, memory, code, error: String::from_utf8_lossy(&error).into_owned() }
}

/// Waits for the end of a process, or makes it: peak memory, processor time, exit code.
fn watch(child: &mut Child) -> (u64, Duration, Option<i32>) {
    let start = Instant::now();
    let proc = Path::new("/proc").join(child.id().to_string());
    let (mut memory, mut time) = (0, Duration::ZERO);
    loop {
        memory = peak(&proc).unwrap_or(memory).max(memory);
        time = processor_time(&proc).unwrap_or(time).max(time);
        if let Some(status) = child.try_wait().unwrap() {
            return (memory, time, status.code().or(Some(-1)));
        }
        if time > MOST_TIME || memory > 2 * MOST_MEMORY || start.elapsed() > LONGEST_WAIT {
            child.kill().unwrap();
            child.wait().unwrap();
            return (memory, time, None);
        }
        // The peak is read again and again, since it is gone with the process.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The most memory a process had so far, in KiB.
fn peak(proc: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(proc.join("status")).ok()?;
    // Until it has become the program, a new process shows the memory of this one.
    status.starts_with("Name:\thelm-template\n").then_some(())?;
    status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The time a process had the processor so far.
fn processor_time(proc: &Path) -> Option<Duration> {
    let stat = std::fs::read_to_string(proc.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<u64>().ok()).sum();
    // A hundred ticks are a second on every Linux.
    Some(Duration::from_millis(ticks * 10))
}
