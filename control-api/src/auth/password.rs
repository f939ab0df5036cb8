//! Passwords: argon2id, never more than a few at once, never on a thread that serves requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::error::Problem;
use crate::limits;

/// The fewest characters of a password (NIST SP 800-63B §5.1.1).
const LEAST_CHARS: usize = 8;

/// The most bytes of a password: room for a long sentence.
const MOST_BYTES: usize = 512;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too short.
    #[error("the password is too short; use at least 8 characters")]
    TooShort,
    /// Too long.
    #[error("the password is too long; use at most 512 bytes")]
    TooLong,
    /// The system gave no random salt.
    #[error("the password could not be hashed: the system gave no random numbers")]
    NoSalt,
}

/// The hash of a password as it is stored: a PHC string. Takes some 20 ms and 19 MiB.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < LEAST_CHARS {
        return Err(PasswordError::TooShort);
    }
    if password.len() > MOST_BYTES {
        return Err(PasswordError::TooLong);
    }
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| PasswordError::NoSalt)?;
    Ok(hash.to_string())
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Verifies passwords, a few at a time.
pub(crate) struct Verifier {
    slots: Semaphore,
    waiting: AtomicUsize,
    /// What the password of an unknown user is compared with, so that it takes as long as that of a known one.
    nobody: String,
}

impl Verifier {
    pub(crate) fn new() -> Result<Verifier, PasswordError> {
        Ok(Verifier {
            slots: Semaphore::new(limits::PASSWORDS_AT_ONCE),
            waiting: AtomicUsize::new(0),
            nobody: hash_password("the password of nobody")?,
        })
    }

    /// Whether the password belongs to the hash. Without a hash (an unknown user) it takes as long and is false.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Problem> {
        let busy = || {
            Problem::unavailable("Too many people sign in at once; try again.")
                .retry_after(std::time::Duration::from_secs(1))
        };
        let _place = Place::take(&self.waiting).ok_or_else(busy)?;
        let _slot = self.slots.acquire().await.map_err(|_| busy())?;
        if password.len() > MOST_BYTES {
            return Ok(false);
        }
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        tokio::task::spawn_blocking(move || matches(&password, &hash) && known)
            .await
            .map_err(|_| Problem::internal("The password could not be verified; try again."))
    }
}

/// A place among those who wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Place<'a>> {
        let place = Place(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < limits::PASSWORDS_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(matches("correct horse", &hash));
        assert!(!matches("correct horsf", &hash));
        assert!(!matches("correct horse", "not a hash"));
        assert_ne!(hash, hash_password("correct horse").unwrap(), "each has its own salt");
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert_eq!(hash_password("1234567"), Err(PasswordError::TooShort));
        assert_eq!(hash_password("ééééééé"), Err(PasswordError::TooShort));
        assert_eq!(hash_password(&"x".repeat(513)), Err(PasswordError::TooLong));
    }

    #[tokio::test]
    async fn an_unknown_user_is_compared_too() {
        let verifier = Verifier::new().unwrap();
        let hash = hash_password("correct horse").unwrap();
        assert!(verifier.verify("correct horse".into(), Some(hash)).await.unwrap());
        assert!(!verifier.verify("the password of nobody".into(), None).await.unwrap());
    }
}
