-- Trunk groups and pools of caller ids that were made by API. Ids are never used again: the row of a deleted one stays, empty.
CREATE TABLE trunk_groups (
    id       BIGINT NOT NULL PRIMARY KEY,
    settings TEXT   NOT NULL, -- TrunkGroup as JSON; empty when deleted
    deleted  BIGINT NOT NULL
);
CREATE TABLE caller_id_pools (
    id       BIGINT NOT NULL PRIMARY KEY,
    settings TEXT   NOT NULL, -- CallerIdPool as JSON; empty when deleted
    deleted  BIGINT NOT NULL
);

-- What a caller id of a pool did on a day (UTC, counted from 1970). The present day's row is written anew while it lasts; at a
-- start it is counted from the tries.
CREATE TABLE caller_id_days (
    number   TEXT   NOT NULL,
    day      BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    answers  BIGINT NOT NULL,
    blocks   BIGINT NOT NULL,
    unwanted BIGINT NOT NULL,
    PRIMARY KEY (number, day)
) WITHOUT ROWID;

-- Caller ids that are not shown for now.
CREATE TABLE quarantines (
    number        TEXT   NOT NULL PRIMARY KEY,
    reason        TEXT   NOT NULL, -- blocked, answer_rate
    status        BIGINT,          -- of the call that was blocked
    redress       TEXT   NOT NULL, -- where the block can be contested
    since_unix_ms BIGINT NOT NULL,
    until_unix_ms BIGINT           -- null: until a person lifts it
) WITHOUT ROWID;

-- What a minute of the try costs once it is answered, in millionths of the carrier's currency.
ALTER TABLE tries ADD COLUMN price BIGINT NOT NULL DEFAULT 0;
-- The tries of the last days, at a start.
CREATE INDEX tries_started ON tries (started_unix_ms);

-- The caller id that the lead was shown last.
ALTER TABLE leads ADD COLUMN last_caller_id TEXT NOT NULL DEFAULT '';
