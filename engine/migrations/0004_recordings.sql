-- Recordings, one of a call at most. What was said lies in a file, which this row says where to find and how to read.
CREATE TABLE recordings (
    call            BIGINT NOT NULL PRIMARY KEY, -- the attempt
    state           TEXT   NOT NULL, -- recording, ended, failed, erased (the file is still to be removed)
    place           TEXT   NOT NULL, -- disk, store
    file            TEXT   NOT NULL, -- below the directory, or below the store's prefix
    format          TEXT   NOT NULL, -- opus, wav
    encrypted       BIGINT NOT NULL,
    sealed_key      BLOB,            -- its key, sealed with the key file beside the database; erased with the recording
    started_unix_ms BIGINT NOT NULL,
    lasted_ms       BIGINT NOT NULL,
    bytes           BIGINT NOT NULL, -- of the file
    audio_bytes     BIGINT NOT NULL, -- of what is in it, decrypted
    paused          TEXT   NOT NULL, -- JSON: spans of silence, in ms from the start
    error           TEXT   NOT NULL
);
CREATE INDEX recordings_started ON recordings (started_unix_ms);
CREATE INDEX recordings_state ON recordings (state, place);
