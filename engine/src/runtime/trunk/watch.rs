//! Whether trunks are there: where their names lead, OPTIONS to each place, registration, what the engine is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use kraliki_sip::net::DnsResolver;
use kraliki_sip::{AcceptFrom, CallKey, Destination, Registration, RegistrationState};
use kraliki_time::{Clock, Time};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{Place, TrunkConfig, TrunkFigures, TrunkPlace};
use crate::runtime::drive::Driver;
use crate::runtime::handle::Request;
use crate::{BreakerState, Event, Input, Trunk, TrunkId};

/// A place that is up is asked this often.
const ASK_UP: Duration = Duration::from_secs(30);
/// One that is down, or not known yet, is asked more often.
const ASK_DOWN: Duration = Duration::from_secs(5);
/// Answers missed or refused in a row before a place that was up is down: one lost datagram is no outage.
const MISSES: u32 = 2;
/// Places of one trunk that are kept: carriers publish two to four.
const PLACES: usize = 8;
/// A name is looked up again after its time to live, within these bounds.
const LOOK_UP_LEAST: Duration = Duration::from_secs(5);
const LOOK_UP_MOST: Duration = Duration::from_secs(300);

/// Any answer but a server failure shows that somebody is there; a 503 is not healthy (RFC 3261 §21.5.4).
fn is_healthy(status: Option<u16>) -> bool {
    status.is_some_and(|status| status < 500 && status != 408)
}

/// The state of each trunk.
pub(in crate::runtime) struct Watches {
    by_trunk: BTreeMap<TrunkId, Watch>,
    asked: BTreeMap<CallKey, (TrunkId, Destination)>,
    /// What the engine wants to know of a trunk that rests, and is not answered yet.
    asking: BTreeMap<CallKey, TrunkId>,
    registrations: BTreeMap<CallKey, TrunkId>,
    /// What was last said of each breaker.
    breakers: BTreeMap<TrunkId, BreakerState>,
}

struct Watch {
    places: Vec<Place>,
    /// When each place is asked next; none while its answer is awaited.
    next: Vec<Option<Time>>,
    keepalive: bool,
    /// Whether the trunk has our registration, when it wants one.
    registered: Option<bool>,
    /// What the engine was told.
    up: bool,
    figures: Arc<TrunkFigures>,
    /// Looks its places up.
    look_up: Option<AbortHandle>,
    /// Which look-up it is: what an earlier one still says is not heard.
    looked_up: u64,
}

impl Watch {
    fn new(trunk: &Trunk, config: Option<&TrunkConfig>, figures: Arc<TrunkFigures>) -> Watch {
        Watch {
            places: Vec::new(),
            next: Vec::new(),
            keepalive: trunk.options_keepalive,
            registered: config.and_then(|config| config.register_s).map(|_| false),
            up: !trunk.watched,
            figures,
            look_up: None,
            looked_up: 0,
        }
    }

    /// Nothing is known of where it is.
    fn forget_places(&mut self) {
        (self.places, self.next) = (Vec::new(), Vec::new());
        if let Some(look_up) = self.look_up.take() {
            look_up.abort();
        }
        self.looked_up += 1;
    }

    fn is_up(&self) -> bool {
        let there = self.places.iter().any(|place| place.up || !self.keepalive);
        there && self.registered != Some(false)
    }
}

impl Watches {
    pub(in crate::runtime) fn new<'a>(
        trunks: impl Iterator<Item = (&'a Trunk, Option<&'a TrunkConfig>, &'a Arc<TrunkFigures>)>,
    ) -> Watches {
        Watches {
            by_trunk: trunks.map(|(t, config, f)| (t.id, Watch::new(t, config, f.clone()))).collect(),
            asked: BTreeMap::new(),
            asking: BTreeMap::new(),
            registrations: BTreeMap::new(),
            breakers: BTreeMap::new(),
        }
    }

    pub(in crate::runtime) fn places(&self, trunk: TrunkId) -> &[Place] {
        self.by_trunk.get(&trunk).map_or(&[], |watch| &watch.places)
    }

    pub(in crate::runtime) fn figures(&self, trunk: TrunkId) -> Option<&Arc<TrunkFigures>> {
        self.by_trunk.get(&trunk).map(|watch| &watch.figures)
    }

