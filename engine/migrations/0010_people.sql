-- Teams in a tree. A deleted team's row stays, without its settings, so that its id is never used again.
CREATE TABLE teams (
    id       BIGINT NOT NULL PRIMARY KEY,
    settings TEXT   NOT NULL, -- TeamSettings as JSON; empty when deleted
    deleted  BIGINT NOT NULL
);
-- How agents serve campaigns, where it is not as for everybody.
CREATE TABLE skills (
    agent    BIGINT NOT NULL,
    campaign BIGINT NOT NULL,
    level    BIGINT NOT NULL, -- 1 to 10
    priority BIGINT NOT NULL,
    PRIMARY KEY (agent, campaign)
);
-- What agents choose from when they pause, in that order.
CREATE TABLE pause_reasons (
    place  BIGINT NOT NULL PRIMARY KEY,
    reason TEXT   NOT NULL -- PauseReason as JSON
);
-- Ends of shifts that were set for one agent.
CREATE TABLE shifts (
    agent        BIGINT NOT NULL PRIMARY KEY,
    ends_unix_ms BIGINT NOT NULL
);
-- What each agent had of a call that more than one agent had.
CREATE TABLE call_parts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    attempt      BIGINT NOT NULL,
    agent        BIGINT NOT NULL,
    from_unix_ms BIGINT NOT NULL,
    lasted_ms    BIGINT NOT NULL
);
CREATE INDEX call_parts_attempt ON call_parts (attempt, id);
-- The supervisor who set the state.
ALTER TABLE agent_times ADD COLUMN forced_by BIGINT;
-- Who talked with the lead last.
ALTER TABLE leads ADD COLUMN last_agent BIGINT;
