//! Trunks that come, change and go while the dialer runs: what the API asks for, and what a start finds in the store.

use std::sync::Arc;

use kraliki_sip::net::{ClientFiles, TlsFiles};
use tokio::sync::oneshot;

use super::{ProfileError, TrunkBasis, TrunkConfig, TrunkFigures, TrunkProfile};
use crate::runtime::drive::Driver;
use crate::runtime::handle::{EngineHandle, Request};
use crate::runtime::keys::ListenAt;
use crate::runtime::{RuntimeConfig, StartError};
use crate::store::{Store, StoreError};
use crate::{Command, CommandError, Reply, StoredTrunk, Trunk, TrunkGroup, TrunkGroupId, TrunkId};

/// What changes of trunks need.
pub(in crate::runtime) struct Changing {
    basis: TrunkBasis,
    /// The certificates of SIP, without those of trunks.
    tls: Option<TlsFiles>,
    /// Held from the look at the other trunks to the change: one at a time.
    alone: tokio::sync::Mutex<()>,
}

impl Changing {
    pub(in crate::runtime) fn new(config: &RuntimeConfig) -> Changing {
        Changing { basis: config.basis(), tls: config.tls.clone(), alone: tokio::sync::Mutex::default() }
    }
}

/// A change that the engine was asked for.
pub(in crate::runtime) enum TrunkChange {
    Put(Box<TrunkConfig>),
    Delete(TrunkId),
}

/// A trunk at start. One that cannot be used any more is known, so that it can be mended, and never up.
pub(in crate::runtime) struct Known {
    pub(in crate::runtime) trunk: Trunk,
    pub(in crate::runtime) config: Option<TrunkConfig>,
    pub(in crate::runtime) figures: Arc<TrunkFigures>,
}

/// Every trunk: those of the configuration, and what the store has. It blocks.
pub(in crate::runtime) fn known(
    config: &RuntimeConfig,
    store: &Store,
    stored: &[StoredTrunk],
) -> Result<Vec<Known>, StartError> {
    let mut ids: Vec<(String, TrunkId)> =
        config.trunks.iter().map(|t| (t.trunk.name.clone(), t.trunk.id)).collect();
    for made in stored {
        if let Some((name, _)) = ids.iter().find(|(name, _)| name.eq_ignore_ascii_case(&made.name)) {
            return Err(StartError::TwoTrunks(name.clone()));
        }
        ids.push((made.name.clone(), made.id));
    }
    let configured = config.trunks.iter().map(|trunk| Known {
        trunk: trunk.trunk.clone(),
        config: Some(trunk.clone()),
        figures: Arc::new(TrunkFigures::new(trunk.trunk.id, trunk.profile.clone(), None)),
    });
    let mut known: Vec<Known> = configured.collect();
    let basis = config.basis();
    for made in stored {
        let profile: TrunkProfile = serde_json::from_str(&made.profile)
            .map_err(|_| StartError::Store(StoreError::Corrupt { what: "trunk's profile" }))?;
        let built = open(store, made, profile.clone())
            .and_then(|profile| build(&basis, config.tls.as_ref(), &profile, made.id, &ids));
        let fail_over = profile.fail_over.iter().filter_map(|name| id_of(&ids, name)).collect();
        let (trunk, built, problem) = match built {
            Ok(built) => (built.trunk.clone(), Some(built), None),
            Err(error) => {
                tracing::error!(trunk = made.name, %error, "the trunk cannot be used until its profile is changed");
                let unusable = Trunk {
                    watched: true,
                    fail_over,
                    max_cps: profile.max_cps,
                    max_channels: profile.max_channels,
                    ..Trunk::new(made.id, &made.name, &profile.caller_id)
                };
                (unusable, None, Some(error.to_string()))
            }
        };
        let figures = Arc::new(TrunkFigures::new(made.id, profile, problem));
        known.push(Known { trunk, config: built, figures });
    }
    Ok(known)
}

/// Every trunk group: those of the configuration, numbered by their places, and what the store has.
pub(in crate::runtime) fn groups(
    config: &RuntimeConfig,
    known: &[Known],
    stored: &[(TrunkGroupId, TrunkGroup)],
) -> Result<Vec<(TrunkGroupId, TrunkGroup)>, StartError> {
    let names: Vec<&str> = known.iter().map(|known| known.trunk.name.as_str()).collect();
    let mut groups = Vec::new();
    for (place, group) in (1..).zip(&config.groups) {
        group.check(&names).map_err(|(_, message)| StartError::Group(group.name.clone(), message))?;
        if let Some((_, twin)) = stored.iter().find(|(_, made)| made.name.eq_ignore_ascii_case(&group.name)) {
            let message = "one of that name was made by API: give the one in the file another name";
            return Err(StartError::Group(twin.name.clone(), message.into()));
        }
        groups.push((TrunkGroupId(place), group.clone()));
    }
    groups.extend(stored.iter().cloned());
    Ok(groups)
}

