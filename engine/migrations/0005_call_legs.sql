-- How each side of a call was heard: the carrier's leg from the answer to the end, an agent's leg while it was in the call.
-- Shares are between 0 and 1; null: not known. A call that is alive at a crash has none.
CREATE TABLE call_legs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    attempt          BIGINT NOT NULL,
    number           BIGINT NOT NULL, -- of the try
    side             TEXT   NOT NULL, -- carrier, agent
    trunk            BIGINT NOT NULL,
    agent            BIGINT,
    ended_unix_ms    BIGINT NOT NULL,
    codec            TEXT   NOT NULL,
    lasted_ms        BIGINT NOT NULL,
    packets_received BIGINT NOT NULL,
    packets_sent     BIGINT NOT NULL,
    packets_lost     BIGINT NOT NULL,
    loss             REAL   NOT NULL,
    longest_loss     BIGINT NOT NULL,
    burst_density    REAL   NOT NULL,
    reordered        BIGINT NOT NULL,
    repeated         BIGINT NOT NULL,
    jitter_ms        REAL   NOT NULL,
    jitter_most_ms   REAL   NOT NULL,
    round_trip_ms    REAL,
    far_loss         REAL,
    far_jitter_ms    REAL,
    mos              REAL   NOT NULL,
    far_mos          REAL,
    clipped          REAL,
    silent           REAL,
    unheard          TEXT, -- no_packets, digital_silence
    unheard_ms       BIGINT NOT NULL
);
CREATE INDEX call_legs_attempt ON call_legs (attempt, id);
