//! Who sees what.

use std::collections::BTreeMap;

use kraliki_engine::{
    AgentId, AttemptId, CampaignId, CampaignStatus, CampaignView, Event, Mode, Side, Snapshot, TrunkId,
};
use serde::Serialize;
use std::sync::Arc;

use crate::auth::{Scope, User};

/// What an agent sees of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CampaignTitle<'a> {
    id: CampaignId,
    name: &'a str,
    status: CampaignStatus,
    mode: Mode,
}

impl<'a> From<&'a CampaignView> for CampaignTitle<'a> {
    fn from(view: &'a CampaignView) -> Self {
        CampaignTitle { id: view.id, name: &view.name, status: view.status, mode: view.mode }
    }
}

/// A message with its type.
#[derive(Serialize)]
struct Tagged<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    content: &'a T,
}

fn tagged<T: Serialize>(r#type: &'static str, content: &T) -> String {
    serde_json::to_string(&Tagged { r#type, content }).unwrap_or_default()
}

/// What one socket shows to its user.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Campaigns as an agent was told of them: their numbers change all the time, their names hardly ever.
    titles: BTreeMap<CampaignId, (String, CampaignStatus, Mode)>,
    /// Whom the user sees, agents themselves aside.
    pub(super) scope: Scope,
}

impl View {
    /// The snapshot as this user sees it.
    pub(super) fn snapshot(&mut self, user: &User, snapshot: &Snapshot) -> String {
        if !user.is_agent() {
            if self.scope.is_all() {
                return tagged("snapshot", snapshot);
            }
            let mut seen = snapshot.clone();
            seen.agents.retain(|agent| self.scope.sees(agent.id));
            seen.calls.retain(|call| self.scope.sees_call_of(call.agent));
            seen.phones.retain(|phone| self.scope.sees(phone.agent));
            return tagged("snapshot", &seen);
        }
        let me = user.agent();
        self.titles = snapshot.campaigns.iter().map(|c| (c.id, (c.name.clone(), c.status, c.mode))).collect();

        #[derive(Serialize)]
        struct Own<'a> {
            at_unix_ms: i64,
            campaigns: Vec<CampaignTitle<'a>>,
            agents: Vec<&'a kraliki_engine::AgentView>,
            calls: Vec<&'a kraliki_engine::CallView>,
            trunks: [(); 0],
            phones: Vec<&'a kraliki_engine::PhoneView>,
            draining: bool,
            store_ok: bool,
        }
        let own = Own {
            at_unix_ms: snapshot.at_unix_ms,
            campaigns: snapshot.campaigns.iter().map(CampaignTitle::from).collect(),
            agents: snapshot.agents.iter().filter(|agent| agent.id == me).collect(),
            calls: snapshot.calls.iter().filter(|call| call.agent == Some(me)).collect(),
            trunks: [],
            phones: snapshot.phones.iter().filter(|phone| phone.agent == me).collect(),
            draining: snapshot.draining,
            store_ok: snapshot.store_ok,
        };
        tagged("snapshot", &own)
    }

    /// The event as this user sees it; none when they don't.
    pub(super) fn event(&mut self, user: &User, event: &Event) -> Option<String> {
        if user.is_agent() {
            let me = user.agent();
            match event {
                Event::Agent(agent) if agent.id == me => {}
                Event::Call(call) if call.agent == Some(me) => {}
                Event::Phone(phone) if phone.agent == me => {}
                Event::Unheard(view) if view.agent == me => {}
                Event::Quality { calls } => {
                    let calls: Vec<_> = calls.iter().filter(|call| call.agent == me).cloned().collect();
                    let own = (!calls.is_empty()).then_some(Event::Quality { calls })?;
                    return serde_json::to_string(&own).ok();
                }
                Event::Campaign(campaign) => return self.title(campaign),
                Event::CampaignDeleted { id } => {
                    self.titles.remove(id);
                }
                _ => return None,
            }
        } else if !self.scope.is_all() {
            match event {
                Event::Agent(agent) if !self.scope.sees(agent.id) => return None,
                // One that is over for them: its agent is another's now, or nobody.
                Event::Call(call) if !self.scope.sees_call_of(call.agent) => return None,
                Event::Phone(phone) if !self.scope.sees(phone.agent) => return None,
                Event::Unheard(view) if !self.scope.sees(view.agent) => return None,
                Event::Quality { calls } => {
                    let seen = calls.iter().filter(|call| self.scope.sees(call.agent));
                    let calls: Vec<_> = seen.cloned().collect();
                    let own = (!calls.is_empty()).then_some(Event::Quality { calls })?;
                    return serde_json::to_string(&own).ok();
                }
                _ => {}
            }
        }
        serde_json::to_string(event).ok()
    }

    fn title(&mut self, campaign: &CampaignView) -> Option<String> {
        let now = (campaign.name.clone(), campaign.status, campaign.mode);
        if self.titles.get(&campaign.id) == Some(&now) {
            return None;
        }
        self.titles.insert(campaign.id, now);
        Some(tagged("campaign", &CampaignTitle::from(campaign)))
    }
}

