//! Processes that a bench starts: peers, and parts of this program. Each is ended with its owner.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

use crate::cpu;

/// How often a process that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a process may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(2);

/// A process that ends at the latest when this is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// A peer. Its output is not looked at.
    pub(crate) fn peer(command: &mut Command) -> anyhow::Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Process { name, child, lines: None })
    }

    /// This program as one of its parts, which reports by lines of JSON.
    pub(crate) fn part(arguments: &[String]) -> anyhow::Result<Process> {
        Process::part_with(arguments, &[])
    }

    /// The same, with variables in its environment.
    pub(crate) fn part_with(arguments: &[String], environment: &[(&str, &str)]) -> anyhow::Result<Process> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(program);
        command
            .envs(environment.iter().copied())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let name = arguments.first().cloned().unwrap_or_default();
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let lines = child.stdout.take().map(BufReader::new);
        Ok(Process { name, child, lines })
    }

    /// The next report of a part.
    pub(crate) fn report<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        let lines = self.lines.as_mut().with_context(|| format!("{} reports nothing", self.name))?;
        lines.read_line(&mut line).with_context(|| format!("reading from {}", self.name))?;
        serde_json::from_str(&line).with_context(|| format!("{} reported {line:?}", self.name))
    }

    /// Tells a part to end.
    pub(crate) fn end(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(cpu::of(self.child.id())?.cpu)
    }

    /// Waits until it has ended by itself; gives the CPU time of its whole life.
    pub(crate) fn wait(mut self, at_most: Duration) -> anyhow::Result<Duration> {
        let began = Instant::now();
        loop {
            let charged = cpu::of(self.child.id())?;
            if charged.ended {
                self.child.wait()?;
                return Ok(charged.cpu);
            }
            if began.elapsed() > at_most {
                bail!("{} did not end within {at_most:?}", self.name);
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Asked first: a peer that has processes of its own ends them, and would leave them behind when it is killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let asked = Instant::now();
        while asked.elapsed() < END_WITHIN && !matches!(self.child.try_wait(), Ok(Some(_))) {
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `kraliki` binary that was built with this program.
pub(crate) fn kraliki() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("where this program is")?.with_file_name("kraliki");
    if !path.exists() {
        bail!("{} is missing: build it in the same profile, or run make bench", path.display());
    }
    Ok(path)
}

/// Whether a program is installed.
pub(crate) fn installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

/// Reports to the bench that started this part.
pub(crate) fn tell(report: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

/// Returns when the bench that started this part wants it to end, or is gone.
pub(crate) fn until_told() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
