//! Trunks that were made by API, and their sealed passwords.

use super::*;
use crate::StoredTrunk;

fn stored(id: i64, name: &str, sealed: Option<Pii<Vec<u8>>>) -> StoredTrunk {
    StoredTrunk { id: TrunkId(id), name: name.into(), profile: format!("{{\"of\":\"{name}\"}}"), sealed }
}

#[tokio::test]
async fn trunks_come_change_and_go_and_their_ids_are_not_used_again() {
    let mut rig = Rig::new().await;
    assert_eq!(rig.store.recover(NOW).await.unwrap().next_trunk, 1_000);
    assert!(rig.write(Write::Trunk(stored(1_000, "a", None))).await);
    assert!(rig.write(Write::Trunk(stored(1_001, "b", Some(Pii(vec![1, 2]))))).await);
    let changed = StoredTrunk { profile: "{}".into(), ..stored(1_000, "a", Some(Pii(vec![3]))) };
    assert!(rig.write(Write::Trunk(changed.clone())).await);
    assert!(rig.write(Write::TrunkDeleted(TrunkId(1_001))).await);
    assert!(!rig.write(Write::Trunk(stored(1_001, "b", None))).await, "a deleted one stays deleted");
    let place = rig.stop().await;
    let store = place.open().await;
    assert_eq!(store.trunks().await.unwrap(), std::slice::from_ref(&changed));
    let recovered = store.recover(NOW).await.unwrap();
    assert_eq!((recovered.trunks, recovered.next_trunk), (vec![changed], 1_002));
}

#[tokio::test]
async fn a_sealed_password_opens_for_its_trunk_and_with_its_key_only() {
    let place = Place::new();
    let store = place.open().await;
    let key = place.dir.path().join("kraliki.db.key");
    assert!(!key.exists(), "made when it is needed");
    let sealed = store.seal_password("main", "hush-hush").unwrap();
    assert!(!sealed.0.windows(4).any(|w| w == b"hush"));
    assert_ne!(store.seal_password("main", "hush-hush").unwrap(), sealed, "a nonce of its own");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(store.open_password("main", &sealed).unwrap().0, "hush-hush");
    assert!(matches!(store.open_password("other", &sealed), Err(StoreError::Sealed { .. })));
    for damaged in [&sealed[..5], &sealed[..sealed.len() - 1]] {
        assert!(matches!(store.open_password("main", damaged), Err(StoreError::Sealed { .. })));
    }
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.open_password("main", &sealed).unwrap().0, "hush-hush", "after a restart");
    store.close().await;

    std::fs::remove_file(&key).unwrap();
    let store = place.open().await;
    assert!(matches!(store.open_password("main", &sealed), Err(StoreError::Path { .. })));
    store.seal_password("main", "new").unwrap();
    assert!(matches!(store.open_password("main", &sealed), Err(StoreError::Sealed { .. })), "another key");
}
