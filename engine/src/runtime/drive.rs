//! The loop: one thread, all inputs, in the order in which they come.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kraliki_media::{MediaEvent, MediaHandle};
use kraliki_sip::net::{DnsResolver, EventReceiver, SipHandle};
use kraliki_sip::{CallIdKey, CallKey};
use kraliki_time::Time;
use tokio::sync::{mpsc, oneshot};

use super::RuntimeConfig;
use super::callback::Callers;
use super::desk::Desks;
use super::handle::{Choices, Request, Shared};
use super::journal::{Ended, Journal};
use super::line::Lines;
use super::phone::Phones;
use super::prompts::Prompts;
use super::recording::{Recordings, Started};
use super::supervise::Supervisors;
use super::trunk::{Known, TrunkChange, TrunkConfig, Watches};
use crate::store::{Job, PhoneSecret, QueueFull, StoreEvent, Writer};
use crate::{
    Command, CommandError, EndedBy, Engine, Event, Input, LeadAnswer, LineEvent, Output, Reply, Snapshot,
    TrunkId, TryId, Write,
};

/// How often snapshots are published, the wall clock is compared and trunks are watched.
const TICK: Duration = Duration::from_millis(250);
/// A wall clock that went this far from the monotonic one has stepped.
const CLOCK_STEP_MS: i64 = 200;
/// The engine hears of the wall clock at least this often.
const CLOCK_EVERY: Duration = Duration::from_secs(30);
/// What comes within this time of the last round waits for the next: a wake-up costs several times what most inputs do.
/// After a pause an input is taken at once. An answer waits longer than this for the caller's next packet.
const ROUND_GAP: Duration = Duration::from_millis(1);
/// Inputs taken in a row before the loop looks at its timer again.
const INPUTS_AT_ONCE: usize = 256;
/// Jobs kept while the writer's queue is full. Beyond it, writes that somebody waits for fail at once.
const JOB_BACKLOG: usize = 262_144;
/// Commands whose answer is awaited. The queue of requests is shorter than this.
const REPLIES: usize = 65_536;

/// Tries of one attempt that are looked for in its trace: a trunk and those that it fails over to.
const TRIES: u32 = 8;

/// Where inputs come from.
pub(super) struct Events {
    pub(super) sip: EventReceiver,
    pub(super) media: mpsc::Receiver<MediaEvent>,
    pub(super) store: mpsc::Receiver<StoreEvent>,
    pub(super) requests: mpsc::Receiver<Request>,
}

/// What a driver is made of.
pub(super) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) sip: SipHandle,
    pub(super) media: MediaHandle,
    pub(super) writer: Writer,
    pub(super) engine: Engine,
    pub(super) journal: Option<Journal>,
    pub(super) call_ids: CallIdKey,
    pub(super) config: RuntimeConfig,
    pub(super) orphans: Vec<(CallKey, TryId)>,
    pub(super) trunks: Vec<Known>,
    pub(super) resolver: Arc<DnsResolver>,
    pub(super) restore: Input,
    pub(super) phones: Vec<PhoneSecret>,
    pub(super) recording: Option<Started>,
}

/// The engine and everything that it moves.
pub(super) struct Driver {
    pub(super) engine: Engine,
    pub(super) shared: Arc<Shared>,
    pub(super) sip: SipHandle,
    pub(super) media: MediaHandle,
    pub(super) config: RuntimeConfig,
    pub(super) call_ids: CallIdKey,
    pub(super) lines: Lines,
    pub(super) desks: Desks,
    pub(super) supervisors: Supervisors,
    pub(super) phones: Phones,
    pub(super) callers: Callers,
    pub(super) prompts: Prompts,
    pub(super) recordings: Recordings,
    /// Trunks that calls may go by.
    pub(super) trunks: BTreeMap<TrunkId, Arc<TrunkConfig>>,
    pub(super) watches: Watches,
    pub(super) resolver: Arc<DnsResolver>,
    /// Changes of trunks that the engine has not answered, by the command's number.
    pub(super) trunk_changes: HashMap<u64, TrunkChange>,
    pub(super) orphans: HashMap<CallKey, TryId>,
    writer: Writer,
    journal: Option<Journal>,
    /// Inputs that came up while outputs were carried out.
    pending: VecDeque<Input>,
    backlog: VecDeque<Job>,
    replies: HashMap<u64, oneshot::Sender<Result<Reply, CommandError>>>,
    next_reply: u64,
    wake: Option<Time>,
    /// Of what was published last.
    people_version: u64,
    clock_offset_ms: i64,
    clock_told: Time,
    drained: bool,
    /// When the calls' quality was asked for.
    pub(super) quality_asked: Time,
}