/// What an event is about: of several about one thing, only the last needs to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Campaign(CampaignId),
    Trunk(TrunkId),
    Agent(AgentId),
    Call(AttemptId),
    Phone(AgentId),
    Quality(u64),
    Unheard(AttemptId, Side),
}

/// Events that wait to be sent, the last one about each thing, in the order in which these last ones came.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    last: BTreeMap<About, u64>,
    events: BTreeMap<u64, Arc<Event>>,
    count: u64,
}

impl Gathered {
    pub(super) fn add(&mut self, event: Arc<Event>) {
        let about = match &*event {
            Event::Agent(view) => About::Agent(view.id),
            Event::Call(view) => About::Call(view.id),
            Event::Campaign(view) => About::Campaign(view.id),
            Event::CampaignDeleted { id } => About::Campaign(*id),
            Event::Trunk(view) => About::Trunk(view.id),
            Event::TrunkDeleted { id } => About::Trunk(*id),
            Event::Phone(view) => About::Phone(view.agent),
            // Each tells of other calls.
            Event::Quality { .. } => About::Quality(self.count),
            Event::Unheard(view) => About::Unheard(view.call, view.side),
        };
        self.count += 1;
        if let Some(earlier) = self.last.insert(about, self.count) {
            self.events.remove(&earlier);
        }
        self.events.insert(self.count, event);
    }

    /// Those that were gathered.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<Event>> + use<> {
        std::mem::take(self).events.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;
    use kraliki_engine::{AgentState, AgentView, CallQuality, Grade, LegFigures, Unheard, UnheardView};
    use serde_json::Value;

    fn user(id: i64, role: Role) -> User {
        User { id, name: String::new(), role }
    }

    fn agent(id: i64, state: AgentState) -> AgentView {
        AgentView {
            id: AgentId(id),
            name: "Ada".into(),
            state,
            since_unix_ms: 0,
            reason: String::new(),
            call: None,
            audio: true,
            next: None,
            pause_ends_unix_ms: None,
            wrap_up_ends_unix_ms: None,
            wrap_up_extension_s: 0,
            shift_ends_unix_ms: None,
            last_call: false,
            forced: None,
            calls: 0,
            preview: None,
        }
    }

    fn campaign(attempts: u64) -> CampaignView {
        CampaignView {
            id: CampaignId(1),
            name: "Spring".into(),
            status: CampaignStatus::Running,
            mode: Mode::Predictive,
            hopper: 0,
            lines: 0,
            talking: 0,
            waiting: 0,
            agents: 0,
            ready: 0,
            outcomes: BTreeMap::new(),
            attempts,
            answered: 0,
            abandoned: 0,
            machines: kraliki_engine::MachineChecks::default(),
            occupancy: 0.0,
            decision: "secret".into(),
            profile: String::new(),
            period_h: 720,
            abandonment_cap: 0.03,
            refused: BTreeMap::new(),
            notice: String::new(),
            no_caller_id: None,
        }
    }