    /// Alarms the log when a trunk begins to rest, and says when it works again.
    pub(in crate::runtime) fn note(&mut self, event: &Event) {
        let Event::Trunk(view) = event else { return };
        let before = self.breakers.insert(view.id, view.breaker).unwrap_or_default();
        let (trunk, failures, rest_s) = (&view.name, view.failures, view.resting_s);
        match (before, view.breaker) {
            (BreakerState::Open, BreakerState::Open) | (BreakerState::Closed, BreakerState::Closed) => {}
            (_, BreakerState::Open) => tracing::error!(trunk, failures, rest_s, "the trunk fails and rests"),
            (_, BreakerState::Closed) => tracing::info!(trunk, "the trunk works again"),
            (_, BreakerState::HalfOpen) => {}
        }
    }
}

/// Looks the places of a trunk up, again and again, until the runtime ends.
async fn look_up(
    trunk: Arc<TrunkConfig>,
    number: u64,
    resolver: Arc<DnsResolver>,
    clock: Clock,
    requests: mpsc::Sender<Request>,
) {
    let (id, name) = (trunk.trunk.id, trunk.trunk.name.as_str());
    loop {
        let mut places: Vec<Destination> = Vec::new();
        let mut wait = LOOK_UP_MOST;
        for target in &trunk.targets {
            match resolver.resolve(target).await {
                Ok(candidates) => {
                    let until = candidates.iter().map(|candidate| candidate.valid_until).min();
                    wait = wait.min(until.map_or(wait, |until| until.since(clock.now())));
                    let found = candidates.iter().map(|candidate| candidate.destination());
                    places.extend(found.map(|found| Destination { socket: trunk.socket, ..found }));
                }
                Err(error) => {
                    tracing::warn!(trunk = name, %error, "a trunk's name cannot be looked up");
                    wait = LOOK_UP_LEAST;
                }
            }
        }
        let mut seen = Vec::new();
        places.retain(|place| {
            let new = !seen.contains(place);
            seen.push(place.clone());
            new && seen.len() <= PLACES
        });
        // An outage of the name servers leaves what was known.
        if !places.is_empty() && requests.send(Request::Places { trunk: id, number, places }).await.is_err() {
            return;
        }
        if trunk.targets.iter().all(|target| target.is_numeric()) {
            return;
        }
        tokio::time::sleep(wait.clamp(LOOK_UP_LEAST, LOOK_UP_MOST)).await;
        if requests.is_closed() {
            return;
        }
    }
}

impl Driver {
    /// Begins to look every trunk up.
    pub(in crate::runtime) fn look_trunks_up(&mut self) {
        for trunk in self.trunks.values().cloned().collect::<Vec<_>>() {
            self.look_trunk_up(trunk);
        }
    }

    fn look_trunk_up(&mut self, trunk: Arc<TrunkConfig>) {
        let Some(watch) = self.watches.by_trunk.get_mut(&trunk.trunk.id) else { return };
        let (resolver, requests) = (self.resolver.clone(), self.shared.requests.clone());
        let task = look_up(trunk, watch.looked_up, resolver, self.shared.clock, requests);
        watch.look_up = Some(tokio::spawn(task).abort_handle());
    }

    /// A trunk is new, or has another profile: what is dialed from now on goes by it.
    pub(in crate::runtime) fn install_trunk(&mut self, config: TrunkConfig) {
        let (id, new) = (config.trunk.id, Arc::new(config));
        let old = self.trunks.insert(id, new.clone());
        match self.watches.figures(id) {
            Some(figures) => figures.describe(new.profile.clone()),
            None => {
                let figures = Arc::new(TrunkFigures::new(id, new.profile.clone(), None));
                let mut all = self.shared.metrics.trunks().to_vec();
                all.push(figures.clone());
                self.shared.metrics.set_trunks(all);
                self.watches.by_trunk.insert(id, Watch::new(&new.trunk, Some(&*new), figures));
            }
        }
        let same_way = old.as_ref().is_some_and(|old| old.targets == new.targets && old.socket == new.socket);
        let same_registration = same_way
            && old.as_ref().is_some_and(|old| {
                (old.register_s, &old.credentials, &old.host) == (new.register_s, &new.credentials, &new.host)
            });
        if let Some(watch) = self.watches.by_trunk.get_mut(&id) {
            if !same_way {
                watch.forget_places();
            } else if new.trunk.options_keepalive && !watch.keepalive {
                // Asked at once.
                watch.next.iter_mut().for_each(|next| *next = Some(Time::ZERO));
            }
            watch.keepalive = new.trunk.options_keepalive;
            if !same_registration {
                watch.registered = new.register_s.map(|_| false);
                watch.figures.registered(false);
            }
        }
        if !same_registration {
            self.unregister_trunk(id);
        }
        if !same_way {
            self.look_trunk_up(new);
        } else if !same_registration {
            self.register_at(id);
        }
        self.accept_trunks();
        self.tell_trunk(id);
    }

