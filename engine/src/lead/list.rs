//! Lists: how the leads of one are dialed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CommandError;
use crate::limits::NAME_MOST;

/// In which order the leads of a list are dialed. Who is due again goes before who was never dialed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// By the leads' priority; of equal ones, whoever is likeliest to answer among the next.
    #[default]
    Priority,
    /// As they came, whatever their priority.
    Imported,
    /// The last ones that came first.
    Newest,
    /// By chance: each lead gets a place once.
    Random,
}

impl ListOrder {
    pub(crate) const ALL: [ListOrder; 4] =
        [ListOrder::Priority, ListOrder::Imported, ListOrder::Newest, ListOrder::Random];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            ListOrder::Priority => "priority",
            ListOrder::Imported => "imported",
            ListOrder::Newest => "newest",
            ListOrder::Random => "random",
        }
    }
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// It is the same, to the letter.
    Equals,
    /// It begins like that.
    Prefix,
}

/// Which leads of a list are dialed; the others stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeadPick {
    /// `time_zone`, `phone`, `first_name`, `last_name`, or `custom.` and the name of a further column.
    pub field: String,
    /// How its value is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: String,
}

impl LeadPick {
    /// The further column that it looks at; none: a column of its own.
    pub(crate) fn custom(&self) -> Option<&str> {
        self.field.strip_prefix("custom.").filter(|name| !name.is_empty())
    }
}

/// What a manager sets for a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListSettings {
    /// Unique within its campaign.
    pub name: String,
    /// Which list goes first when the campaign takes them in order (-1000 to 1000, higher is earlier).
    pub priority: i32,
    /// Its share when the campaign mixes by weights (1 to 1000).
    pub weight: u32,
    /// Whether its leads are dialed at all, callbacks included.
    pub enabled: bool,
    /// In which order.
    pub order: ListOrder,
    /// Which of its leads; none: all.
    pub filter: Option<LeadPick>,
}

impl Default for ListSettings {
    fn default() -> Self {
        ListSettings {
            name: String::new(),
            priority: 0,
            weight: 1,
            enabled: true,
            order: ListOrder::Priority,
            filter: None,
        }
    }
}

/// Columns of a lead that a filter may look at.
pub(crate) const PICKED: [&str; 4] = ["time_zone", "phone", "first_name", "last_name"];

impl ListSettings {
    /// Whether every value is in range; names the first field that is not.
    pub fn validate(&self) -> Result<(), CommandError> {
        let invalid = |field: &str, message: &str| {
            Err(CommandError::Invalid { field: field.into(), message: message.into() })
        };
        if self.name.is_empty() || self.name.trim().len() != self.name.len() || self.name.len() > NAME_MOST {
            return invalid("name", "must have 1 to 200 characters, without spaces around them");
        }
        if !(-1_000..=1_000).contains(&self.priority) {
            return invalid("priority", "must be from -1000 to 1000");
        }
        if !(1..=1_000).contains(&self.weight) {
            return invalid("weight", "must be from 1 to 1000; disable a list that is not to be dialed");
        }
        let Some(filter) = &self.filter else { return Ok(()) };
        if filter.custom().is_none() && !PICKED.contains(&filter.field.as_str()) {
            let known = PICKED.join(", ");
            return invalid(
                "filter.field",
                &format!("must be one of {known}, or custom. and a column's name"),
            );
        }
        if filter.field.len() > NAME_MOST || filter.field.contains('\0') {
            return invalid("filter.field", "must have at most 200 characters");
        }
        if filter.value.is_empty() || filter.value.len() > NAME_MOST || filter.value.contains('\0') {
            return invalid("filter.value", "must have 1 to 200 characters");
        }
        Ok(())
    }

    /// Whether leads stand as they are imported: by their priority, none left out.
    pub(crate) fn is_plain(&self) -> bool {
        self.order == ListOrder::Priority && self.filter.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_value_is_named() {
        type Change = fn(&mut ListSettings);
        let pick = |field: &str, value: &str| LeadPick {
            field: field.into(),
            comparison: Comparison::Equals,
            value: value.into(),
        };
        let good = ListSettings { name: "May".into(), ..ListSettings::default() };
        assert_eq!(good.validate(), Ok(()));
        for filter in [pick("custom.Plan", "b"), pick("time_zone", "America/Chicago")] {
            assert_eq!(ListSettings { filter: Some(filter), ..good.clone() }.validate(), Ok(()));
        }
        let rows: &[(&str, Change)] = &[
            ("name", |l| l.name.clear()),
            ("name", |l| l.name = " May".into()),
            ("priority", |l| l.priority = 1_001),
            ("weight", |l| l.weight = 0),
        ];
        for (field, change) in rows {
            let mut list = good.clone();
            change(&mut list);
            assert!(matches!(list.validate(), Err(CommandError::Invalid { field: f, .. }) if f == *field));
        }
        for (filter, field) in [
            (pick("custom.", "b"), "filter.field"),
            (pick("status", "new"), "filter.field"),
            (pick("custom.Plan", ""), "filter.value"),
        ] {
            let list = ListSettings { filter: Some(filter), ..good.clone() };
            assert!(matches!(list.validate(), Err(CommandError::Invalid { field: f, .. }) if f == field));
        }
    }
}