enum Got {
    Sip(Option<(Time, kraliki_sip::Event)>),
    Media(Option<MediaEvent>),
    Store(Option<StoreEvent>),
    Request(Option<Request>),
    Timer,
    Tick,
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Driver {
        let known = parts.trunks.iter();
        let watches = Watches::new(known.map(|known| (&known.trunk, known.config.as_ref(), &known.figures)));
        let trunks =
            parts.trunks.into_iter().filter_map(|known| Some((known.trunk.id, Arc::new(known.config?))));
        let mut driver = Driver {
            engine: parts.engine,
            shared: parts.shared,
            sip: parts.sip,
            media: parts.media,
            config: parts.config,
            call_ids: parts.call_ids,
            lines: Lines::default(),
            desks: Desks::default(),
            supervisors: Supervisors::default(),
            phones: Phones::default(),
            callers: Callers::default(),
            prompts: Prompts::default(),
            recordings: Recordings::new(parts.recording),
            trunks: trunks.collect(),
            watches,
            resolver: parts.resolver,
            trunk_changes: HashMap::new(),
            orphans: parts.orphans.into_iter().collect(),
            writer: parts.writer,
            journal: parts.journal,
            pending: VecDeque::new(),
            backlog: VecDeque::new(),
            replies: HashMap::new(),
            next_reply: 0,
            wake: None,
            people_version: 0,
            clock_offset_ms: 0,
            clock_told: Time::ZERO,
            drained: false,
            quality_asked: Time::ZERO,
        };
        driver.tell_clock(driver.now());
        driver.give(parts.restore);
        if driver.config.phones.is_some() {
            driver.set_phones(parts.phones);
        }
        driver
    }

    pub(super) fn now(&self) -> Time {
        self.shared.clock.now()
    }

    /// An input for the engine, after those that wait.
    pub(super) fn give(&mut self, input: Input) {
        self.pending.push_back(input);
    }

    pub(super) fn give_line(&mut self, id: TryId, event: LineEvent) {
        self.give(Input::Line { id, event });
    }

