-- Trunks that were made by API. Those of the configuration file stand there. An id is never used again, since tries name
-- it: a deleted trunk's row stays, without profile and password.
CREATE TABLE trunks (
    id      BIGINT NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL,
    profile TEXT   NOT NULL, -- JSON, without the password
    sealed  BLOB,            -- the password, sealed with the key file beside the database
    deleted BIGINT NOT NULL
);
