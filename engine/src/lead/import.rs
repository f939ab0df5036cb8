//! A list as people have it (CSV of any origin) into leads.
//!
//! Bytes go in by [`Csv::feed`], in pieces of any size; rows come out by [`Csv::next_row`]. Nothing is lost silently: each
//! line with data becomes a lead or an [`ImportError`]. A reader of our own, since a general one swallows everything
//! behind a quote that is never closed: here a broken record costs its first line, and reading goes on at the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::columns::Columns;
use super::phone::{self, Home};
use super::place;
use crate::limits::PHONES_MOST;
use crate::{Consent, Pii};

/// A line that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportError {
    /// Counted from 1; the header is line 1.
    pub line: u64,
    /// The column's name in the header; empty when it is about the whole line.
    pub column: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The line as it came, for the file of errors; without its end, and cut when it is very long.
    #[serde(skip)]
    pub record: Pii<String>,
}

/// Which numbers count as there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dedupe {
    /// Those of the same list.
    List,
    /// Those of the same campaign.
    #[default]
    Campaign,
    /// Those of any campaign.
    System,
}

/// How a list is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// What columns hold, by their names in the header: `phone`, `first_name`, `last_name`, `time_zone`, `priority`,
    /// `other_phone`, `custom` or `ignore`. The others are known by their names.
    pub map: BTreeMap<String, String>,
    /// Which numbers count as there already.
    pub dedupe: Dedupe,
    /// Nothing is written: what would come of it is reported.
    pub dry_run: bool,
}

/// What came of an import: `rows = imported + duplicates + rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Lines with data.
    pub rows: u64,
    /// Leads added.
    pub imported: u64,
    /// Numbers that are there already.
    pub duplicates: u64,
    /// Lines not taken.
    pub rejected: u64,
    /// Why: the first 1,000.
    pub errors: Vec<ImportError>,
    /// Whether there were more.
    pub errors_truncated: bool,
}

impl ImportReport {
    /// More errors than a person reads; the counts go on.
    const ERRORS_MOST: usize = 1_000;

    pub(crate) fn reject(&mut self, error: ImportError) {
        self.rows += 1;
        self.rejected += 1;
        if self.errors.len() < Self::ERRORS_MOST {
            self.errors.push(error);
        } else {
            self.errors_truncated = true;
        }
    }
}

/// A record with its quoted line breaks: the longest that real lists have is a few kB.
const RECORD_MOST: usize = 64 * 1024;
/// Bytes of a record in the file of errors: enough to find it again.
const RECORD_KEPT: usize = 4 * 1024;
/// Names and zones on an agent's screen.
const NAME_MOST: usize = 200;
/// The form, or the words, by which a person agreed.
const CONSENT_MOST: usize = 1_000;
/// Priorities: few enough that the refill may look at each (it seeks once per priority in use).
const PRIORITY_MOST: i32 = 1_000;

/// A lead that may be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) phone: Pii<String>,
    pub(crate) first_name: Pii<String>,
    pub(crate) last_name: Pii<String>,
    pub(crate) time_zone: String,
    pub(crate) country: String,
    pub(crate) state: String,
    pub(crate) consent: Consent,
    pub(crate) priority: i32,
    /// Further ones in their order, with their kinds.
    pub(crate) phones: Vec<(String, Pii<String>)>,
    pub(crate) custom: Pii<BTreeMap<String, String>>,
}

