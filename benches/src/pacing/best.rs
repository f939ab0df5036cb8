//! The best fixed level: what a manager who knew the floor, and had time to try, would set.

use kraliki_engine::simulate::run;

use super::work::on_two_threads;
use super::{Case, SEARCH_SEED};

/// So many levels from the first one on.
pub(super) fn steps(first: f64, step: f64, count: u32) -> Vec<f64> {
    (0..count).map(|i| first + f64::from(i) * step).collect()
}

/// The policy's name with the highest of the levels that keeps the cap, found in half of the hours with a seed of its
/// own. More lines mean more calls abandoned, so that thirds of the range are tried, two at a time.
pub(super) fn level(case: &Case, hours: u64, policy: &str, levels: &[f64]) -> anyhow::Result<String> {
    let name = |place: usize| format!("{policy}:{:.2}", levels.get(place).copied().unwrap_or(1.0));
    let (mut keeps, mut breaks) = (0, levels.len());
    while breaks - keeps > 1 {
        let third = ((breaks - keeps) / 3).max(1);
        let places: Vec<usize> =
            [keeps + third, keeps + 2 * third].into_iter().filter(|place| *place < breaks).collect();
        let hours = (hours / 2).max(4);
        let reports =
            on_two_threads(&places, |place| run(&case.with(hours, name(*place)).config(SEARCH_SEED)))?;
        for (place, report) in places.into_iter().zip(reports) {
            if report.abandonment <= case.cap {
                keeps = keeps.max(place);
            } else {
                breaks = breaks.min(place);
                break;
            }
        }
    }
    Ok(name(keeps))
}