fn id_of(ids: &[(String, TrunkId)], name: &str) -> Option<TrunkId> {
    ids.iter().find(|(known, _)| known == name).map(|(_, id)| *id)
}

/// The profile with its password.
fn open(store: &Store, made: &StoredTrunk, profile: TrunkProfile) -> Result<TrunkProfile, ProfileError> {
    let Some(sealed) = &made.sealed else { return Ok(profile) };
    let password = store
        .open_password(&made.name, sealed)
        .map_err(|error| ProfileError { field: "password", message: format!("password: {error}") })?;
    Ok(TrunkProfile { password: Some(password), ..profile })
}

/// Checks and builds a trunk that was made by API. It blocks: files are read.
fn build(
    basis: &TrunkBasis,
    tls: Option<&TlsFiles>,
    profile: &TrunkProfile,
    id: TrunkId,
    ids: &[(String, TrunkId)],
) -> Result<TrunkConfig, ProfileError> {
    let names: Vec<&str> = ids.iter().map(|(name, _)| name.as_str()).collect();
    profile.check(&basis.listen, &names)?;
    let config = profile.build(id, basis, |name| id_of(ids, name))?;
    if !config.tls.is_empty() {
        let wrong = |message: String| ProfileError { field: "tls_ca", message };
        let Some(base) = tls else {
            return Err(wrong(
                "tls_ca, tls_cert: [sip] has no tls_cert and tls_key, so that there is no TLS".into(),
            ));
        };
        let files = TlsFiles { clients: config.tls.clone(), ..base.clone() };
        files.load().map_err(|error| wrong(error.to_string()))?;
    }
    Ok(config)
}

/// All that blocks of a change: the profile is checked, files are read, the password is sealed.
fn prepare(
    handle: &EngineHandle,
    before: Option<&StoredTrunk>,
    id: Option<TrunkId>,
    profile: TrunkProfile,
) -> Result<(TrunkConfig, StoredTrunk), CommandError> {
    let changing = &handle.shared.changing;
    let mut profile = profile;
    let store = handle.store();
    let failed = |error: StoreError| {
        tracing::error!(%error, "a trunk's password cannot be sealed or opened");
        CommandError::Store
    };
    let mut sealed = None;
    match &profile.password {
        Some(password) => sealed = Some(store.seal_password(&profile.name, password).map_err(failed)?),
        // The password is not shown, and need not be given again for the same user.
        None if profile.username.is_some() => {
            let old: Option<TrunkProfile> = before.and_then(|t| serde_json::from_str(&t.profile).ok());
            if let Some(before) = before.filter(|_| old.is_some_and(|old| old.username == profile.username)) {
                sealed.clone_from(&before.sealed);
                profile = open(store, before, profile).map_err(invalid)?;
            }
        }
        None => {}
    }
    let trunks = handle.shared.metrics.trunks();
    let others = trunks.iter().filter(|figures| Some(figures.id()) != id);
    let ids: Vec<(String, TrunkId)> = others.map(|figures| (figures.name.clone(), figures.id())).collect();
    let id = id.unwrap_or(TrunkId::FIRST_STORED);
    let config = build(&changing.basis, changing.tls.as_ref(), &profile, id, &ids).map_err(invalid)?;
    let text = serde_json::to_string(&profile)
        .map_err(|error| CommandError::Invalid { field: String::new(), message: error.to_string() })?;
    let stored = StoredTrunk { id, name: profile.name.clone(), profile: text, sealed };
    Ok((config, stored))
}

fn invalid(error: ProfileError) -> CommandError {
    CommandError::Invalid { field: error.field.into(), message: error.message }
}

