//! Calls between carriers and browsers for half an hour: nothing is lost and memory stays flat.

use std::time::Duration;

use super::{Case, Sum, ours_with};
use crate::cpu::resident;
use crate::results::{Better, Row};

const CALLS: usize = 500;
const SECONDS: u64 = 1_800;
/// The run is looked at in so many parts; the first is a warm-up.
const PARTS: usize = 6;
const LOOKS_A_PART: usize = 10;
/// With huge pages the allocator's heap grows by 2 MB when a kB is needed, which is 3% here and shows nothing of what grows.
const SMALL_PAGES: [(&str, &str); 1] = [("MIMALLOC_ALLOW_THP", "0")];
/// Memory of the last part beside that of the second.
const GROWTH_MOST: f64 = 1.05;
/// One packet in ten thousand, which is none that anybody hears: a machine that does other things stands still at times.
const LOST_MOST: f64 = 0.0001;

/// `KRALIKI_SOAK_S` and `KRALIKI_SOAK_CALLS` set another length and other calls.
pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("KRALIKI_SOAK_S").unwrap_or(SECONDS);
    let calls = number("KRALIKI_SOAK_CALLS").and_then(|n| usize::try_from(n).ok()).unwrap_or(CALLS);
    let (mut load, relay, _) = ours_with(calls, Case::Browser, &SMALL_PAGES)?;
    let look = Duration::from_secs(seconds) / (PARTS * LOOKS_A_PART) as u32;
    let mut held = Vec::new();
    for _ in 0..PARTS * LOOKS_A_PART {
        load.run(look)?;
        held.push(resident(relay.id())?);
    }
    let part = |n: usize| {
        let mut some: Vec<u64> = held.chunks(LOOKS_A_PART).nth(n).unwrap_or_default().to_vec();
        some.sort_unstable();
        some.get(some.len() / 2).copied().unwrap_or_default() as f64
    };
    let (early, late) = (part(1), part(PARTS - 1));
    let delay_p99 = load.take_delay_p99();
    let sum = Sum { sent: load.sent, heard: load.heard, cpu: relay.cpu()?, delay_p99, ..Sum::default() };
    let row =
        Row::new("media_soak", &format!("memory_{calls}"), "ratio", late / early.max(1.0), Better::Lower);
    let clean = sum.lost_share() <= LOST_MOST && sum.heard > 0 && early > 0.0;
    Ok(vec![row.target(GROWTH_MOST).only_if(clean).note(format!(
        "resident memory of the relay, the last sixth of {seconds} s beside the second: {:.1} MB, {:.1} MB; {} of {} packets \
         lost, {:.1} us a packet, {sum}",
        late / 1e6,
        early / 1e6,
        sum.sent.saturating_sub(sum.heard),
        sum.sent,
        sum.cost(),
    ))])
}
