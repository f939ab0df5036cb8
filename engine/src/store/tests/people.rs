//! Users, tokens, secrets.

use super::*;

fn ada() -> NewUser {
    let password_hash = Pii("$argon2id$v=19$x".to_owned());
    NewUser { username: " Ada ".into(), name: "Ada Lovelace".into(), role: "manager".into(), password_hash }
}

#[tokio::test]
async fn users_come_and_change_their_password() {
    let place = Place::new();
    let store = place.open().await;
    let user = store.create_user(ada()).await.unwrap();
    assert_eq!((user.username.as_str(), user.role.as_str()), ("ada", "manager"));
    assert!(matches!(store.create_user(ada()).await, Err(StoreError::Exists { .. })));
    let nameless = NewUser { username: " ".into(), ..ada() };
    assert!(matches!(store.create_user(nameless).await, Err(StoreError::Invalid { field: "username", .. })));
    assert_eq!(store.user_by_name("ADA").await.unwrap(), Some(user.clone()));
    assert_eq!(store.user(user.id).await.unwrap(), Some(user.clone()));
    assert_eq!(store.users().await.unwrap(), std::slice::from_ref(&user));
    assert_eq!(store.user_by_name("eve").await.unwrap(), None);

    store.create_refresh_token(b"t1", user.id, NOW, NOW + 1_000).await.unwrap();
    store.set_password(user.id, Pii("other".into())).await.unwrap();
    assert_eq!(store.user(user.id).await.unwrap().unwrap().password_hash.0, "other");
    let old = store.rotate_refresh_token(b"t1", b"t2", NOW, NOW + 1_000).await.unwrap();
    assert_eq!(old, Rotation::Unknown);
    assert!(store.set_password(AgentId(77), Pii("x".into())).await.is_err());
}

#[tokio::test]
async fn a_token_is_good_once() {
    let place = Place::new();
    let store = place.open().await;
    let user = store.create_user(ada()).await.unwrap();
    let end = NOW + 50_000_000;
    let rotate =
        async |old: &[u8], new: &[u8], at| store.rotate_refresh_token(old, new, at, end).await.unwrap();
    store.create_refresh_token(b"a1", user.id, NOW, end).await.unwrap();
    store.create_refresh_token(b"b1", user.id, NOW, end).await.unwrap();
    assert_eq!(rotate(b"a1", b"a2", NOW).await, Rotation::Rotated(user.clone()));
    assert_eq!(rotate(b"a1", b"a3", NOW + 2_000).await, Rotation::Rotated(user.clone()), "two tabs at once");
    assert_eq!(rotate(b"a2", b"a4", NOW + 900_000).await, Rotation::Rotated(user.clone()));
    assert_eq!(rotate(b"a1", b"x", NOW + 900_000).await, Rotation::Reused(user.id));
    assert_eq!(rotate(b"a4", b"a5", NOW + 900_001).await, Rotation::Unknown, "the whole family is gone");
    assert_eq!(rotate(b"b1", b"b2", NOW).await, Rotation::Rotated(user.clone()), "other sign-ins are not");
    store.revoke_refresh_token(b"b2").await.unwrap();
    store.revoke_refresh_token(b"nobody").await.unwrap();
    assert_eq!(rotate(b"b2", b"b3", NOW).await, Rotation::Unknown);
    store.create_refresh_token(b"c1", user.id, NOW, NOW + 10).await.unwrap();
    assert_eq!(rotate(b"c1", b"c2", NOW + 10).await, Rotation::Unknown, "expired");
}

#[tokio::test]
async fn a_secret_is_made_once() {
    let place = Place::new();
    let store = place.open().await;
    let first = store.secret("jwt", || vec![1; 32]).await.unwrap();
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.secret("jwt", || vec![2; 32]).await.unwrap(), first);
    assert_eq!(store.secret("call_id", || vec![3; 32]).await.unwrap().0, [3; 32]);
    assert!(!format!("{first:?}").contains('1'));
}

#[tokio::test]
async fn a_phone_has_a_password_for_one_realm() {
    let place = Place::new();
    let store = place.open().await;
    let user = store.create_user(ada()).await.unwrap().id;
    let secret =
        |md5| PhoneSecret { user, username: "ada".into(), md5: Pii([md5; 16]), sha256: Pii([9; 32]) };
    store.set_phone(&secret(1), "here").await.unwrap();
    store.set_phone(&secret(2), "here").await.unwrap();
    assert_eq!(store.phones("here").await.unwrap(), [secret(2)]);
    assert_eq!(store.phones("there").await.unwrap(), []);
    assert!(!format!("{:?}", secret(2)).contains('9'));
    let nobody = PhoneSecret { user: AgentId(77), ..secret(1) };
    assert!(matches!(store.set_phone(&nobody, "here").await, Err(StoreError::NotFound { .. })));
    assert!(store.remove_phone(user).await.unwrap());
    assert!(!store.remove_phone(user).await.unwrap());
    assert_eq!(store.phones("here").await.unwrap(), []);
}

/// A database of before this table.
#[tokio::test]
async fn an_older_database_gets_the_phones() {
    let place = Place::new();
    let store = place.open().await;
    let user = store.create_user(ada()).await.unwrap();
    let mut conn = store.inner.writer.lock().await;
    for older in ["DROP TABLE phones", "DELETE FROM _sqlx_migrations WHERE version = 2"] {
        sqlx::query(older).execute(conn.begin().await.unwrap()).await.unwrap();
        conn.commit().await.unwrap();
    }
    drop(conn);
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.users().await.unwrap(), [user]);
    assert_eq!(store.phones("here").await.unwrap(), []);
}

/// Handlers of a web server are moved between threads.
#[test]
fn every_answer_may_be_awaited_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    fn check(store: &Store, mut importer: Importer) {
        is_send(&store.create_user(ada()));
        is_send(&store.phones(""));
        is_send(&store.set_password(AgentId(1), Pii(String::new())));
        is_send(&store.rotate_refresh_token(b"", b"", 0, 0));
        is_send(&store.secret("x", Vec::new));
        is_send(&store.add_lead(ONE, "", "", NewLead::default()));
        is_send(&store.importer(ONE, "", ""));
        is_send(&store.recover(0));
        is_send(&store.suppress("", "", 0));
        is_send(&store.calls(CallFilter::default()));
        is_send(&importer.feed(b""));
        is_send(&importer.finish());
    }
    let _ = check;
}
