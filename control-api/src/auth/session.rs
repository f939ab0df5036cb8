//! Refresh tokens: one for each renewal, each used once. One that is used twice was copied, and ends its session.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kraliki_engine::AgentId;
use kraliki_engine::store::{Rotation, Store, User};

use crate::error::Problem;
use crate::limits;

/// Bytes of chance in a token.
const RANDOM: usize = 32;

/// A refresh token: chance, then when its session ends in ms since 1970. The store knows only the hash of both.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    bytes: [u8; RANDOM + 8],
}

impl RefreshToken {
    fn new(ends_unix_ms: i64) -> Result<RefreshToken, Problem> {
        let mut bytes = [0; RANDOM + 8];
        let (chance, end) = bytes.split_at_mut(RANDOM);
        rand::fill(chance).map_err(|_| Problem::internal("The system gave no random numbers."))?;
        end.copy_from_slice(&ends_unix_ms.to_be_bytes());
        Ok(RefreshToken { bytes })
    }

    pub(crate) fn parse(text: &str) -> Option<RefreshToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(RefreshToken { bytes })
    }

    pub(crate) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.bytes)
    }

    /// When the session ends, in ms since 1970. Renewals do not move it.
    pub(crate) fn ends_unix_ms(&self) -> i64 {
        let end = self.bytes.last_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(end)
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &self.bytes).as_ref());
        hash
    }
}

/// What came of a renewal.
pub(crate) enum Renewal {
    /// The next token.
    Renewed(RefreshToken, User),
    /// Unknown, expired or ended.
    Unknown,
    /// Used before; its session is over.
    Reused(AgentId),
}

/// Starts a session for somebody who signed in.
pub(crate) async fn start(store: &Store, user: AgentId, now_unix_ms: i64) -> Result<RefreshToken, Problem> {
    const SESSION_MS: i64 = limits::SESSION.as_millis() as i64;
    let token = RefreshToken::new(now_unix_ms.saturating_add(SESSION_MS))?;
    store.create_refresh_token(&token.hash(), user, now_unix_ms, token.ends_unix_ms()).await?;
    Ok(token)
}

/// The next token for the one that is used up by this.
pub(crate) async fn renew(store: &Store, old: &RefreshToken, now_unix_ms: i64) -> Result<Renewal, Problem> {
    let token = RefreshToken::new(old.ends_unix_ms())?;
    let rotation =
        store.rotate_refresh_token(&old.hash(), &token.hash(), now_unix_ms, token.ends_unix_ms()).await?;
    Ok(match rotation {
        Rotation::Rotated(user) => Renewal::Renewed(token, user),
        Rotation::Unknown => Renewal::Unknown,
        Rotation::Reused(user) => Renewal::Reused(user),
    })
}

/// Ends a session; tells whose it was.
pub(crate) async fn end(
    store: &Store,
    token: &RefreshToken,
    now_unix_ms: i64,
) -> Result<Option<User>, Problem> {
    // Only a renewal tells whose token it is.
    let Renewal::Renewed(last, user) = renew(store, token, now_unix_ms).await? else { return Ok(None) };
    store.revoke_refresh_token(&last.hash()).await?;
    Ok(Some(user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraliki_engine::store::NewUser;

    const NOW: i64 = 1_800_000_000_000;

    async fn store(dir: &tempfile::TempDir) -> (Store, AgentId) {
        let store = Store::open(&dir.path().join("test.db")).await.unwrap();
        let user = NewUser {
            username: "ada".into(),
            name: "Ada".into(),
            role: "agent".into(),
            password_hash: String::new().into(),
        };
        let id = store.create_user(user).await.unwrap().id;
        (store, id)
    }

    async fn renewed(store: &Store, token: &RefreshToken, now: i64) -> Option<RefreshToken> {
        match renew(store, token, now).await.unwrap() {
            Renewal::Renewed(token, _) => Some(token),
            Renewal::Unknown | Renewal::Reused(_) => None,
        }
    }

    #[test]
    fn a_token_survives_its_cookie() {
        let token = RefreshToken::new(NOW).unwrap();
        let read = RefreshToken::parse(&token.text()).unwrap();
        assert!(read == token);
        assert_eq!(read.ends_unix_ms(), NOW);
        for text in ["", "abc", "!", &"A".repeat(500)] {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_session_ends_a_shift_after_it_began_however_often_it_is_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let (store, user) = store(&dir).await;
        let shift = limits::SESSION.as_millis() as i64;
        let first = start(&store, user, NOW).await.unwrap();
        let second = renewed(&store, &first, NOW + shift / 2).await.unwrap();
        assert_eq!(second.ends_unix_ms(), NOW + shift);
        assert!(renewed(&store, &second, NOW + shift).await.is_none());
    }

    #[tokio::test]
    async fn a_copied_token_ends_its_session() {
        let dir = tempfile::tempdir().unwrap();
        let (store, user) = store(&dir).await;
        let first = start(&store, user, NOW).await.unwrap();
        let other = start(&store, user, NOW).await.unwrap();
        let second = renewed(&store, &first, NOW).await.unwrap();
        let hour = 3_600_000;
        assert!(
            matches!(renew(&store, &first, NOW + hour).await.unwrap(), Renewal::Reused(id) if id == user)
        );
        assert!(renewed(&store, &second, NOW + hour).await.is_none());
        assert!(renewed(&store, &other, NOW + hour).await.is_some(), "another sign-in goes on");
    }

    #[tokio::test]
    async fn a_session_that_was_ended_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let (store, user) = store(&dir).await;
        let token = start(&store, user, NOW).await.unwrap();
        assert_eq!(end(&store, &token, NOW).await.unwrap().unwrap().id, user);
        assert!(renewed(&store, &token, NOW).await.is_none());
        assert!(end(&store, &token, NOW).await.unwrap().is_none());
    }
}