    /// Runs until a drain is over or it is told to stop. Gives what is left to do for the journal.
    pub(super) async fn run(mut self, mut events: Events) -> Option<Ended> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.look_trunks_up();
        self.settle();
        for campaign in self.engine.snapshot(self.now()).campaigns {
            self.read_prompts(campaign.id);
        }
        self.publish();
        let mut round = self.now();
        while !self.drained {
            let since = self.now().since(round);
            if since < ROUND_GAP {
                tokio::time::sleep(ROUND_GAP - since).await;
            }
            let wake = self.wake.map(|at| tokio::time::Instant::from_std(self.shared.clock.instant(at)));
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // Answers of the store first: they free what waits for them.
            let got = tokio::select! {
                biased;
                event = events.store.recv() => Got::Store(event),
                () = timer => Got::Timer,
                event = events.sip.recv() => Got::Sip(event),
                event = events.media.recv() => Got::Media(event),
                request = events.requests.recv() => Got::Request(request),
                _ = tick.tick() => Got::Tick,
            };
            round = self.now();
            let tick = matches!(got, Got::Tick);
            if !self.take(got) || !self.take_waiting(&mut events) {
                break;
            }
            self.settle();
            if tick {
                self.on_tick();
            }
        }
        self.sip.stop();
        self.media.shutdown();
        self.recordings.shutdown();
        self.publish();
        let now = self.now();
        self.journal.take().map(|journal| journal.end(now))
    }

    /// Takes what else is there, so that a burst costs one round and not many. False as [`Driver::take`].
    fn take_waiting(&mut self, events: &mut Events) -> bool {
        for _ in 0..INPUTS_AT_ONCE {
            let got = if let Ok(event) = events.store.try_recv() {
                Got::Store(Some(event))
            } else if let Some(event) = events.sip.try_recv() {
                Got::Sip(Some(event))
            } else if let Ok(event) = events.media.try_recv() {
                Got::Media(Some(event))
            } else if let Ok(request) = events.requests.try_recv() {
                Got::Request(Some(request))
            } else {
                return true;
            };
            self.settle();
            if !self.take(got) {
                return false;
            }
        }
        true
    }

    /// False when there is nothing left to run for.
    fn take(&mut self, got: Got) -> bool {
        match got {
            Got::Sip(Some((_, event))) => self.on_sip(event),
            Got::Media(Some(event)) => self.on_media(event),
            Got::Store(Some(event)) => self.give(match event {
                StoreEvent::Committed { token } => Input::Committed { token },
                StoreEvent::CommitFailed { token } => Input::CommitFailed { token },
                StoreEvent::Leads { campaign, leads, next_due_unix_ms } => {
                    Input::Leads { campaign, leads, next_due_unix_ms }
                }
                StoreEvent::Lead { reply, answer } => Input::Lead { reply, answer },
            }),
            Got::Request(Some(request)) => return self.on_request(request),
            Got::Sip(None) | Got::Media(None) | Got::Store(None) | Got::Request(None) => {
                tracing::error!("a part of the dialer has stopped; stopping");
                return false;
            }
            Got::Timer => {
                let now = self.now();
                if let Some(journal) = &mut self.journal {
                    journal.timeout(now, &self.engine);
                }
                self.engine.handle_timeout(now);
                self.carry_out();
            }
            Got::Tick => {}
        }
        true
    }

    /// Gives the engine everything that waits, and carries out what it says, until nothing is left.
    fn settle(&mut self) {
        self.send_backlog();
        while let Some(input) = self.pending.pop_front() {
            let now = self.now();
            if let Some(journal) = &mut self.journal {
                journal.input(now, &input, &self.engine);
            }
            self.engine.handle_input(now, input);
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        loop {
            let output = self.engine.poll_output();
            if let Some(journal) = &mut self.journal {
                journal.output(&output);
            }
            match output {
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
                Output::Store { token, write } => {
                    self.note_quarantine(&write);
                    self.job(Job::Write { token, write });
                }
                Output::AskTrunk { id } => self.ask_trunk(id),
                Output::Refill { campaign, limit } => {
                    let now_unix_ms = self.shared.clock.unix_ms();
                    self.job(Job::Refill { campaign, limit, now_unix_ms });
                }
                Output::ReadLead { reply, campaign, lead } => {
                    let now_unix_ms = self.shared.clock.unix_ms();
                    self.job(Job::Lead { reply, campaign, lead, now_unix_ms });
                }
                Output::Reply { reply, result } => {
                    self.publish_people();
                    // Who changed a trunk sees the change in the list at once.
                    if matches!(result, Ok(Reply::Trunk(_) | Reply::Group(_) | Reply::Pool(_) | Reply::Done))
                    {
                        self.publish_choices();
                    }
                    if matches!(result, Ok(Reply::Trunk(_))) {
                        self.publish();
                    }
                    if let Some(change) = self.trunk_changes.remove(&reply) {
                        self.trunk_changed(change, &result);
                    }
                    if let Some(sender) = self.replies.remove(&reply) {
                        let _ = sender.send(result);
                    }
                }
                // No listener is no fault.
                Output::Event(event) => {
                    self.watches.note(&event);
                    self.watch_agent(&event);
                    match &event {
                        Event::TrunkDeleted { id } => self.forget_trunk(*id),
                        Event::Campaign(view) => self.read_prompts(view.id),
                        Event::CampaignDeleted { id } => self.forget_prompts(*id),
                        _ => {}
                    }
                    drop(self.shared.events.send(Arc::new(event)));
                }
                Output::Drained => self.drained = true,
                output => self.on_line_output(output),
            }
        }
    }

    pub(super) fn job(&mut self, job: Job) {
        if self.backlog.is_empty() {
            if let Err(QueueFull(job)) = self.writer.try_send(job) {
                self.backlog.push_back(*job);
            }
            return;
        }
        if self.backlog.len() >= JOB_BACKLOG {
            match job {
                Job::Write { token: Some(token), .. } => self.give(Input::CommitFailed { token }),
                Job::Lead { reply, .. } => self.give(Input::Lead { reply, answer: LeadAnswer::Failed }),
                job => tracing::error!(?job, "the store is too far behind: a write was lost"),
            }
            return;
        }
        self.backlog.push_back(job);
    }

    fn send_backlog(&mut self) {
        while let Some(job) = self.backlog.pop_front() {
            if let Err(QueueFull(job)) = self.writer.try_send(job) {
                self.backlog.push_front(*job);
                return;
            }
        }
    }

    /// Gives the number of the command; none when it was turned away.
    pub(super) fn command(
        &mut self,
        command: Command,
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    ) -> Option<u64> {
        if self.replies.len() >= REPLIES {
            let _ = reply.send(Err(CommandError::Overloaded(Duration::from_millis(500))));
            return None;
        }
        self.next_reply += 1;
        self.replies.insert(self.next_reply, reply);
        self.give(Input::Command { reply: self.next_reply, command });
        Some(self.next_reply)
    }

    fn on_request(&mut self, request: Request) -> bool {
        match request {
            Request::Command { command, reply } => drop(self.command(command, reply)),
            Request::PutTrunk { id, config, stored, reply } => self.put_trunk(id, config, stored, reply),
            Request::DeleteTrunk { id, reply } => self.delete_trunk(id, reply),
            Request::OpenSession { agent, offer, reply } => {
                let opened = self.open_session(agent, &offer);
                let _ = reply.send(opened);
            }
            Request::OpenPhone { agent, reply } => {
                let opened = self.open_phone(agent);
                let _ = reply.send(opened);
            }
            Request::PhoneFound { agent, session, binding } => {
                self.on_phone_found(agent, &session, binding);
            }
            Request::Phones(secrets) => self.set_phones(secrets),
            Request::PatchSession { agent, id, body, reply } => {
                self.patch_session(agent, &id, body, reply);
            }
            Request::CloseSession { agent, id, reply } => {
                let _ = reply.send(self.close_session(agent, &id));
            }
            Request::Supervision(request) => self.on_supervision(request),
            Request::SipTrace { call, hide_numbers, reply } => {
                let attempt = call.0.unsigned_abs();
                let (sip, call_ids) = (self.sip.clone(), self.call_ids.clone());
                tokio::spawn(async move {
                    let mut text = String::new();
                    // The first try may be gone from memory while a later one is not.
                    for number in 1..=TRIES {
                        if let Some(trace) = sip.trace_by_call_id(&call_ids.make(attempt, number)).await {
                            text.push_str(&format!("try {number}\n"));
                            text.push_str(&kraliki_sip::ladder(&trace, hide_numbers));
                        }
                    }
                    let _ = reply.send(Some(text).filter(|text| !text.is_empty()));
                });
            }
            Request::Places { trunk, number, places } => self.on_places(trunk, number, places),
            Request::PromptRead { campaign, what, path, audio } => {
                self.on_prompt_read(campaign, what, &path, audio);
            }
            Request::Verdict { id, verdict } => self.give_line(id, LineEvent::Verdict(verdict)),
            Request::CallerVerified { call, verdict } => self.on_caller_verified(call, &verdict),
            Request::CallerPlaced { call, shown_by } => self.on_caller_placed(call, shown_by),
            Request::RecordingLost { call } => self.on_recording_lost(call),
            Request::Stop => return false,
        }
        true
    }

    fn on_media(&mut self, event: MediaEvent) {
        let event = match event {
            MediaEvent::LegEnded { leg, counters, quality } => {
                self.shared.metrics.leg_ended(&counters);
                return self.on_leg_ended(leg, quality.as_deref());
            }
            MediaEvent::Parted { leg, trunk, quality } => return self.on_parted(leg, trunk, &quality),
            MediaEvent::Unheard { leg, why } => return self.on_unheard(leg, why),
            MediaEvent::Bridges { bridges } => return self.on_bridges(&bridges),
            event => event,
        };
        let (MediaEvent::BrowserUp { leg }
        | MediaEvent::LegDown { leg, .. }
        | MediaEvent::Alive { leg }
        | MediaEvent::Silent { leg }
        | MediaEvent::Lost { leg }
        | MediaEvent::FirstRtp { leg, .. }
        | MediaEvent::FirstPacket { trunk: leg, .. }
        | MediaEvent::Dtmf { leg, .. }
        | MediaEvent::PlayDone { leg }
        | MediaEvent::Detected { leg, .. }
        | MediaEvent::RtpTimeout { leg, .. }) = event
        else {
            return;
        };
        if let Some(id) = self.lines.of_leg(leg) {
            self.on_line_media(id, event);
        } else if let Some(call) = self.callers.of_leg(leg) {
            self.on_caller_media(call, &event);
        } else if !self.on_supervisor_media(leg, &event) {
            self.on_desk_media(leg, event);
        }
    }

    fn on_tick(&mut self) {
        let now = self.now();
        let offset = self.shared.clock.unix_ms() - now.as_millis() as i64;
        if (offset - self.clock_offset_ms).abs() >= CLOCK_STEP_MS || now - self.clock_told >= CLOCK_EVERY {
            self.tell_clock(now);
        }
        self.watch_trunks(now);
        self.watch_callers(now);
        self.watch_phones(now);
        self.beep_recordings();
        self.watch_quality(now);
        self.settle();
        if let Some(journal) = &mut self.journal {
            journal.tick(now, &self.engine);
        }
        self.publish();
    }

    fn tell_clock(&mut self, now: Time) {
        let unix_ms = self.shared.clock.unix_ms();
        self.clock_offset_ms = unix_ms - now.as_millis() as i64;
        self.clock_told = now;
        self.give(Input::Clock { unix_ms });
    }

    /// Lets others see what is known of people, where that changed.
    fn publish_people(&mut self) {
        let version = self.engine.people_version();
        if self.people_version != version {
            self.people_version = version;
            self.shared.people.store(Arc::new(self.engine.people().clone()));
        }
    }

    /// Lets others see how things stand.
    fn publish(&mut self) {
        self.publish_people();
        let now = self.now();
        let snapshot = Snapshot { phones: self.phones.views(), ..self.engine.snapshot(now) };
        self.shared.snapshot.store(Arc::new(snapshot));
        self.publish_choices();
        let waiting = super::metrics::Waiting {
            jobs: self.backlog.len(),
            sip_commands: self.sip.waiting(),
            replies: self.replies.len(),
        };
        self.shared.metrics.publish(self.engine.counters().clone(), self.engine.gauges(now), waiting);
    }

    /// Trunk groups and pools of caller ids.
    fn publish_choices(&self) {
        let now = self.now();
        let choices = Choices { groups: self.engine.trunk_groups(), pools: self.engine.caller_id_pools(now) };
        self.shared.choices.store(Arc::new(choices));
    }

    /// A caller id that goes into quarantine is worth an alarm.
    fn note_quarantine(&self, write: &Write) {
        if let Write::Quarantine(quarantine) = write {
            let (number, reason) = (&quarantine.number, quarantine.reason.as_str());
            let (status, redress) = (quarantine.status, &quarantine.redress);
            tracing::error!(number, reason, status, redress, "the caller id goes into quarantine");
        }
    }

    pub(super) fn end_orphan(&mut self, id: TryId) {
        self.give_line(id, LineEvent::Ended { by: EndedBy::Near, q850: None });
    }
}
