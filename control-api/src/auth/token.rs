//! Access tokens: JWTs signed with Ed25519, good for a quarter of an hour.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::role::{Role, User};
use crate::error::Problem;
use crate::limits;

const ISSUER: &str = "kraliki";
const AUDIENCE: &str = "kraliki-api";

/// How far the clock may have stepped back since a token was made, in seconds.
const LEEWAY_S: i64 = 60;

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user's id.
    sub: String,
    iat: i64,
    exp: i64,
    name: String,
    role: Role,
}

impl Claims {
    pub(crate) fn user(&self) -> User {
        // `verify` let no other subject through.
        User { id: self.sub.parse().unwrap_or_default(), name: self.name.clone(), role: self.role }
    }

    /// When it ends, in ms since 1970.
    pub(crate) fn expires_unix_ms(&self) -> i64 {
        self.exp.saturating_mul(1000)
    }
}

/// The key that signs tokens. It lives in the store, so that a restart signs nobody out.
pub(crate) struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    kid: String,
    validation: Validation,
}

impl Keys {
    /// A new key, as PKCS #8.
    pub(crate) fn generate() -> Result<Vec<u8>, BadKey> {
        let pair = Ed25519KeyPair::generate().map_err(|_| BadKey)?;
        Ok(pair.to_pkcs8v1().map_err(|_| BadKey)?.as_ref().to_vec())
    }

    /// The key of that PKCS #8 document.
    pub(crate) fn from_pkcs8(document: &[u8]) -> Result<Keys, BadKey> {
        let pair = Ed25519KeyPair::from_pkcs8(document).map_err(|_| BadKey)?;
        let public = pair.public_key().as_ref();
        let hash = digest(&SHA256, public);
        let kid = BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref().get(..9).unwrap_or_default());
        // Times are checked below, against the engine's clock.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.validate_exp = false;
        let (encoding, decoding) = (EncodingKey::from_ed_der(document), DecodingKey::from_ed_der(public));
        Ok(Keys { encoding, decoding, kid, validation })
    }

    /// A token for that user.
    pub(crate) fn issue(&self, user: &User, now_unix_ms: i64) -> Result<String, Problem> {
        let iat = now_unix_ms.div_euclid(1000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.id.to_string(),
            iat,
            exp: iat + limits::ACCESS_TOKEN.as_secs().cast_signed(),
            name: user.name.clone(),
            role: user.role,
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, &claims, &self.encoding)
            .map_err(|_| Problem::internal("The token could not be signed."))
    }

    /// What a token says, if we made it for this API and its time has come and not gone.
    pub(crate) fn verify(&self, token: &str, now_unix_ms: i64) -> Result<Claims, Problem> {
        let refused = || Problem::unauthorized("This token is not valid; sign in again.");
        let expired =
            || Problem::unauthorized("This token has expired; get a new one by POST /api/auth/refresh.");
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        if header.kid.as_deref() != Some(&*self.kid) {
            return Err(refused());
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| refused())?
            .claims;
        let now = now_unix_ms.div_euclid(1000);
        if claims.exp <= now {
            return Err(expired());
        }
        if claims.iat > now.saturating_add(LEEWAY_S) || claims.sub.parse::<i64>().is_err() {
            return Err(refused());
        }
        Ok(claims)
    }
}

/// A key that cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[error("it is not an Ed25519 key in PKCS #8")]
pub(crate) struct BadKey;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_800_000_000_000;

    fn keys() -> (Keys, Vec<u8>) {
        let document = Keys::generate().unwrap();
        (Keys::from_pkcs8(&document).unwrap(), document)
    }

    fn user() -> User {
        User { id: 7, name: "Ada".into(), role: Role::Manager }
    }

    fn good_claims() -> Value {
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "7", "iat": NOW / 1000, "exp": NOW / 1000 + 60,
               "name": "Ada", "role": "admin"})
    }

    fn sign(header: Header, claims: &Value, key: &EncodingKey) -> String {
        jsonwebtoken::encode(&header, claims, key).unwrap()
    }

    #[test]
    fn a_token_says_who_it_is_until_it_expires() {
        let (keys, _) = keys();
        let token = keys.issue(&user(), NOW).unwrap();
        assert_eq!(keys.verify(&token, NOW).unwrap().user(), user());
        let life = i64::try_from(limits::ACCESS_TOKEN.as_millis()).unwrap();
        assert!(keys.verify(&token, NOW + life - 1).is_ok());
        assert!(keys.verify(&token, NOW + life).unwrap_err().detail.contains("expired"));
        assert!(keys.verify(&token, NOW - 3_600_000).is_err());
    }

    #[test]
    fn forged_tokens_are_refused() {
        let (keys, document) = keys();
        let ours = EncodingKey::from_ed_der(&document);
        let header = |kid: Option<&str>| {
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = kid.map(str::to_owned);
            header
        };
        let good = sign(header(Some(&keys.kid)), &good_claims(), &ours);
        assert!(keys.verify(&good, NOW).is_ok(), "the mould itself is good");

        let with = |name: &str, value: Value| {
            let mut claims = good_claims();
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.into(), value),
            };
            sign(header(Some(&keys.kid)), &claims, &ours)
        };
        let mut bad = vec![
            ("wrong audience", with("aud", json!("other"))),
            ("no audience", with("aud", Value::Null)),
            ("wrong issuer", with("iss", json!("other"))),
            ("no issuer", with("iss", Value::Null)),
            ("no expiry", with("exp", Value::Null)),
            ("expired", with("exp", json!(NOW / 1000 - 1))),
            ("expiry as text", with("exp", json!("9999999999"))),
            ("no subject", with("sub", Value::Null)),
            ("subject that is no id", with("sub", json!("root"))),
            ("role that does not exist", with("role", json!("root"))),
            ("made in the future", with("iat", json!(NOW / 1000 + 3600))),
            ("no kid", sign(header(None), &good_claims(), &ours)),
            ("unknown kid", sign(header(Some("other")), &good_claims(), &ours)),
        ];
        let other = EncodingKey::from_ed_der(&Keys::generate().unwrap());
        bad.push(("another key", sign(header(Some(&keys.kid)), &good_claims(), &other)));

        // HS256 with our public key as the secret; alg none, with and without a signature.
        let public = Ed25519KeyPair::from_pkcs8(&document).unwrap().public_key().as_ref().to_vec();
        let mut hs = Header::new(Algorithm::HS256);
        hs.kid = Some(keys.kid.clone());
        bad.push(("HS256", sign(hs, &good_claims(), &EncodingKey::from_secret(&public))));
        let none =
            BASE64_URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "JWT", "kid": keys.kid}).to_string());
        let body = BASE64_URL_SAFE_NO_PAD.encode(good_claims().to_string());
        bad.push(("alg none", format!("{none}.{body}.")));
        let signature = good.rsplit('.').next().unwrap();
        bad.push(("alg none with a signature", format!("{none}.{body}.{signature}")));
        bad.push(("a changed body", {
            let parts: Vec<&str> = good.split('.').collect();
            format!("{}.{body}x.{}", parts[0], parts[2])
        }));
        for text in ["", ".", "..", "a.b.c", "Bearer"] {
            bad.push(("nonsense", text.to_owned()));
        }
        for (name, token) in bad {
            assert_eq!(keys.verify(&token, NOW).unwrap_err().status, 401, "{name}");
        }
    }
}
