-- How a list is dialed. What follows from it for each lead (rank, place, left_out) is written to the lead, so that a
-- refill seeks and never sorts; after a change the leads follow a few at a time, behind the calls.
ALTER TABLE lists ADD COLUMN priority   BIGINT NOT NULL DEFAULT 0;
ALTER TABLE lists ADD COLUMN weight     BIGINT NOT NULL DEFAULT 1;
ALTER TABLE lists ADD COLUMN enabled    BIGINT NOT NULL DEFAULT 1;
ALTER TABLE lists ADD COLUMN dial_order TEXT   NOT NULL DEFAULT 'priority'; -- priority, imported, newest, random
ALTER TABLE lists ADD COLUMN filter     TEXT   NOT NULL DEFAULT '';         -- a LeadPick as JSON; empty: all leads
ALTER TABLE lists ADD COLUMN deleted    BIGINT NOT NULL DEFAULT 0;          -- its leads are being removed

-- What is to be done to the leads of a list, in this order; a row goes when it is done.
CREATE TABLE list_work (
    id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    list     BIGINT NOT NULL,
    what     TEXT   NOT NULL, -- arrange, reset, remove
    outcomes TEXT   NOT NULL, -- reset: only leads that ended like these, a JSON array; empty: all
    after    BIGINT NOT NULL  -- up to this lead it is done
);
CREATE INDEX list_work_list ON list_work (list);

ALTER TABLE leads ADD COLUMN rank           BIGINT NOT NULL DEFAULT 0; -- higher first: the priority, where the order says so
ALTER TABLE leads ADD COLUMN place          BIGINT NOT NULL DEFAULT 0; -- lower first, then by id
ALTER TABLE leads ADD COLUMN left_out       BIGINT NOT NULL DEFAULT 0; -- by the list's filter
ALTER TABLE leads ADD COLUMN dial           TEXT;                      -- the phone to dial next; null: leads.phone
ALTER TABLE leads ADD COLUMN callback       BIGINT NOT NULL DEFAULT 0; -- next_unix_ms is the time that a person was promised
ALTER TABLE leads ADD COLUMN callback_agent BIGINT;                    -- who promised it; null: anybody keeps it
UPDATE leads SET rank = priority WHERE priority <> 0;

DROP INDEX leads_ready;
-- The refill: seeks per list and rank, reads in dialing order, sorts nothing.
CREATE INDEX leads_ready ON leads (list, rank, next_unix_ms, place, id)
    WHERE status IN ('new', 'retry') AND left_out = 0 AND callback = 0;
CREATE INDEX leads_callback ON leads (campaign, next_unix_ms, id) WHERE callback = 1 AND status = 'retry';
CREATE INDEX leads_callback_agent ON leads (callback_agent, next_unix_ms, id)
    WHERE callback = 1 AND status = 'retry' AND callback_agent IS NOT NULL;
-- A list's counts, and the work on its leads.
CREATE INDEX leads_list ON leads (list, status, id);
-- One lead per number and list; what else counts as there already is the import's to say.
DROP INDEX leads_phone;
CREATE UNIQUE INDEX leads_phone ON leads (phone, list);

-- All phones of leads that have several, the first one (leads.phone) included.
CREATE TABLE lead_phones (
    lead     BIGINT NOT NULL,
    number   BIGINT NOT NULL, -- from 1
    phone    TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    attempts BIGINT NOT NULL,
    state    TEXT   NOT NULL, -- ok, invalid, fax, suppressed
    PRIMARY KEY (lead, number)
) WITHOUT ROWID;
CREATE INDEX lead_phones_phone ON lead_phones (phone);

-- The attempts of a lead, newest first.
CREATE INDEX attempts_lead ON attempts (lead, id);

-- Imports that run by themselves, and what came of them. The file and its errors lie beside the database.
CREATE TABLE imports (
    id              INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    campaign        BIGINT NOT NULL,
    list            BIGINT, -- null: a dry run
    name            TEXT   NOT NULL,
    dry_run         BIGINT NOT NULL,
    state           TEXT   NOT NULL, -- receiving, running, done, failed, cancelled, interrupted
    started_unix_ms BIGINT NOT NULL,
    ended_unix_ms   BIGINT,
    bytes           BIGINT NOT NULL,
    read_bytes      BIGINT NOT NULL,
    rows            BIGINT NOT NULL,
    imported        BIGINT NOT NULL,
    duplicates      BIGINT NOT NULL,
    rejected        BIGINT NOT NULL,
    message         TEXT   NOT NULL,
    errors          TEXT   NOT NULL -- the first ones, as JSON
);
CREATE INDEX imports_campaign ON imports (campaign, id);
