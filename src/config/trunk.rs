//! What the trunks of a file may be beside each other; what each may be is said by its profile.

use std::collections::BTreeSet;

use kraliki_engine::TrunkGroup;
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

/// What groups may be beside the trunks of the file; those that were made by API are known at a start only.
pub(super) fn check_groups(
    groups: &[Spanned<TrunkGroup>],
    trunks: &[Spanned<TrunkProfile>],
) -> Result<(), (Option<usize>, String)> {
    let known: Vec<&str> = trunks.iter().map(|trunk| trunk.get_ref().name.as_str()).collect();
    let mut names = BTreeSet::new();
    for spanned in groups {
        let (at, group) = (Some(spanned.span().start), spanned.get_ref());
        if !names.insert(group.name.to_ascii_lowercase()) {
            return Err((at, format!("trunk_group {:?} is there twice; give each its own name", group.name)));
        }
        let wrong = |(_, message): (&str, String)| (at, format!("trunk_group {:?}: {message}", group.name));
        group.check(&known).map_err(wrong)?;
    }
    Ok(())
}

/// Trunks that may call nobody, with what to write.
pub(crate) fn idle(trunks: &[Spanned<TrunkProfile>]) -> Vec<String> {
    let idle = trunks.iter().map(Spanned::get_ref).filter(|trunk| trunk.allowed_prefixes.is_empty());
    let text = |trunk: &TrunkProfile| {
        format!(
            "trunk {:?} may call no number: write allowed_prefixes = [\"+34\"] with the countries that you call, or \
             [\"+\"] for every number",
            trunk.name
        )
    };
    idle.map(text).collect()
}