impl EngineHandle {
    /// Adds a trunk, or gives one that was made by API another profile, which holds for new calls at once; calls in progress
    /// go on with what they began with. A password that is left out stays, for the same user name.
    pub async fn put_trunk(
        &self,
        id: Option<TrunkId>,
        profile: TrunkProfile,
    ) -> Result<TrunkId, CommandError> {
        let _alone = self.shared.changing.alone.lock().await;
        let before = match id {
            Some(id) => Some(self.changeable(id).await?),
            None => None,
        };
        let handle = self.clone();
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&handle, before.as_ref(), id, profile)).await;
        let (config, stored) = prepared.map_err(|_| CommandError::Store)??;
        // Before anything goes there. What it replaces may be needed by calls in progress no more than by their end.
        let clients = config.tls.clone();
        if !clients.is_empty() {
            self.load_sip_tls(clients)
                .await
                .map_err(|message| CommandError::Invalid { field: "tls_ca".into(), message })?;
        }
        let (config, stored) = (Box::new(config), Box::new(stored));
        match self.ask(|reply| Request::PutTrunk { id, config, stored, reply }).await? {
            Reply::Trunk(id) => Ok(id),
            _ => Err(CommandError::Store),
        }
    }

    /// Deletes a trunk that was made by API: it takes no call from now on, and is gone when its last one has ended.
    pub async fn delete_trunk(&self, id: TrunkId) -> Result<(), CommandError> {
        let _alone = self.shared.changing.alone.lock().await;
        self.ask(|reply| Request::DeleteTrunk { id, reply }).await.map(drop)
    }

    /// Reads the certificates of SIP and of all trunks again, for the connections that are made from now on.
    pub async fn reload_sip_tls(&self) -> Result<(), String> {
        self.load_sip_tls(Vec::new()).await
    }

    /// `first` come before those of the trunks that are known.
    async fn load_sip_tls(&self, first: Vec<ClientFiles>) -> Result<(), String> {
        let Some(base) = self.shared.changing.tls.clone() else { return Ok(()) };
        let mut clients = first;
        for figures in self.shared.metrics.trunks().iter() {
            let more = figures.profile().tls();
            clients.extend(
                more.into_iter().filter(|m| clients.iter().all(|c| c.server != m.server)).collect::<Vec<_>>(),
            );
        }
        let files = TlsFiles { clients, ..base };
        let loaded =
            tokio::task::spawn_blocking(move || files.load().map_err(|error| error.to_string())).await;
        let tls = loaded.map_err(|error| error.to_string())??;
        self.shared.metrics.sip().set_tls(tls);
        Ok(())
    }

    /// What is stored of a trunk, when it is one that may be changed.
    async fn changeable(&self, id: TrunkId) -> Result<StoredTrunk, CommandError> {
        let missing = || CommandError::NotFound { what: "trunk".into(), id: id.0 };
        let known = self.trunk(id).ok_or_else(missing)?;
        if known.configured {
            return Err(Trunk::is_configured(&known.name));
        }
        let stored = self.store().trunks().await.map_err(|_| CommandError::Store)?;
        stored.into_iter().find(|trunk| trunk.id == id).ok_or_else(missing)
    }
}

impl RuntimeConfig {
    /// What trunks are built upon.
    pub fn basis(&self) -> TrunkBasis {
        let at = |listen: &kraliki_sip::net::Listen| ListenAt {
            transport: listen.transport,
            address: listen.bind,
        };
        TrunkBasis {
            listen: self.sip.listen.iter().map(at).collect(),
            interfaces: self.media.interfaces.clone(),
            rtp_timeout: self.rtp_timeout,
            hep_percent: self.hep_percent,
            stir: self.stir.is_some(),
        }
    }
}

impl Driver {
    /// A change of a trunk goes to the engine, which says whether it may be and writes it down.
    pub(in crate::runtime) fn put_trunk(
        &mut self,
        id: Option<TrunkId>,
        config: Box<TrunkConfig>,
        stored: Box<StoredTrunk>,
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    ) {
        let trunk = Box::new(config.trunk.clone());
        let command = Command::PutTrunk { id, trunk, stored };
        if let Some(number) = self.command(command, reply) {
            self.trunk_changes.insert(number, TrunkChange::Put(config));
        }
    }

    pub(in crate::runtime) fn delete_trunk(
        &mut self,
        id: TrunkId,
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    ) {
        if let Some(number) = self.command(Command::DeleteTrunk(id), reply) {
            self.trunk_changes.insert(number, TrunkChange::Delete(id));
        }
    }

    /// The engine answered a change. What it dials from now on goes by the new profile.
    pub(in crate::runtime) fn trunk_changed(
        &mut self,
        change: TrunkChange,
        result: &Result<Reply, CommandError>,
    ) {
        match (change, result) {
            (TrunkChange::Put(mut config), Ok(Reply::Trunk(id))) => {
                config.trunk.id = *id;
                tracing::info!(trunk = config.trunk.name, id = id.0, "the trunk's profile was set by API");
                self.install_trunk(*config);
            }
            (TrunkChange::Delete(id), Ok(_)) => self.leave_trunk(id),
            _ => {}
        }
    }
}