/// What a row is refused for: the field and the reason.
pub(crate) type RowError = (&'static str, String);

impl Row {
    /// Checks what was given and fills in what can be known: the number's canonical form and its time zone.
    pub(crate) fn check(mut self, home: Home) -> Result<Row, RowError> {
        self.phone = phone::e164(&self.phone, home).map(Pii).map_err(|why| ("phone", why.to_owned()))?;
        self.other_phones(home)?;
        for (field, value) in [("first_name", &self.first_name), ("last_name", &self.last_name)] {
            if value.len() > NAME_MOST {
                return Err((field, format!("is longer than {NAME_MOST} bytes")));
            }
        }
        if !(-PRIORITY_MOST..=PRIORITY_MOST).contains(&self.priority) {
            return Err((
                "priority",
                format!("must be a whole number from -{PRIORITY_MOST} to {PRIORITY_MOST}"),
            ));
        }
        (self.country, self.state) = place::check(&self.country, &self.state, &self.phone)?;
        if self.consent.source.len() > CONSENT_MOST {
            return Err(("consent_source", format!("is longer than {CONSENT_MOST} bytes")));
        }
        if self.time_zone.is_empty() {
            self.time_zone = match place::zone_of(&self.country, &self.state, &self.phone).as_slice() {
                [zone] => (*zone).to_owned(),
                [] => {
                    return Err((
                        "time_zone",
                        "is not known for this number; give it as an IANA name, e.g. Europe/Prague".into(),
                    ));
                }
                several => {
                    return Err((
                        "time_zone",
                        format!("may be any of {} for this number; give the right one", several.join(", ")),
                    ));
                }
            };
        } else {
            // The canonical spelling; a zone that cannot be looked up could never be dialed in.
            let zone = jiff::tz::TimeZone::get(&self.time_zone).ok();
            let Some(name) = zone.as_ref().and_then(|zone| zone.iana_name()) else {
                return Err(("time_zone", "is not an IANA name; write e.g. America/Chicago".into()));
            };
            self.time_zone = name.to_owned();
        }
        Ok(self)
    }

    /// The further phones, each once; one that is none is named, so that nobody believes it is dialed.
    fn other_phones(&mut self, home: Home) -> Result<(), RowError> {
        let mut good: Vec<(String, Pii<String>)> = Vec::new();
        for (kind, phone) in std::mem::take(&mut self.phones) {
            let phone = phone::e164(&phone, home)
                .map(Pii)
                .map_err(|why| ("other_phone", format!("{kind}: {why}")))?;
            if phone != self.phone && !good.iter().any(|(_, known)| *known == phone) {
                good.push((kind, phone));
            }
        }
        if good.len() >= PHONES_MOST {
            return Err(("other_phone", format!("a lead has at most {PHONES_MOST} phones")));
        }
        self.phones = good;
        Ok(())
    }
}

/// The reader.
#[derive(Debug)]
pub(crate) struct Csv {
    home: Home,
    map: BTreeMap<String, String>,
    buf: Vec<u8>,
    /// Up to here `buf` is read.
    at: usize,
    /// The line at `at`, from 1.
    line: u64,
    eof: bool,
    begun: bool,
    /// Inside a line that is too long, of which only the end is of interest.
    skipping: bool,
    header: Option<(u8, Columns)>,
}

impl Csv {
    /// `map` as in [`ImportOptions`].
    pub(crate) fn new(home: Home, map: BTreeMap<String, String>) -> Csv {
        let (buf, header) = (Vec::new(), None);
        Csv { home, map, buf, at: 0, line: 1, eof: false, begun: false, skipping: false, header }
    }

    /// More of the file. Call `next_row` until it gives none before feeding again, so that memory stays flat.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buf.drain(..self.at.min(self.buf.len()));
        self.at = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// Bytes in memory.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.buf.capacity()
    }

    /// That was all.
    pub(crate) fn end(&mut self) {
        self.eof = true;
    }

    /// The next row, or why a line is none; nothing when more is to be fed. An outer error ends the import: the file
    /// as a whole cannot be read.
    pub(crate) fn next_row(&mut self) -> Result<Option<Result<Row, ImportError>>, ImportError> {
        if !self.begun && !self.begin()? {
            return Ok(None);
        }
        if self.header.is_none() {
            match self.read_header()? {
                Some(header) => self.header = Some(header),
                None => return Ok(None),
            }
        }
        let Some((separator, columns)) = &self.header else { return Ok(None) };
        loop {
            if self.skipping {
                match line_end(&self.buf, self.at, self.eof) {
                    Some(next) => {
                        (self.at, self.skipping) = (next, false);
                        self.line += 1;
                    }
                    None => {
                        self.at = self.buf.len();
                        return Ok(None);
                    }
                }
            }
            let line = self.line;
            match scan(&self.buf, self.at, *separator, self.eof) {
                Scan::More => return Ok(None),
                Scan::Record { next, lines, fields } => {
                    if fields.iter().all(|field| field.is_blank(&self.buf)) {
                        (self.at, self.line) = (next, line + lines);
                        continue;
                    }
                    let row = columns.read(&self.buf, &fields).and_then(|row| row.check(self.home));
                    // A record that does not fit may have swallowed others: only its first line is given up.
                    match row {
                        Err(("", message)) => return Ok(Some(Err(self.give_up_line(message)))),
                        row => {
                            let begin = std::mem::replace(&mut self.at, next);
                            self.line = line + lines;
                            let error = |(field, message)| {
                                let record = self.buf.get(begin..next).unwrap_or_default();
                                ImportError {
                                    line,
                                    column: columns.name(field),
                                    message,
                                    record: text_of(record),
                                }
                            };
                            return Ok(Some(row.map_err(error)));
                        }
                    }
                }
                Scan::Broken(why) => return Ok(Some(Err(self.give_up_line(why.to_owned())))),
            }
        }
    }

    /// Passes over the current line, whatever it holds.
    fn give_up_line(&mut self, message: String) -> ImportError {
        let end = line_end(&self.buf, self.at, self.eof);
        let record = self.buf.get(self.at..end.unwrap_or(self.buf.len())).unwrap_or_default();
        let error = ImportError { line: self.line, column: String::new(), message, record: text_of(record) };
        match end {
            Some(next) => {
                self.at = next;
                self.line += 1;
            }
            None => {
                self.at = self.buf.len();
                self.skipping = true;
            }
        }
        error
    }

    /// Looks at the first bytes: a byte-order mark, or another encoding.
    fn begin(&mut self) -> Result<bool, ImportError> {
        if self.buf.len() < 3 && !self.eof {
            return Ok(false);
        }
        self.begun = true;
        match self.buf.as_slice() {
            [0xef, 0xbb, 0xbf, ..] => self.at = 3,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, ..] | [0, ..] => {
                return Err(self.whole("the file is UTF-16; save it as \"CSV UTF-8\" and import it again"));
            }
            _ => {}
        }
        Ok(true)
    }

    fn read_header(&mut self) -> Result<Option<(u8, Columns)>, ImportError> {
        loop {
            let Some(end) = line_end(&self.buf, self.at, self.eof) else {
                let waiting = self.buf.len() - self.at;
                return match () {
                    () if waiting > RECORD_MOST => {
                        Err(self.whole("the header is longer than 64 kB; is this a CSV file?"))
                    }
                    () if self.eof => {
                        Err(self.whole("the file is empty; its first line must name the columns"))
                    }
                    () => Ok(None),
                };
            };
            let first = self.buf.get(self.at..end).unwrap_or_default();
            if first.iter().all(u8::is_ascii_whitespace) {
                (self.at, self.line) = (end, self.line + 1);
                if self.eof && self.at >= self.buf.len() {
                    return Err(self.whole("the file is empty; its first line must name the columns"));
                }
                continue;
            }
            let count = |separator| first.iter().filter(|&&b| b == separator).count();
            let separator = [b',', b';', b'\t'].into_iter().rev().max_by_key(|&s| count(s)).unwrap_or(b',');
            return match scan(&self.buf, self.at, separator, self.eof) {
                Scan::More => Ok(None),
                Scan::Broken(why) => Err(self.whole(why)),
                Scan::Record { next, lines, fields } => {
                    let columns =
                        Columns::of(&self.buf, &fields, &self.map).map_err(|why| self.whole(&why))?;
                    (self.at, self.line) = (next, self.line + lines);
                    Ok(Some((separator, columns)))
                }
            };
        }
    }

    fn whole(&self, message: &str) -> ImportError {
        let (column, record) = (String::new(), Pii::default());
        ImportError { line: self.line, column, message: message.to_owned(), record }
    }
}

