//! A list as people have it (CSV of any origin) into leads.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportError {
    /// Counted from 1; the header is line 1.
    pub line: u64,
    /// The column's name in the header; empty when it is about the whole line.
    pub column: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What came of an import: `rows = imported + duplicates + rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Lines with data.
    pub rows: u64,
    /// Leads added.
    pub imported: u64,
    /// Numbers that the campaign has already.
    pub duplicates: u64,
    /// Lines not taken.
    pub rejected: u64,
    /// Why: the first 1,000.
    pub errors: Vec<ImportError>,
    /// Whether there were more.
    pub errors_truncated: bool,
}
