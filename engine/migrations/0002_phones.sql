-- What a user's SIP phone signs in with: the digest's hashes of user, realm and password, never the password itself.
-- They are good for this realm only; after another one is configured, new passwords are to be made.
CREATE TABLE phones (
    user_id BIGINT NOT NULL PRIMARY KEY,
    realm   TEXT   NOT NULL,
    md5     BLOB   NOT NULL, -- 16 bytes
    sha256  BLOB   NOT NULL  -- 32 bytes
);