/// A record for the file of errors.
fn text_of(record: &[u8]) -> Pii<String> {
    let record = record.get(..RECORD_KEPT).unwrap_or(record);
    Pii(String::from_utf8_lossy(record).trim_end_matches(['\r', '\n']).to_owned())
}

/// A field within the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    from: usize,
    to: usize,
    /// Holds doubled quotes.
    doubled: bool,
}

impl Field {
    /// Its text, trimmed; none when it is not UTF-8.
    pub(super) fn text(self, buf: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
        let text = std::str::from_utf8(buf.get(self.from..self.to)?).ok()?.trim();
        Some(if self.doubled { text.replace("\"\"", "\"").into() } else { text.into() })
    }

    fn is_blank(self, buf: &[u8]) -> bool {
        buf.get(self.from..self.to).is_none_or(|bytes| bytes.iter().all(u8::is_ascii_whitespace))
    }
}

enum Scan {
    /// The record's end is not here yet.
    More,
    Record {
        next: usize,
        lines: u64,
        fields: Vec<Field>,
    },
    Broken(&'static str),
}

/// One record from `start` (RFC 4180, and CR alone as a line end).
fn scan(buf: &[u8], start: usize, separator: u8, eof: bool) -> Scan {
    const OPEN: &str = "a quote is opened and not closed; close it, or write a quote inside a field twice";
    let more = |at: usize| match () {
        () if at - start > RECORD_MOST => Scan::Broken("the line is longer than 64 kB"),
        () => Scan::More,
    };
    if start >= buf.len() {
        return Scan::More;
    }
    let mut fields = Vec::new();
    let mut lines = 0;
    let mut at = start;
    loop {
        if at - start > RECORD_MOST {
            return Scan::Broken(if lines > 0 { OPEN } else { "the line is longer than 64 kB" });
        }
        let rest = buf.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'"') {
            let from = at + 1;
            let mut doubled = false;
            let mut from_quote = from;
            let to = loop {
                let tail = buf.get(from_quote..).unwrap_or_default();
                match memchr::memchr(b'"', tail) {
                    Some(i) if tail.get(i + 1) == Some(&b'"') => {
                        doubled = true;
                        from_quote += i + 2;
                    }
                    Some(i) if i + 1 == tail.len() && !eof => return more(buf.len()),
                    Some(i) => break from_quote + i,
                    None if eof || buf.len() - start > RECORD_MOST => return Scan::Broken(OPEN),
                    None => return Scan::More,
                }
            };
            lines += line_breaks(buf.get(from..to).unwrap_or_default());
            fields.push(Field { from, to, doubled });
            at = to + 1;
            while buf.get(at) == Some(&b' ') {
                at += 1;
            }
            match buf.get(at) {
                None if !eof => return more(at),
                Some(&b) if b == separator => at += 1,
                None | Some(b'\n' | b'\r') => {
                    return match line_end(buf, at, eof) {
                        Some(next) => Scan::Record { next, lines: lines + 1, fields },
                        None => more(at),
                    };
                }
                Some(_) => {
                    return Scan::Broken("text follows a closing quote; write a quote inside a field twice");
                }
            }
        } else {
            match memchr::memchr3(separator, b'\n', b'\r', rest) {
                Some(i) if rest.get(i) == Some(&separator) => {
                    fields.push(Field { from: at, to: at + i, doubled: false });
                    at += i + 1;
                }
                Some(i) => {
                    fields.push(Field { from: at, to: at + i, doubled: false });
                    return match line_end(buf, at + i, eof) {
                        Some(next) => Scan::Record { next, lines: lines + 1, fields },
                        None => more(at),
                    };
                }
                None if eof => {
                    fields.push(Field { from: at, to: buf.len(), doubled: false });
                    return Scan::Record { next: buf.len(), lines: lines + 1, fields };
                }
                None => return more(buf.len()),
            }
        }
    }
}

