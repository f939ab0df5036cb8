//! Suppression lists that come as files: national do-not-call lists, and numbers for the dialer's own lists; and numbers
//! that are kept as keyed hashes only.

use aws_lc_rs::hmac;
use sqlx::SqliteConnection;

use super::leads::{page_limit, suppression_page};
use super::{Page, Store, StoreError, Suppression, apply};
use crate::CampaignId;
use crate::compliance::NationalCopy;
use crate::lead::phone::{Home, e164};

/// Numbers in one transaction: attempts and dispositions go between two.
const BATCH: usize = 5_000;
/// The longest line of a list.
const LINE_MOST: usize = 200;
/// Lines that are named with what is wrong; all are counted.
const ERRORS_MOST: usize = 100;
/// The secret under which numbers are hashed, sealed.
const HASH_KEY: &str = "suppression_hash_key";

/// Where the numbers of a file go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberList {
    /// Nobody calls them.
    Internal {
        /// Why, for the record.
        reason: String,
    },
    /// One campaign does not call them.
    Campaign {
        /// Which.
        campaign: CampaignId,
        /// Why, for the record.
        reason: String,
    },
    /// They are all of a national list, as of a day; the copy before is replaced.
    National {
        /// ISO 3166.
        country: String,
        /// What the list is called.
        name: String,
        /// The day of the copy, in ms since 1970.
        as_of_unix_ms: i64,
    },
}

/// What came of a file of numbers: `lines = numbers + rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct NumbersReport {
    /// Lines with something on them, a header left out.
    pub lines: u64,
    /// Numbers that were taken; some may have been there before.
    pub numbers: u64,
    /// Lines that are no numbers.
    pub rejected: u64,
    /// The first of these: the line, from 1, and what is wrong with it.
    pub errors: Vec<(u64, String)>,
}

/// An import in progress: feed it the file in pieces of any size, then finish.
#[derive(Debug)]
pub struct NumbersImport {
    store: Store,
    list: NumberList,
    home: Home,
    edition: i64,
    now_unix_ms: i64,
    /// The end of the last piece: a line that is not whole.
    rest: Vec<u8>,
    line: u64,
    batch: Vec<String>,
    report: NumbersReport,
}

impl NumbersImport {
    /// The next piece of the file: a number on each line, alone or in the first columns (`202,5550100`).
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut lines = bytes.split(|b| *b == b'\n');
        let first = lines.next().unwrap_or_default();
        self.rest.extend_from_slice(first);
        if self.rest.len() > LINE_MOST {
            self.rest.truncate(LINE_MOST + 1);
        }
        for next in lines {
            let line = std::mem::replace(&mut self.rest, next.iter().copied().take(LINE_MOST + 1).collect());
            self.take(&line);
            if self.batch.len() >= BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8]) {
        self.line += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return;
        }
        // Other columns (a name, a date) are not of interest; an area code alone is the first half of the number.
        let mut columns = text.split([',', ';', '\t']).map(|column| column.trim().trim_matches('"'));
        let first = columns.next().unwrap_or_default();
        let short = first.bytes().filter(u8::is_ascii_digit).count() <= 4;
        let raw = if short { [first, columns.next().unwrap_or_default()].concat() } else { first.to_owned() };
        if self.line == 1 && !raw.bytes().any(|b| b.is_ascii_digit()) {
            return; // a header
        }
        self.report.lines += 1;
        match e164(&raw, self.home) {
            Ok(number) => {
                self.report.numbers += 1;
                self.batch.push(number);
            }
            Err(why) => {
                self.report.rejected += 1;
                if self.report.errors.len() < ERRORS_MOST {
                    self.report.errors.push((self.line, why.to_owned()));
                }
            }
        }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let numbers = apply::numbers(&batch)?;
        let (list, edition, now_unix_ms) = (&self.list, self.edition, self.now_unix_ms);
        self.store
            .write(async |conn| match list {
                NumberList::National { country, .. } => {
                    national_batch(conn, &numbers, country, edition).await
                }
                NumberList::Internal { reason } => internal_batch(conn, &numbers, reason, now_unix_ms).await,
                NumberList::Campaign { campaign, reason } => {
                    campaign_batch(conn, &numbers, *campaign, reason, now_unix_ms).await
                }
            })
            .await
    }

    /// The file is over. When this returns, the numbers are on disk; tell the dialer with `Command::ListsChanged`. With
    /// the copy that holds now, if it is a national list. A file without one number replaces nothing.
    pub async fn finish(mut self) -> Result<(NumbersReport, Option<NationalCopy>), StoreError> {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.take(&rest);
        }
        self.flush().await?;
        let NumberList::National { country, name, as_of_unix_ms } = &self.list else {
            return Ok((self.report, None));
        };
        if self.report.numbers == 0 {
            let message = "holds no number; the copy before stays".to_owned();
            return Err(StoreError::Invalid { field: "file", message });
        }
        let mut copy = NationalCopy {
            country: country.clone(),
            name: name.clone(),
            as_of_unix_ms: *as_of_unix_ms,
            imported_unix_ms: self.now_unix_ms,
            numbers: 0,
        };
        // What is not in this edition goes, some at a time.
        let mut after = i64::MIN;
        loop {
            let edition = self.edition;
            let next: Option<i64> =
                self.store.write(async |conn| purge(conn, country, edition, after).await).await?;
            match next {
                Some(last) => after = last,
                None => break,
            }
        }
        let edition = self.edition;
        let count = self.store.write(async |conn| settle(conn, &copy, edition).await).await?;
        copy.numbers = u64::try_from(count).unwrap_or_default();
        Ok((self.report, Some(copy)))
    }
}

