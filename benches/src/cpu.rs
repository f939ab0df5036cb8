//! The CPU time that Linux charges processes and threads, and the memory they hold.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// A tick of /proc/PID/stat: USER_HZ is 100 on every architecture that we run on.
const TICK: Duration = Duration::from_millis(10);

/// A process: the CPU time of all its threads, those that ended included, and whether it has ended.
pub(crate) struct Charged {
    pub(crate) cpu: Duration,
    pub(crate) ended: bool,
}

/// What a process was charged so far. One that has ended can be asked until it is waited for.
pub(crate) fn of(pid: u32) -> anyhow::Result<Charged> {
    charged(&format!("/proc/{pid}/stat"))
}

/// What this process was charged so far.
pub(crate) fn own() -> anyhow::Result<Duration> {
    Ok(charged("/proc/self/stat")?.cpu)
}

fn charged(path: &str) -> anyhow::Result<Charged> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    // The name in parentheses may hold anything: what follows counts from the last one. proc(5): state is field 3,
    // utime 14, stime 15.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| {
        let value = fields.get(field - 3).with_context(|| format!("{path} is too short"))?;
        value.parse::<u32>().with_context(|| format!("{path}: {value:?} is no number"))
    };
    let cpu = TICK * (ticks(14)? + ticks(15)?);
    Ok(Charged { cpu, ended: fields.first() == Some(&"Z") })
}

/// What the calling thread was charged so far, finer than a tick.
pub(crate) fn of_thread() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().unwrap_or_default();
    Ok(Duration::from_nanos(nanos.parse().context("/proc/thread-self/schedstat has no number")?))
}

/// µs of CPU for one of `count`.
pub(crate) fn us_each(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/statm");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let pages = text.split_whitespace().nth(1).with_context(|| format!("{path} is too short"))?;
    Ok(pages.parse::<u64>().with_context(|| format!("{path}: {pages:?} is no number"))? * 4_096)
}