/// The start of the next line: after LF, CR LF or CR; the end of the file ends a line that has begun.
fn line_end(buf: &[u8], at: usize, eof: bool) -> Option<usize> {
    let rest = buf.get(at..)?;
    match memchr::memchr2(b'\n', b'\r', rest) {
        Some(i) if rest.get(i) == Some(&b'\n') => Some(at + i + 1),
        Some(i) => match rest.get(i + 1) {
            Some(b'\n') => Some(at + i + 2),
            Some(_) => Some(at + i + 1),
            None => eof.then_some(buf.len()),
        },
        None => (eof && !rest.is_empty()).then_some(buf.len()),
    }
}

/// Line ends inside a quoted field.
fn line_breaks(bytes: &[u8]) -> u64 {
    let breaks = bytes
        .iter()
        .enumerate()
        .filter(|&(i, &b)| b == b'\n' || (b == b'\r' && bytes.get(i + 1) != Some(&b'\n')));
    breaks.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, and lines with the column or the message of their error.
    type Read = (Vec<Row>, Vec<(u64, String)>);

    /// What comes out, the same whatever the pieces.
    fn read(bytes: &[u8]) -> Result<Read, ImportError> {
        let whole = read_in(bytes, bytes.len().max(1));
        for piece in [1, 7] {
            assert_eq!(read_in(bytes, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn read_in(bytes: &[u8], piece: usize) -> Result<Read, ImportError> {
        let mut csv = Csv::new(Home::new("US"), BTreeMap::new());
        let (mut rows, mut errors) = (Vec::new(), Vec::new());
        let mut drain = |csv: &mut Csv| -> Result<(), ImportError> {
            while let Some(row) = csv.next_row()? {
                match row {
                    Ok(row) => rows.push(row),
                    Err(e) => errors.push((e.line, if e.column.is_empty() { e.message } else { e.column })),
                }
            }
            Ok(())
        };
        for part in bytes.chunks(piece) {
            csv.feed(part);
            drain(&mut csv)?;
        }
        csv.end();
        drain(&mut csv)?;
        Ok((rows, errors))
    }

    fn lines(bytes: &[u8]) -> (Vec<String>, Vec<u64>) {
        let (rows, errors) = read(bytes).unwrap();
        (rows.into_iter().map(|row| row.first_name.0).collect(), errors.into_iter().map(|e| e.0).collect())
    }

    #[test]
    fn every_usual_shape_is_read() {
        for text in [
            "phone,first_name\n4155550100,Ada\n4155550101,Bob",
            "\u{feff}Phone Number;First Name\r\n4155550100;Ada\r\n\r\n4155550101;Bob\r\n",
            "TELEPHONE\tfirstname\n4155550100\tAda\n4155550101\tBob\n",
            "\n\n\"phone\",\"First-Name\"\n\"4155550100\",\"Ada\" \n4155550101, Bob \n,\n",
            "phone,first_name\r4155550100,Ada\r4155550101,Bob\r",
        ] {
            assert_eq!(lines(text.as_bytes()), (vec!["Ada".into(), "Bob".into()], vec![]), "{text:?}");
        }
    }

    #[test]
    fn quotes_hold_separators_breaks_and_quotes() {
        let text = "phone,first_name,note\n4155550100,\"Ada \"\"A\"\"\",\"one,\r\ntwo\n\"\n911,x,y\n";
        let (rows, errors) = read(text.as_bytes()).unwrap();
        assert_eq!(rows[0].first_name.0, "Ada \"A\"");
        assert_eq!(rows[0].custom.0, [("note".to_owned(), "one,\r\ntwo".to_owned())].into());
        assert_eq!(errors, [(5, "phone".to_owned())], "lines are those of the file");
    }

    #[test]
    fn a_broken_line_costs_itself_alone() {
        let text = "phone,first_name\n\
            4155550100,Ada\n\
            4155550101,Bob,extra\n\
            4155550102\n\
            4155550103,\"open\n\
            4155550104,Eve\n\
            4155550105,\"Flo\"x\n\
            4155550106,\"Gus\"\n\
            abc,Hal\n\
            4155550107,\"never closed\n\
            4155550108,Ivy\n";
        let (names, broken) = lines(text.as_bytes());
        assert_eq!(names, ["Ada", "Eve", "Gus", "Ivy"]);
        assert_eq!(broken, [4 - 1, 4, 5, 7, 9, 10]);
        let mut latin = b"phone,first_name\n4155550100,Ren\xe9\n4155550101,Bob\n".to_vec();
        assert_eq!(lines(&latin), (vec!["Bob".into()], vec![2]));
        latin.extend(b"4155550102,N\0l\n4155550103,Cy\n");
        assert_eq!(lines(&latin), (vec!["Bob".into(), "Cy".into()], vec![2, 4]));
        assert!(read(&latin).unwrap().1[0].1.contains("UTF-8"));
    }

    #[test]
    fn a_line_without_end_is_one_error() {
        let long = "x".repeat(200_000);
        let text = format!(
            "phone,first_name\n4155550100,{long}\n4155550101,Bob\n4155550102,\"{long}\"\n4155550103,Cy"
        );
        for piece in [1_000, 64 * 1024, 1_000_000] {
            let (rows, errors) = read_in(text.as_bytes(), piece).unwrap();
            assert_eq!(rows.iter().map(|r| r.first_name.as_str()).collect::<Vec<_>>(), ["Bob", "Cy"]);
            assert_eq!(errors.iter().map(|e| e.0).collect::<Vec<_>>(), [2, 4]);
        }
    }

    #[test]
    fn files_that_cannot_be_read() {
        let utf16: Vec<u8> = "phone\n4155550100\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [&[0xff, 0xfe], utf16.as_slice()].concat();
        for (bytes, word) in [
            (b"".as_slice(), "empty"),
            (b"\n \n\r\n", "empty"),
            (&utf16, "UTF-16"),
            (&with_mark, "UTF-16"),
            (b"first_name,city\nAda,London\n", "\"phone\""),
            (b"4155550100\n4155550101\n", "\"phone\""),
            (b"phone,city,city\n", "city"),
            (b"phone,\"city\n", "quote"),
            (b"phone,caf\xe9\n4155550100,x\n", "UTF-8"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.message.contains(word) && error.line >= 1, "{word}: {error:?}");
        }
        let long = read_in(&[b'x'; 100_000], 1_000).unwrap_err();
        assert!(long.message.contains("header"), "{long:?}");
    }

    #[test]
    fn columns_by_their_names() {
        let text = "Mobile,Phone,,Surname,prio,TZ\n4155550199,4155550100,x,Lovelace,-5,America/Chicago\n";
        let (rows, _) = read(text.as_bytes()).unwrap();
        let row = &rows[0];
        assert_eq!((row.phone.as_str(), row.last_name.as_str()), ("+14155550100", "Lovelace"));
        assert_eq!((row.priority, row.time_zone.as_str()), (-5, "America/Chicago"));
        assert_eq!(row.custom.0, [("column_3".to_owned(), "x".to_owned())].into());
        assert_eq!(row.phones, [("mobile".to_owned(), Pii("+14155550199".into()))]);
    }

    #[test]
    fn further_phones_by_their_names_and_by_a_map() {
        let text = "phone,phone2,Work Phone,alt_phone,Fax\n\
            4155550100,4155550101,,415 555 0100,4155550109\n\
            4155550102,12,,,\n";
        let (rows, errors) = read(text.as_bytes()).unwrap();
        let phones: Vec<_> =
            rows[0].phones.iter().map(|(kind, phone)| (kind.as_str(), phone.as_str())).collect();
        assert_eq!(phones, [("phone2", "+14155550101")], "its own number again is none");
        assert_eq!(rows[0].custom.0.keys().collect::<Vec<_>>(), ["Fax"]);
        assert_eq!(errors, [(3, "phone2".to_owned())]);

        let text = "Kontakt,phone,Jméno,Poznámka\n4155550100,4155550101,Ada,x\n";
        let mapped = |map: &[(&str, &str)]| {
            let map = map.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let mut csv = Csv::new(Home::new("US"), map);
            csv.feed(text.as_bytes());
            csv.end();
            csv.next_row().map(|row| row.unwrap().unwrap())
        };
        let row = mapped(&[("Kontakt", "phone"), ("Jméno", "first_name"), ("Poznámka", "ignore")]).unwrap();
        assert_eq!((row.phone.as_str(), row.first_name.as_str()), ("+14155550100", "Ada"));
        assert_eq!((row.phones.len(), row.custom.0.len()), (1, 0), "the other phone is still one");
        for (map, word) in [
            (&[("Telefon", "phone")][..], "Telefon"),
            (&[("Kontakt", "fax")], "fax"),
            (&[("Kontakt", "phone"), ("phone", "phone")], "two columns"),
        ] {
            let message = mapped(map).unwrap_err().message;
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn an_error_has_its_line() {
        let mut csv = Csv::new(Home::new("US"), BTreeMap::new());
        csv.feed(b"phone,name\n911,\"A, B\"\r\n4155550100,x,y\n");
        csv.end();
        let mut next = || csv.next_row().unwrap().unwrap().unwrap_err().record.0;
        assert_eq!((next(), next()), ("911,\"A, B\"".into(), "4155550100,x,y".into()));
    }

    #[test]
    fn values_that_are_refused_name_their_column() {
        let text = "Phone,First Name,Time Zone,Prio\n\
            911,,,\n\
            8505550100,,,\n\
            4155550100,,Mars/Base,\n\
            4155550101,,,high\n\
            4155550102,,,99999999999\n\
            +79161234567,,,\n";
        let text = format!("{text}4155550103,{},,\n", "x".repeat(300));
        let (rows, errors) = read(text.as_bytes()).unwrap();
        assert_eq!(rows, []);
        let columns: Vec<_> = errors.iter().map(|(_, column)| column.as_str()).collect();
        assert_eq!(columns, ["Phone", "Time Zone", "Time Zone", "Prio", "Prio", "Time Zone", "First Name"]);
    }
}
