-- What is known of who answered, beside the outcome; and prompts that were uploaded.

ALTER TABLE attempts ADD COLUMN message_left BIGINT NOT NULL DEFAULT 0; -- a machine was left the campaign's message
ALTER TABLE attempts ADD COLUMN machine_check TEXT; -- taken for a machine, and an agent: asked, machine, person

CREATE TABLE prompts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name       TEXT   NOT NULL UNIQUE,
    lasted_ms  BIGINT NOT NULL,
    at_unix_ms BIGINT NOT NULL,
    samples    BLOB   NOT NULL -- 8 kHz, one channel, 16 bits, little endian
);