impl Store {
    /// Starts to take a file of numbers into a list; those without a country code are of `country`, or of the list's.
    pub async fn numbers_import(
        &self,
        list: NumberList,
        country: &str,
        now_unix_ms: i64,
    ) -> Result<NumbersImport, StoreError> {
        const DAY_MS: i64 = 24 * 3_600_000;
        let mut edition = 0;
        let home = match &list {
            NumberList::National { country, as_of_unix_ms, name } => {
                if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
                    let message = "must be two capital letters, e.g. US".to_owned();
                    return Err(StoreError::Invalid { field: "country", message });
                }
                if *as_of_unix_ms > now_unix_ms + DAY_MS || name.len() > 200 {
                    let message = "must be the day of the copy, which is not in the future".to_owned();
                    return Err(StoreError::Invalid { field: "as_of", message });
                }
                let last: Option<i64> =
                    sqlx::query_scalar("SELECT edition FROM national_lists WHERE country = $1")
                        .bind(country)
                        .fetch_optional(&self.inner.readers)
                        .await?;
                // Later than any that was begun and not finished, too.
                edition = last.unwrap_or_default().max(now_unix_ms) + 1;
                Home::new(country)
            }
            NumberList::Internal { .. } | NumberList::Campaign { .. } => Home::new(country),
        };
        Ok(NumbersImport {
            store: self.clone(),
            list,
            home,
            edition,
            now_unix_ms,
            rest: Vec::new(),
            line: 0,
            batch: Vec::new(),
            report: NumbersReport::default(),
        })
    }

    /// The copies of national lists that hold now.
    pub async fn national_lists(&self) -> Result<Vec<NationalCopy>, StoreError> {
        let mut reader = self.inner.readers.acquire().await?;
        copies(&mut reader).await
    }

    /// A campaign's own suppression list, oldest first.
    pub async fn campaign_suppressions(
        &self,
        campaign: CampaignId,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Page<Suppression>, StoreError> {
        let limit = page_limit(limit);
        let rows = sqlx::query(
            "SELECT id, phone, reason, at_unix_ms FROM campaign_suppressions WHERE campaign = $1 AND id > $2 \
             ORDER BY id LIMIT $3",
        )
        .bind(campaign.0)
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.inner.readers)
        .await?;
        suppression_page(&rows, limit)
    }

    /// Suppresses a number, E.164, without keeping it: a keyed hash stays. Its leads are not dialed any more, and a lead
    /// with that number that is added later is not either. For a running dialer use `Command::Suppress` as well, before
    /// the number is forgotten.
    pub async fn suppress_hashed(
        &self,
        phone: &str,
        reason: &str,
        at_unix_ms: i64,
    ) -> Result<(), StoreError> {
        let phone = e164(phone, Home::new(""))
            .map_err(|why| StoreError::Invalid { field: "phone", message: why.to_owned() })?;
        let hash = hash(&self.hash_key().await?, &phone);
        self.write(async |conn| {
            sqlx::query(
                "INSERT INTO suppressed_hashes (hash, reason, at_unix_ms) VALUES ($1, $2, $3) \
                 ON CONFLICT (hash) DO NOTHING",
            )
            .bind(hash)
            .bind(reason)
            .bind(at_unix_ms)
            .execute(&mut *conn)
            .await?;
            apply::take_out(conn, &apply::numbers(&[&phone])?, None).await?;
            // The number itself is not kept.
            for sql in [
                "DELETE FROM suppressions WHERE phone = $1",
                "DELETE FROM campaign_suppressions WHERE phone = $1",
            ] {
                sqlx::query(sql).bind(&phone).execute(&mut *conn).await?;
            }
            Ok(())
        })
        .await
    }

    /// Those of the numbers, E.164, that are suppressed by a hash.
    pub(super) async fn hashed(&self, phones: impl Iterator<Item = &str>) -> Result<Vec<String>, StoreError> {
        let any: Option<i64> = sqlx::query_scalar("SELECT 1 FROM suppressed_hashes LIMIT 1")
            .fetch_optional(&self.inner.readers)
            .await?;
        if any.is_none() {
            return Ok(Vec::new());
        }
        let key = self.hash_key().await?;
        let rows: Vec<(String, String)> = phones
            .map(|phone| {
                let hex = hash(&key, phone).iter().map(|byte| format!("{byte:02x}")).collect();
                (phone.to_owned(), hex)
            })
            .collect();
        let rows = serde_json::to_string(&rows)
            .map_err(|e| StoreError::Invalid { field: "phone", message: e.to_string() })?;
        let found = sqlx::query_scalar(
            "SELECT w.value->>0 FROM json_each($1) AS w JOIN suppressed_hashes AS h ON h.hash = unhex(w.value->>1)",
        )
        .bind(rows)
        .fetch_all(&self.inner.readers)
        .await?;
        Ok(found)
    }

    /// Made when it is first needed; the file beside the database seals it.
    async fn hash_key(&self) -> Result<hmac::Key, StoreError> {
        let mut fresh = vec![0; 32];
        aws_lc_rs::rand::fill(&mut fresh).map_err(|_| StoreError::Corrupt { what: "source of chance" })?;
        let sealed = self.inner.seal.seal(HASH_KEY.as_bytes(), &fresh)?;
        let stored = self.secret(HASH_KEY, || sealed).await?;
        let key = self.inner.seal.open(HASH_KEY.as_bytes(), &stored.0)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }
}

