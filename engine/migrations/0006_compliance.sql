-- Where a lead lives, as its list says; empty: not said, and taken from the number.
ALTER TABLE leads ADD COLUMN country TEXT NOT NULL DEFAULT '';        -- ISO 3166, two letters
ALTER TABLE leads ADD COLUMN state TEXT NOT NULL DEFAULT '';          -- two letters in the US, text elsewhere
-- What the person agreed to.
ALTER TABLE leads ADD COLUMN consent TEXT NOT NULL DEFAULT 'none';    -- none, existing_customer, express, written
ALTER TABLE leads ADD COLUMN consent_unix_ms BIGINT;
ALTER TABLE leads ADD COLUMN consent_source TEXT NOT NULL DEFAULT '';

-- Under which rules an attempt was made: profile, place, time zone, consent.
ALTER TABLE attempts ADD COLUMN evidence TEXT NOT NULL DEFAULT '';
-- Attempts to a number, of all campaigns.
CREATE INDEX attempts_phone ON attempts (phone, started_unix_ms);

-- Numbers that one campaign must not call.
CREATE TABLE campaign_suppressions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    campaign   BIGINT NOT NULL,
    phone      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    at_unix_ms BIGINT NOT NULL,
    UNIQUE (phone, campaign)
);
CREATE INDEX campaign_suppressions_campaign ON campaign_suppressions (campaign, id);

-- Numbers that must not be called, of people whose data was erased: HMAC-SHA256 under a key that is sealed.
CREATE TABLE suppressed_hashes (
    hash       BLOB   NOT NULL PRIMARY KEY,
    reason     TEXT   NOT NULL,
    at_unix_ms BIGINT NOT NULL
) WITHOUT ROWID;

-- Copies of national do-not-call lists, one for each country.
CREATE TABLE national_lists (
    country          TEXT   NOT NULL PRIMARY KEY,
    name             TEXT   NOT NULL,
    as_of_unix_ms    BIGINT NOT NULL, -- the day of the copy
    imported_unix_ms BIGINT NOT NULL,
    numbers          BIGINT NOT NULL,
    edition          BIGINT NOT NULL  -- numbers of older ones are removed
);
-- The digits of a number as one integer: these lists have millions of rows.
CREATE TABLE national_numbers (
    number  BIGINT NOT NULL,
    country TEXT   NOT NULL,
    edition BIGINT NOT NULL,
    PRIMARY KEY (number, country)
) WITHOUT ROWID;
