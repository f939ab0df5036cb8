//! Which faults happen when: drawn from the seed before the run begins.

use std::collections::BTreeSet;
use std::time::Duration;

use kraliki_time::Time;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Family, pick};
use crate::TrunkId;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// The process is gone, and back after a while.
    Kill { down: Duration },
    /// The machine is gone, with what was not synced.
    PowerLoss { down: Duration },
    /// Nothing is written for this long.
    DiskFull(Duration),
    /// Nothing is answered for this long.
    DiskHangs(Duration),
    /// A carrier answers 503 to every INVITE.
    TrunkRefuses(TrunkId, Duration),
    /// A carrier answers nothing.
    TrunkSilent(TrunkId, Duration),
    /// The keep-alive finds a trunk down.
    TrunkDown(TrunkId, Duration),
    /// Every agent's audio is gone: silent at first, then the leg is down; it comes back.
    AgentsGone(Duration),
    /// The wall clock steps, by ms.
    ClockSteps(i64),
}

impl Fault {
    /// The name in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Kill { .. } => "kill",
            Fault::PowerLoss { .. } => "power loss",
            Fault::DiskFull(_) => "disk full",
            Fault::DiskHangs(_) => "disk hangs",
            Fault::TrunkRefuses(..) => "trunk refuses",
            Fault::TrunkSilent(..) => "trunk silent",
            Fault::TrunkDown(..) => "trunk down",
            Fault::AgentsGone(_) => "agents gone",
            Fault::ClockSteps(_) => "clock steps",
        }
    }
}

/// The faults of a run, in no order.
pub(super) fn draw(
    families: &BTreeSet<Family>,
    lasts: Duration,
    trunks: &[TrunkId],
    rng: &mut ChaCha8Rng,
) -> Vec<(Time, Fault)> {
    let mut faults = Vec::new();
    let end_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX).max(2_000);
    for family in families {
        // About one of each kind in two minutes, and at least two.
        let count = (end_ms / 120_000).max(2) + rng.random_range(0..3);
        for _ in 0..count {
            let at = Time::from_millis(rng.random_range(1_000..end_ms));
            let ms = |rng: &mut ChaCha8Rng, from, to| Duration::from_millis(rng.random_range(from..=to));
            let place = rng.random_range(0..i64::try_from(trunks.len()).unwrap_or(1).max(1));
            let place = usize::try_from(place).unwrap_or(0);
            let trunk = trunks.get(place).copied().unwrap_or(TrunkId(1));
            let fault = match family {
                Family::Kill => Fault::Kill { down: ms(rng, 100, 4_000) },
                Family::PowerLoss => Fault::PowerLoss { down: ms(rng, 1_000, 20_000) },
                Family::Disk if rng.random_range(0..2) == 0 => Fault::DiskFull(ms(rng, 100, 15_000)),
                Family::Disk => Fault::DiskHangs(ms(rng, 100, 8_000)),
                Family::Trunk => match rng.random_range(0..3) {
                    0 => Fault::TrunkRefuses(trunk, ms(rng, 5_000, 90_000)),
                    1 => Fault::TrunkSilent(trunk, ms(rng, 5_000, 90_000)),
                    _ => Fault::TrunkDown(trunk, ms(rng, 5_000, 30_000)),
                },
                Family::Agents => Fault::AgentsGone(ms(rng, 500, 40_000)),
                Family::Clock => {
                    let step = pick(rng, 3_600_000, &[-3_600_000, 61_000, -61_000, 500]);
                    Fault::ClockSteps(step)
                }
                Family::Lines | Family::Vanish | Family::Overload | Family::Nonsense | Family::Restless => {
                    break; // not of a moment: they go on through the whole run
                }
            };
            faults.push((at, fault));
        }
    }
    faults
}
