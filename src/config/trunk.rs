//! What the trunks of a file may be beside each other; what each may be is said by its profile.

use std::collections::BTreeSet;

use kraliki_engine::runtime::TrunkProfile;
use kraliki_engine::runtime::keys::ListenAt;
use toml::Spanned;

/// What a type alone cannot say. The offset is into the file's text.
pub(super) fn check(
    trunks: &[Spanned<TrunkProfile>],
    sockets: &[ListenAt],
) -> Result<(), (Option<usize>, String)> {
    let mut names = BTreeSet::new();
    for spanned in trunks {
        let (at, trunk) = (Some(spanned.span().start), spanned.get_ref());
        if !names.insert(trunk.name.to_ascii_lowercase()) {
            return Err((at, format!("trunk {:?} is there twice; give each its own name", trunk.name)));
        }
        let others: Vec<&str> = trunks.iter().map(|other| other.get_ref().name.as_str()).collect();
        trunk.check(sockets, &others).map_err(|error| (at, format!("trunk {:?}: {error}", trunk.name)))?;
    }
    Ok(())
}
