//! `kraliki suppression import`: numbers that must not be called, from a file.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use kraliki_engine::Command;
use kraliki_engine::runtime::EngineHandle;
use kraliki_engine::store::{NumberList, NumbersImport, Store};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Failed;
use crate::config::Config;
use crate::control::{Request, ask};
use crate::manage::{block_on, print};

/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Lines with errors that are printed; all are counted.
const ERRORS_SHOWN: usize = 20;

#[derive(Args)]
pub(crate) struct Import {
    /// A file with a number on each line, alone or as 202,5550100
    file: PathBuf,
    /// Only this campaign's own list, by the campaign's number or name
    #[arg(long, conflicts_with = "national")]
    campaign: Option<String>,
    /// A copy of the national do-not-call list of this country (US); it takes the place of the copy before
    #[arg(long, value_name = "COUNTRY", requires = "as_of")]
    national: Option<String>,
    /// With --national: the day of the copy, e.g. 2026-11-30
    #[arg(long, value_name = "DAY", requires = "national")]
    as_of: Option<String>,
    /// With --national: what the list is called
    #[arg(long, default_value = "", requires = "national")]
    name: String,
    /// Why, for the record
    #[arg(long, default_value = "imported")]
    reason: String,
    /// The country of numbers without a country code
    #[arg(long, default_value = "")]
    country: String,
    /// The configuration file
    #[arg(long, env = "KRALIKI_CONFIG")]
    pub(crate) config: PathBuf,
}

/// What is asked of the running dialer; the file's bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wanted {
    campaign: Option<String>,
    /// Country, day in ms since 1970, name.
    national: Option<(String, i64, String)>,
    reason: String,
    country: String,
}

pub(crate) fn import(options: &Import, config: &Config) -> Result<(), Failed> {
    let path = options.file.display();
    let national = match (&options.national, &options.as_of) {
        (Some(country), Some(day)) => Some((country.clone(), unix_ms(day)?, options.name.clone())),
        _ => None,
    };
    let wanted = Wanted {
        campaign: options.campaign.clone(),
        national,
        reason: options.reason.clone(),
        country: options.country.clone(),
    };
    let answer = block_on(async {
        let mut file =
            tokio::fs::File::open(&options.file).await.with_context(|| format!("{path}: cannot be read"))?;
        let request = Request::ImportNumbers(wanted);
        if let Some(answer) = ask(&config.store.path, &request, Some(&mut file)).await? {
            return Ok(answer);
        }
        let Request::ImportNumbers(wanted) = request else { bail!("not reached") };
        let store = Store::open(&config.store.path).await?;
        let now = kraliki_time::Clock::start().unix_ms();
        let answer = read(&store, wanted, &mut file, now, None).await;
        store.close().await;
        answer
    })?;
    print(&answer);
    Ok(())
}

/// Reads the numbers into the store, and tells the dialer if it runs; gives a report for the person.
pub(crate) async fn read(
    store: &Store,
    wanted: Wanted,
    from: &mut (impl AsyncRead + Unpin),
    now_unix_ms: i64,
    handle: Option<&EngineHandle>,
) -> anyhow::Result<String> {
    let Wanted { campaign, national, reason, country } = wanted;
    let list = match (campaign, national) {
        (Some(campaign), _) => {
            let campaigns = store.campaigns().await?;
            let found = campaigns
                .into_iter()
                .find(|c| c.settings.name == campaign || c.id.to_string() == campaign)
                .ok_or_else(|| {
                    anyhow!("there is no campaign {campaign:?}; give its number or its exact name")
                })?;
            NumberList::Campaign { campaign: found.id, reason }
        }
        (None, Some((country, as_of_unix_ms, name))) => NumberList::National { country, name, as_of_unix_ms },
        (None, None) => NumberList::Internal { reason },
    };
    let mut import: NumbersImport = store.numbers_import(list, &country, now_unix_ms).await?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let got = from.read(&mut chunk).await?;
        if got == 0 {
            break;
        }
        import.feed(chunk.get(..got).unwrap_or_default()).await?;
    }
    let (report, copy) = import.finish().await?;
    let mut text =
        format!("{} lines: {} numbers taken, {} rejected", report.lines, report.numbers, report.rejected);
    for (line, message) in report.errors.iter().take(ERRORS_SHOWN) {
        text.push_str(&format!("\nline {line}: the number {message}"));
    }
    if let Some(copy) = &copy {
        text.push_str(&format!("\nthe national list of {} has {} numbers now", copy.country, copy.numbers));
    }
    if let Some(handle) = handle {
        handle.command(Command::ListsChanged(copy.map(Box::new))).await?;
    }
    Ok(text)
}

/// The first moment of a day, UTC.
fn unix_ms(day: &str) -> anyhow::Result<i64> {
    let parts: Vec<i64> = day.split('-').filter_map(|part| part.parse().ok()).collect();
    let wrong = || anyhow!("--as-of {day:?}: give the day of the copy as 2026-11-30");
    let [year, month, day_] = parts[..] else { return Err(wrong()) };
    if !(2000..=2200).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day_) {
        return Err(wrong());
    }
    // Days from the civil calendar, with the year beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day_ - 1 - 719_468;
    Ok(days * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::unix_ms;

    #[test]
    fn days() {
        assert_eq!(unix_ms("2026-11-30").unwrap(), 1_795_996_800_000);
        assert_eq!(unix_ms("2027-01-01").unwrap(), 1_798_761_600_000);
        assert_eq!(unix_ms("2028-02-29").unwrap() + 86_400_000, unix_ms("2028-03-01").unwrap());
        for wrong in ["", "2026", "30.11.2026", "2026-13-01", "x"] {
            assert!(unix_ms(wrong).is_err(), "{wrong}");
        }
    }
}