    /// A trunk is deleted: nothing is asked of it and nobody calls by it any more. Calls in progress have what they need.
    pub(in crate::runtime) fn leave_trunk(&mut self, id: TrunkId) {
        self.trunks.remove(&id);
        if let Some(watch) = self.watches.by_trunk.get_mut(&id) {
            watch.forget_places();
        }
        self.unregister_trunk(id);
        self.accept_trunks();
    }

    /// Its last call has ended.
    pub(in crate::runtime) fn forget_trunk(&mut self, id: TrunkId) {
        self.watches.by_trunk.remove(&id);
        self.watches.breakers.remove(&id);
        let mut all = self.shared.metrics.trunks().to_vec();
        all.retain(|figures| figures.id() != id);
        self.shared.metrics.set_trunks(all);
    }

    fn unregister_trunk(&mut self, id: TrunkId) {
        let known = self.watches.registrations.iter().filter(|(_, trunk)| **trunk == id).map(|(key, _)| *key);
        for key in known.collect::<Vec<_>>() {
            self.watches.registrations.remove(&key);
            if let Err(error) = self.sip.unregister(key) {
                tracing::warn!(%error, "a registration that is not wanted any more stays until it expires");
            }
        }
    }

    /// Where a trunk is now.
    pub(in crate::runtime) fn on_places(&mut self, id: TrunkId, number: u64, destinations: Vec<Destination>) {
        let Some(watch) = self.watches.by_trunk.get_mut(&id).filter(|watch| watch.looked_up == number) else {
            return;
        };
        let same = |place: &Place, destination: &Destination| place.destination == *destination;
        if watch.places.len() == destinations.len()
            && watch.places.iter().zip(&destinations).all(|(place, destination)| same(place, destination))
        {
            return;
        }
        let first = watch.places.is_empty();
        let (mut places, mut next) = (Vec::new(), Vec::new());
        for destination in destinations {
            let known = watch.places.iter().position(|place| same(place, &destination));
            let old = known.and_then(|at| Some((watch.places.get(at)?.clone(), *watch.next.get(at)?)));
            let (place, at) = old.unwrap_or((Place { destination, up: false, misses: 0 }, Some(Time::ZERO)));
            places.push(place);
            next.push(at);
        }
        (watch.places, watch.next) = (places, next);
        self.accept_trunks();
        self.tell_trunk(id);
        if first {
            self.register_at(id);
        }
        self.watch_trunks(self.now());
    }

    /// Trunks may call us, from where they are and from where they say they call.
    fn accept_trunks(&self) {
        let found =
            self.watches.by_trunk.values().flat_map(|watch| &watch.places).map(|place| place.ip().into());
        let given = self.trunks.values().flat_map(|trunk| trunk.accept_from.iter().copied());
        let nets: Vec<IpNet> = found.chain(given).collect();
        if let Err(error) = self.sip.set_accept_from(AcceptFrom::Only(nets)) {
            tracing::error!(%error, "the addresses that trunks may call from were not taken");
        }
        let shares = self.trunks.values().flat_map(|trunk| {
            let places = self.watches.places(trunk.trunk.id).iter();
            let percent = u8::try_from(trunk.hep_percent).unwrap_or(100);
            places.map(move |place| (IpNet::from(place.ip()), percent))
        });
        if let Err(error) = self.sip.set_hep_shares(shares.collect()) {
            tracing::error!(%error, "the shares of calls that the collector gets were not taken");
        }
    }

    /// The trunk whose calls come from an address.
    pub(in crate::runtime) fn trunk_of(&self, ip: std::net::IpAddr) -> Option<&Arc<TrunkConfig>> {
        let ip = ip.to_canonical();
        self.trunks.values().find(|trunk| {
            self.watches.places(trunk.trunk.id).iter().any(|place| place.ip() == ip)
                || trunk.accept_from.iter().any(|net| net.contains(&ip))
        })
    }

    fn register_at(&mut self, id: TrunkId) {
        let Some(trunk) = self.trunks.get(&id) else { return };
        let (Some(expires_s), Some(place)) = (trunk.register_s, self.watches.places(id).first()) else {
            return;
        };
        let credentials = trunk.credentials.clone();
        let user = credentials.as_ref().map_or(trunk.trunk.name.as_str(), |c| c.username.as_str());
        let aor = format!("sip:{user}@{}", trunk.host);
        let mut registration = Registration::new(place.destination.clone(), &aor, user);
        (registration.expires_s, registration.credentials) = (expires_s, credentials);
        match self.sip.register(registration) {
            Ok(key) => drop(self.watches.registrations.insert(key, id)),
            Err(error) => tracing::error!(trunk = trunk.trunk.name, %error, "cannot register"),
        }
    }