    #[test]
    fn an_agent_sees_themselves_and_campaigns_by_name() {
        let snapshot = Snapshot {
            campaigns: vec![campaign(1)],
            agents: vec![agent(1, AgentState::Ready), agent(2, AgentState::Ready)],
            ..Snapshot::default()
        };
        let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let mut view = View::default();
        let own = json(view.snapshot(&user(2, Role::Agent), &snapshot));
        assert_eq!(own["type"], "snapshot");
        assert_eq!(own["agents"].as_array().unwrap().len(), 1);
        assert_eq!(own["agents"][0]["id"], 2);
        assert_eq!(own["campaigns"][0]["name"], "Spring");
        assert!(own["campaigns"][0].get("decision").is_none());
        let all = json(View::default().snapshot(&user(9, Role::Analyst), &snapshot));
        assert_eq!(all["agents"].as_array().unwrap().len(), 2);
        assert_eq!(all["campaigns"][0]["decision"], "secret");

        // The numbers alone are nothing new to an agent; a deletion is.
        let me = user(2, Role::Agent);
        assert_eq!(view.event(&me, &Event::Campaign(campaign(2))), None);
        assert!(view.event(&me, &Event::CampaignDeleted { id: CampaignId(1) }).is_some());
        assert!(view.event(&me, &Event::Campaign(campaign(3))).is_some());
        assert_eq!(view.event(&me, &Event::Agent(agent(1, AgentState::Paused))), None);
        assert!(view.event(&me, &Event::Agent(agent(2, AgentState::Paused))).is_some());
        assert!(
            view.event(&user(9, Role::Analyst), &Event::Campaign(campaign(2))).unwrap().contains("secret")
        );
    }

    #[test]
    fn an_agent_sees_how_their_own_call_is_heard() {
        let heard = LegFigures {
            codec: "PCMU".into(),
            lasted_ms: 3_000,
            packets_received: 150,
            packets_sent: 150,
            packets_lost: 0,
            loss: 0.0,
            longest_loss: 0,
            burst_density: 0.0,
            reordered: 0,
            repeated: 0,
            jitter_ms: 1.0,
            jitter_most_ms: 2.0,
            round_trip_ms: None,
            far_loss: None,
            far_jitter_ms: None,
            mos: 4.4,
            far_mos: None,
            clipped: None,
            silent: None,
            unheard: None,
            unheard_ms: 0,
        };
        let call = |id: i64| CallQuality {
            call: AttemptId(id),
            agent: AgentId(id),
            grade: Grade::Good,
            carrier: heard.clone(),
            desk: heard.clone(),
        };
        let both = Event::Quality { calls: vec![call(1), call(2)] };
        let seen = |user: &User, event: &Event| View::default().event(user, event);
        let own: Value = serde_json::from_str(&seen(&user(2, Role::Agent), &both).unwrap()).unwrap();
        assert_eq!((&own["type"], own["calls"].as_array().unwrap().len()), (&Value::from("quality"), 1));
        assert_eq!((&own["calls"][0]["call"], &own["calls"][0]["carrier"]["mos"]), (&2.into(), &4.4.into()));
        assert_eq!(seen(&user(3, Role::Agent), &both), None);
        let all: Value = serde_json::from_str(&seen(&user(9, Role::Supervisor), &both).unwrap()).unwrap();
        assert_eq!(all["calls"].as_array().unwrap().len(), 2);
        let unheard = Event::Unheard(UnheardView {
            call: AttemptId(2),
            agent: AgentId(2),
            side: Side::Carrier,
            why: Some(Unheard::NoPackets),
            one_way: true,
        });
        assert!(seen(&user(2, Role::Agent), &unheard).unwrap().contains("no_packets"));
        assert_eq!(seen(&user(1, Role::Agent), &unheard), None);
        // Messages of several shards are all sent.
        let mut gathered = Gathered::default();
        for event in [both.clone(), both, unheard.clone(), unheard] {
            gathered.add(Arc::new(event));
        }
        assert_eq!(gathered.take().count(), 3);
    }

    #[test]
    fn of_several_events_about_one_thing_the_last_is_sent() {
        let mut gathered = Gathered::default();
        for (id, state) in [(1, AgentState::Ready), (2, AgentState::Ready), (1, AgentState::Reserved)] {
            gathered.add(Arc::new(Event::Agent(agent(id, state))));
        }
        let sent: Vec<_> = gathered.take().collect();
        assert_eq!(*sent[0], Event::Agent(agent(2, AgentState::Ready)));
        assert_eq!(*sent[1], Event::Agent(agent(1, AgentState::Reserved)));
        assert_eq!(sent.len(), 2);
        assert_eq!(gathered.take().count(), 0);
    }
}
