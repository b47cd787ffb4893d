//! The operator as a process beside a cluster.

use super::process::Process;
use super::wait;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

const START_DEADLINE: Duration = Duration::from_mins(1);

/// A running operator.
pub struct Operator {
    process: Process,
    address: String,
}

impl Operator {
    /// Starts `run` with a value for `KUBECONFIG` and further arguments, and waits until it says that it is ready. The log
    /// is `operator.log` in the folder; that of an earlier one is continued.
    pub fn start(binary: &Path, kubeconfig: &OsStr, folder: &Path, args: &[&str]) -> Result<Self> {
        let mut operator = Self::begin(binary, kubeconfig, folder, args)?;
        operator.wait_until_ready()?;
        Ok(operator)
    }

    /// The same, but only waits until it listens.
    pub fn begin(binary: &Path, kubeconfig: &OsStr, folder: &Path, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("run").args(args).env("KUBECONFIG", kubeconfig);
        Self::begin_as(command, folder)
    }

    /// The same of any command that comes to `run`.
    pub fn begin_as(mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join("operator.log");
        let earlier = std::fs::read_to_string(&log).unwrap_or_default().len();
        command.args(["--monitoring-host=127.0.0.1", "--monitoring-port=0"]).env("NO_COLOR", "1");
        // As the Deployment of `config/` has it.
        command.env("MIMALLOC_PURGE_DELAY", "0");
        let mut process = Process::spawn("the operator", &mut command, &log)?;
        let address = wait("the operator to listen", START_DEADLINE, || {
            if let Some(status) = process.ended()? {
                bail!("the operator ended with {status}:\n{}", process.log_tail(20));
            }
            Ok(process.log().get(earlier..).and_then(address_in).ok_or_else(|| process.log_tail(20)))
        })?;
        Ok(Self { process, address })
    }

    /// Waits until it says that it is ready.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        wait("the operator to be ready", START_DEADLINE, || {
            Ok(self.get("/readyz")?.map(drop).map_err(|e| format!("{e}; its log:\n{}", self.process.log_tail(20))))
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Reads a page of its monitoring port; the inner error is its answer where that is not 200.
    pub fn get(&mut self, path: &str) -> Result<Result<String, String>> {
        if let Some(status) = self.process.ended()? {
            bail!("the operator ended with {status}:\n{}", self.process.log_tail(20));
        }
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.lines().next().unwrap_or_default();
        Ok(if status.contains(" 200 ") { Ok(body.to_owned()) } else { Err(format!("{path}: {status}: {body}")) })
    }

    /// A value of its metrics, added up over all labels that begin so; 0 where there is none.
    pub fn metric(&mut self, begin: &str) -> Result<u64> {
        let text = self.get("/metrics")?.map_err(anyhow::Error::msg)?;
        let values =
            text.lines().filter(|l| l.starts_with(begin)).filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(values.sum())
    }

    /// What it has ended with, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        self.process.terminate(Duration::from_secs(30))
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        self.process.signal(signal)
    }

    /// Where its monitoring port is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All of its log.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The end of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }
}

/// The address in `serving … address=127.0.0.1:40123`.
fn address_in(log: &str) -> Option<String> {
    let line = log.lines().find(|l| l.contains("serving /healthz"))?;
    let address = line.split_once("address=")?.1;
    Some(address.split_whitespace().next()?.to_owned())
}
