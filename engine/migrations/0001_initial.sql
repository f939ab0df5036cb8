-- Times are milliseconds since 1970, flags 0 or 1, phones E.164 with the plus sign. Ids are never reused.
-- No foreign keys from attempts: they outlive the campaigns and leads they were made for.

-- A deleted campaign keeps its row, so that its id stays taken.
CREATE TABLE campaigns (
    id       BIGINT NOT NULL PRIMARY KEY,
    status   TEXT   NOT NULL,
    settings TEXT   NOT NULL, -- CampaignSettings as JSON; empty when deleted
    deleted  BIGINT NOT NULL  -- 0: no, 1: its leads are being removed, a few at a time, 2: they are gone
);
CREATE INDEX campaigns_purge ON campaigns (id) WHERE deleted = 1;

CREATE TABLE lists (
    id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    campaign BIGINT NOT NULL,
    name     TEXT   NOT NULL,
    UNIQUE (campaign, name)
);

CREATE TABLE leads (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    campaign     BIGINT NOT NULL,
    list         BIGINT NOT NULL,
    phone        TEXT   NOT NULL,
    time_zone    TEXT   NOT NULL,
    priority     BIGINT NOT NULL,
    status       TEXT   NOT NULL, -- new, dialing, retry, done, suppressed
    next_unix_ms BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    last_outcome TEXT,
    repeats      BIGINT NOT NULL,
    first_name   TEXT   NOT NULL,
    last_name    TEXT   NOT NULL,
    custom       TEXT   NOT NULL  -- a JSON object; empty when there is nothing
);
-- One lead per number and campaign; also finds a number's leads when it is suppressed.
CREATE UNIQUE INDEX leads_phone ON leads (phone, campaign);
-- The refill: seeks per priority, reads in dialing order, sorts nothing.
CREATE INDEX leads_ready ON leads (campaign, priority, next_unix_ms, id) WHERE status IN ('new', 'retry');
-- Pages, without and with a status.
CREATE INDEX leads_campaign ON leads (campaign, id);
CREATE INDEX leads_status ON leads (campaign, status, id);
-- What a crash leaves behind.
CREATE INDEX leads_dialing ON leads (id) WHERE status = 'dialing';

CREATE TABLE suppressions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    phone      TEXT   NOT NULL UNIQUE,
    reason     TEXT   NOT NULL,
    at_unix_ms BIGINT NOT NULL
);

CREATE TABLE attempts (
    id                  INTEGER PRIMARY KEY NOT NULL,
    campaign            BIGINT NOT NULL,
    lead                BIGINT NOT NULL,
    phone               TEXT   NOT NULL,
    caller_id           TEXT   NOT NULL,
    started_unix_ms     BIGINT NOT NULL,
    crash_retry_unix_ms BIGINT NOT NULL,
    answered_unix_ms    BIGINT,
    connected_unix_ms   BIGINT,
    ended_unix_ms       BIGINT,
    agent               BIGINT,
    wait_ms             BIGINT,
    late                BIGINT NOT NULL,
    talk_ms             BIGINT NOT NULL,
    outcome             TEXT,
    disposition         TEXT,
    note                TEXT   NOT NULL
);
CREATE INDEX attempts_open ON attempts (id) WHERE outcome IS NULL;
CREATE INDEX attempts_campaign ON attempts (campaign, id);
CREATE INDEX attempts_agent ON attempts (agent, id) WHERE agent IS NOT NULL;
CREATE INDEX attempts_outcome ON attempts (outcome, campaign, id) WHERE outcome IS NOT NULL;
-- The abandonment ledger: answered calls by campaign and time, without touching the table.
CREATE INDEX attempts_answered ON attempts (campaign, answered_unix_ms, outcome, late, connected_unix_ms)
    WHERE answered_unix_ms IS NOT NULL;
CREATE INDEX attempts_undisposed ON attempts (connected_unix_ms)
    WHERE connected_unix_ms IS NOT NULL AND disposition IS NULL;

CREATE TABLE tries (
    attempt          BIGINT NOT NULL,
    number           BIGINT NOT NULL,
    trunk            BIGINT NOT NULL,
    caller_id        TEXT   NOT NULL,
    started_unix_ms  BIGINT NOT NULL,
    answered_unix_ms BIGINT,
    ended_unix_ms    BIGINT,
    status           BIGINT,
    q850             BIGINT,
    dialog           BLOB, -- what ends the call after a crash; dropped when the try ends
    PRIMARY KEY (attempt, number)
) WITHOUT ROWID;

CREATE TABLE dispositions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    attempt    BIGINT NOT NULL,
    code       TEXT   NOT NULL,
    note       TEXT   NOT NULL,
    at_unix_ms BIGINT NOT NULL
);
CREATE INDEX dispositions_attempt ON dispositions (attempt, id);

CREATE TABLE agent_times (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    agent        BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    from_unix_ms BIGINT NOT NULL,
    lasted_ms    BIGINT NOT NULL
);
CREATE INDEX agent_times_from ON agent_times (from_unix_ms, agent);

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    username      TEXT   NOT NULL UNIQUE,
    name          TEXT   NOT NULL,
    role          TEXT   NOT NULL,
    password_hash TEXT   NOT NULL
);

-- A family is one sign-in; its tokens replace each other.
CREATE TABLE refresh_tokens (
    hash            BLOB   NOT NULL PRIMARY KEY,
    user_id         BIGINT NOT NULL,
    family          BLOB   NOT NULL, -- the hash of its first token
    expires_unix_ms BIGINT NOT NULL,
    used_unix_ms    BIGINT
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires_unix_ms);

CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);