fn hash(key: &hmac::Key, phone: &str) -> Vec<u8> {
    hmac::sign(key, phone.as_bytes()).as_ref().to_vec()
}

/// The copies of national lists that there are.
pub(super) async fn copies(conn: &mut SqliteConnection) -> Result<Vec<NationalCopy>, StoreError> {
    let rows: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(
        "SELECT country, name, as_of_unix_ms, imported_unix_ms, numbers FROM national_lists ORDER BY country",
    )
    .fetch_all(conn)
    .await?;
    let copy = |(country, name, as_of_unix_ms, imported_unix_ms, numbers)| NationalCopy {
        country,
        name,
        as_of_unix_ms,
        imported_unix_ms,
        numbers: u64::try_from(numbers).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(copy).collect())
}

async fn national_batch(
    conn: &mut SqliteConnection,
    numbers: &str,
    country: &str,
    edition: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO national_numbers (number, country, edition) \
         SELECT CAST(substr(w.value, 2) AS INTEGER), $2, $3 FROM json_each($1) AS w WHERE true \
         ON CONFLICT (number, country) DO UPDATE SET edition = excluded.edition",
    )
    .bind(numbers)
    .bind(country)
    .bind(edition)
    .execute(conn)
    .await?;
    Ok(())
}

async fn internal_batch(
    conn: &mut SqliteConnection,
    numbers: &str,
    reason: &str,
    at_unix_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO suppressions (phone, reason, at_unix_ms) SELECT w.value, $2, $3 FROM json_each($1) AS w WHERE true \
         ON CONFLICT (phone) DO NOTHING",
    )
    .bind(numbers)
    .bind(reason)
    .bind(at_unix_ms)
    .execute(&mut *conn)
    .await?;
    apply::take_out(conn, numbers, None).await
}

async fn campaign_batch(
    conn: &mut SqliteConnection,
    numbers: &str,
    campaign: CampaignId,
    reason: &str,
    at_unix_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO campaign_suppressions (campaign, phone, reason, at_unix_ms) \
         SELECT $2, w.value, $3, $4 FROM json_each($1) AS w WHERE true ON CONFLICT (phone, campaign) DO NOTHING",
    )
    .bind(numbers)
    .bind(campaign.0)
    .bind(reason)
    .bind(at_unix_ms)
    .execute(&mut *conn)
    .await?;
    apply::take_out(conn, numbers, Some(campaign)).await
}

/// Removes numbers of older editions among the next ones; gives the last that was looked at, none at the end.
async fn purge(
    conn: &mut SqliteConnection,
    country: &str,
    edition: i64,
    after: i64,
) -> Result<Option<i64>, StoreError> {
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(number) FROM (SELECT number FROM national_numbers WHERE number > $1 ORDER BY number LIMIT $2)",
    )
    .bind(after)
    .bind(BATCH as i64 * 4)
    .fetch_one(&mut *conn)
    .await?;
    let Some(last) = last else { return Ok(None) };
    sqlx::query(
        "DELETE FROM national_numbers WHERE number > $1 AND number <= $2 AND country = $3 AND edition < $4",
    )
    .bind(after)
    .bind(last)
    .bind(country)
    .bind(edition)
    .execute(conn)
    .await?;
    Ok(Some(last))
}

/// The copy holds from now on; gives how many numbers are on it.
async fn settle(conn: &mut SqliteConnection, copy: &NationalCopy, edition: i64) -> Result<i64, StoreError> {
    let numbers: i64 = sqlx::query_scalar("SELECT count(*) FROM national_numbers WHERE country = $1")
        .bind(&copy.country)
        .fetch_one(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO national_lists (country, name, as_of_unix_ms, imported_unix_ms, numbers, edition) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (country) DO UPDATE SET name = excluded.name, \
         as_of_unix_ms = excluded.as_of_unix_ms, imported_unix_ms = excluded.imported_unix_ms, \
         numbers = excluded.numbers, edition = excluded.edition",
    )
    .bind(&copy.country)
    .bind(&copy.name)
    .bind(copy.as_of_unix_ms)
    .bind(copy.imported_unix_ms)
    .bind(numbers)
    .bind(edition)
    .execute(conn)
    .await?;
    Ok(numbers)
}