    pub(in crate::runtime) fn on_registration(&mut self, key: CallKey, state: RegistrationState) {
        let Some(&id) = self.watches.registrations.get(&key) else { return };
        let Some(watch) = self.watches.by_trunk.get_mut(&id) else { return };
        let trunk = &watch.figures.name;
        match state {
            RegistrationState::Registered { expires_s } => {
                if watch.registered != Some(true) {
                    tracing::info!(trunk, expires_s, "registered");
                }
                watch.registered = Some(true);
            }
            RegistrationState::Failed { status, retry_after_s } => {
                tracing::warn!(trunk, status, retry_after_s, "the registration failed");
                watch.registered = Some(false);
            }
            RegistrationState::Unregistered => watch.registered = Some(false),
            _ => {}
        }
        watch.figures.registered(watch.registered == Some(true));
        self.tell_trunk(id);
    }

    /// Asks the places whose time has come.
    pub(in crate::runtime) fn watch_trunks(&mut self, now: Time) {
        for (id, watch) in &mut self.watches.by_trunk {
            if !watch.keepalive {
                continue;
            }
            for (place, next) in watch.places.iter().zip(&mut watch.next) {
                // A full queue is a busy dialer: asked again at the next tick.
                if next.is_some_and(|at| at <= now)
                    && let Ok(key) = self.sip.options(place.destination.clone())
                {
                    *next = None;
                    self.watches.asked.insert(key, (*id, place.destination.clone()));
                }
            }
        }
    }

    /// A trunk that rests is asked at each of its places: whether one of them works again.
    pub(in crate::runtime) fn ask_trunk(&mut self, id: TrunkId) {
        let places: Vec<Destination> =
            self.watches.places(id).iter().map(|place| place.destination.clone()).collect();
        for place in places {
            match self.sip.options(place) {
                Ok(key) => drop(self.watches.asking.insert(key, id)),
                Err(error) => tracing::warn!(%error, "a trunk that rests cannot be asked now"),
            }
        }
        if !self.watches.asking.values().any(|asked| *asked == id) {
            self.give(Input::TrunkAsked { id, answered: false });
        }
    }

    fn on_asked(&mut self, id: TrunkId, status: Option<u16>) {
        let answered = is_healthy(status);
        if answered {
            self.watches.asking.retain(|_, asked| *asked != id);
        } else if self.watches.asking.values().any(|asked| *asked == id) {
            return;
        }
        self.give(Input::TrunkAsked { id, answered });
    }

    pub(in crate::runtime) fn on_options_result(&mut self, key: CallKey, status: Option<u16>) {
        let now = self.now();
        if let Some(id) = self.watches.asking.remove(&key) {
            return self.on_asked(id, status);
        }
        let Some((id, destination)) = self.watches.asked.remove(&key) else { return };
        let Some(watch) = self.watches.by_trunk.get_mut(&id) else { return };
        let asked = watch.places.iter_mut().zip(&mut watch.next);
        let mut asked = asked.filter(|(place, _)| place.destination == destination);
        let Some((place, next)) = asked.next() else { return };
        let healthy = is_healthy(status);
        place.misses = if healthy { 0 } else { place.misses + 1 };
        let up = healthy || (place.up && place.misses < MISSES);
        *next = Some(now + if up && healthy { ASK_UP } else { ASK_DOWN });
        if up != place.up {
            place.up = up;
            let (trunk, address) = (&watch.figures.name, destination.address);
            tracing::info!(trunk, %address, up, status, "a trunk's place changed");
            self.tell_trunk(id);
        }
    }

    /// Tells the engine when a trunk's state has changed.
    fn tell_trunk(&mut self, id: TrunkId) {
        let Some(watch) = self.watches.by_trunk.get_mut(&id) else { return };
        let shown = |place: &Place| TrunkPlace {
            address: place.destination.address.to_string(),
            transport: place.destination.transport.param().to_owned(),
            up: place.up || !watch.keepalive,
        };
        watch.figures.found(watch.places.iter().map(shown).collect());
        let up = watch.is_up();
        if up != watch.up {
            watch.up = up;
            tracing::info!(trunk = watch.figures.name, up, "trunk state changed");
            self.give(Input::Trunk { id, up });
        }
    }
}
