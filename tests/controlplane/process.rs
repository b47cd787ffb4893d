//! A process that ends with us: when its [`Process`] is dropped, and also when we are killed.

use anyhow::{Context, Result, bail};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What a command prints, unless it takes longer than `patience`; then it is killed.
pub fn output(command: &mut Command, patience: Duration) -> Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let id = child.id();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    if let Ok(output) = ended.recv_timeout(patience) {
        return Ok(output?);
    }
    Command::new("sh").args(["-c", &format!("kill -9 {id}")]).status()?;
    bail!("it still ran after {patience:?}")
}

/// A running process; its output goes to a file.
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    watchdog: Watchdog,
}

impl Process {
    /// Starts a command. Output is added to the log, which an earlier process may have begun.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {name} ({})", command.get_program().to_string_lossy()))?;
        let watchdog = Watchdog::start(&format!("kill -9 {}", child.id()))?;
        Ok(Self { name: name.into(), log: log.into(), child, watchdog })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has ended with, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status()?;
        if !sent.success() {
            bail!("{} cannot be sent {signal}", self.name);
        }
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        let deadline = Instant::now() + patience;
        loop {
            match self.ended()? {
                Some(status) => return Ok(status),
                None if Instant::now() > deadline => bail!("{} still runs {patience:?} after SIGTERM", self.name),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// The end of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first: its pid must not be another's by the time it strikes.
        self.watchdog.dismiss();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command of the shell once our end of a pipe closes, however that comes about, unless it is dismissed before.
pub struct Watchdog(Child);

impl Watchdog {
    /// Starts waiting.
    pub fn start(duty: &str) -> Result<Self> {
        // Ctrl-C reaches the whole process group; the watchdog outlives it to clean up after us.
        let script = format!("trap '' INT TERM HUP; read _ || {{ {duty}; }}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("start a watchdog")?))
    }

    /// Ends it.
    pub fn dismiss(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = std::io::Write::write_all(&mut pipe, b"\n");
        }
        let _ = self.0.wait();
    }
}
