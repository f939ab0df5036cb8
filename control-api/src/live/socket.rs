//! One live socket, from its token to its end. That it ends does nothing to calls.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::SinkExt as _;
use kraliki_engine::{Event, People, Snapshot};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

use super::view::{Gathered, View};
use crate::auth::{Scope, User};
use crate::limits;
use crate::state::Api;

/// Messages that a client may send between two pings: an answer, a token, and some that were held up.
const MESSAGES_PER_PING: u32 = 20;

/// How long a snapshot that is newer than the subscription is waited for; they are made twice a second.
const NEWER_SNAPSHOT: Duration = Duration::from_millis(700);

/// How often it is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why a socket ends, as the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client closed it, or is gone.
    Gone,
    /// RFC 6455 §7.4.1: going away.
    Stopping,
    NotUnderstood,
    Unauthorized,
    NoAnswer,
    TooMany,
}

impl End {
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            End::Gone => return None,
            End::Stopping => (1001, "the server stops; connect again"),
            End::NotUnderstood => (1008, "a message was not understood, or there were too many"),
            End::Unauthorized => (4401, "the token is missing, not valid or over; sign in again"),
            End::NoAnswer => (4408, "no answer to pings"),
            End::TooMany => (4429, "too many live sockets; close some"),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

/// What a client may say.
#[derive(Deserialize)]
struct Incoming {
    token: Option<String>,
    r#type: Option<String>,
}

/// Serves a socket until it ends.
pub(super) async fn run(mut socket: WebSocket, api: Api) {
    let end = match serve(&mut socket, &api).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    if let Some(frame) = end.frame() {
        let _ = timeout(limits::LIVE_SEND, socket.send(Message::Close(Some(frame)))).await;
    }
}

enum Never {}

async fn serve(socket: &mut WebSocket, api: &Api) -> Result<Never, End> {
    let token = timeout(limits::LIVE_TOKEN, first_token(socket)).await.map_err(|_| End::Unauthorized)??;
    let (user, ends) = verify(api, &token)?;
    let _counted = Counted::new(api, user.id).ok_or(End::TooMany)?;
    let mut live = Live {
        socket,
        api,
        user,
        ends_unix_ms: ends,
        view: View::default(),
        events: api.engine().subscribe(),
        shown: (false, false),
        people: api.engine().people(),
    };
    live.view.scope = Scope::of(&live.people, &live.user);
    live.show_all().await?;
    live.follow().await
}

async fn first_token(socket: &mut WebSocket) -> Result<String, End> {
    loop {
        if let Some(message) = incoming(socket.recv().await)? {
            return message.token.ok_or(End::Unauthorized);
        }
    }
}

/// What a message says; none for those that the protocol itself answers.
fn incoming(message: Option<Result<Message, axum::Error>>) -> Result<Option<Incoming>, End> {
    match message {
        Some(Ok(Message::Text(text))) => {
            serde_json::from_str(&text).map(Some).map_err(|_| End::NotUnderstood)
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(End::NotUnderstood),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
    }
}

fn verify(api: &Api, token: &str) -> Result<(User, i64), End> {
    let claims = api.keys().verify(token, api.engine().wall_unix_ms()).map_err(|_| End::Unauthorized)?;
    Ok((claims.user(), claims.expires_unix_ms()))
}

/// An open socket whose user is known.
struct Live<'a> {
    socket: &'a mut WebSocket,
    api: &'a Api,
    user: User,
    /// When the token ends, in ms since 1970.
    ends_unix_ms: i64,
    view: View,
    events: Receiver<Arc<Event>>,
    /// `draining` and `store_ok` as they were sent last: no event tells of them.
    shown: (bool, bool),
    /// Whom the user sees follows from it.
    people: Arc<People>,
}

impl Live<'_> {
    async fn follow(&mut self) -> Result<Never, End> {
        let mut stopped = self.api.stopped();
        let mut ping = interval_at(Instant::now() + limits::LIVE_PING, limits::LIVE_PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answered = Instant::now();
        let (mut pings, mut messages) = (0_u64, 0);
        let mut quiet_until = Instant::now();
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    messages += 1;
                    if messages > MESSAGES_PER_PING {
                        return Err(End::NotUnderstood);
                    }
                    let Some(message) = incoming(message)? else { continue };
                    if message.r#type.as_deref() == Some("pong") {
                        answered = Instant::now();
                    }
                    if let Some(token) = message.token {
                        self.renew(&token).await?;
                    }
                }
                event = next(&mut self.events, quiet_until) => {
                    self.show(event).await?;
                    quiet_until = Instant::now() + limits::LIVE_GATHER;
                }
                _ = ping.tick() => {
                    if answered.elapsed() > limits::LIVE_SILENCE {
                        return Err(End::NoAnswer);
                    }
                    if self.ends_unix_ms <= self.api.engine().wall_unix_ms() {
                        return Err(End::Unauthorized);
                    }
                    (pings, messages) = (pings + 1, 0);
                    self.send(format!(r#"{{"type":"ping","n":{pings}}}"#)).await?;
                    if self.scope_changed() {
                        self.show_all().await?;
                    }
                    let snapshot = self.api.engine().snapshot();
                    if self.shown != (snapshot.draining, snapshot.store_ok) {
                        self.show_all().await?;
                    }
                }
                () = stop(&mut stopped) => return Err(End::Stopping),
            }
        }
    }

    /// Another token of the same user. With another role they see other things.
    async fn renew(&mut self, token: &str) -> Result<(), End> {
        let (user, ends) = verify(self.api, token)?;
        if user.id != self.user.id {
            return Err(End::Unauthorized);
        }
        let same = user.role == self.user.role;
        (self.user, self.ends_unix_ms) = (user, ends);
        self.view.scope = Scope::of(&self.people, &self.user);
        if same { Ok(()) } else { self.show_all().await }
    }

    /// A snapshot that is newer than the subscription: whatever is not in it comes as an event.
    async fn show_all(&mut self) -> Result<(), End> {
        self.events = self.events.resubscribe();
        let engine = self.api.engine();
        let before = engine.snapshot();
        let until = Instant::now() + NEWER_SNAPSHOT;
        let mut snapshot = Arc::clone(&before);
        while Arc::ptr_eq(&before, &snapshot) && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
            snapshot = engine.snapshot();
        }
        self.show_snapshot(&snapshot).await
    }

    async fn show_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), End> {
        self.shown = (snapshot.draining, snapshot.store_ok);
        let text = self.view.snapshot(&self.user, snapshot);
        self.send(text).await
    }

    /// Teams may have changed, and with them whom the user sees.
    fn scope_changed(&mut self) -> bool {
        let people = self.api.engine().people();
        if Arc::ptr_eq(&people, &self.people) {
            return false;
        }
        self.people = people;
        let scope = Scope::of(&self.people, &self.user);
        let changed = scope != self.view.scope;
        self.view.scope = scope;
        changed
    }

    /// Sends an event and those that wait behind it.
    async fn show(&mut self, first: Result<Arc<Event>, RecvError>) -> Result<(), End> {
        let mut gathered = Gathered::default();
        let mut lagged = false;
        match first {
            Ok(event) => gathered.add(event),
            Err(RecvError::Lagged(_)) => lagged = true,
            Err(RecvError::Closed) => return Err(End::Stopping),
        }
        while !lagged {
            match self.events.try_recv() {
                Ok(event) => gathered.add(event),
                Err(TryRecvError::Lagged(_)) => lagged = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if self.scope_changed() {
            return self.show_all().await;
        }
        if lagged {
            self.api.metrics().live_lagged.inc();
            return self.show_all().await;
        }
        let mut any = false;
        for event in gathered.take() {
            if let Some(text) = self.view.event(&self.user, &event) {
                any = true;
                patient(self.socket.feed(Message::text(text))).await?;
            }
        }
        if any { patient(self.socket.flush()).await } else { Ok(()) }
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        patient(self.socket.send(Message::text(text))).await
    }
}

/// The next event, once the pause after the last one is over.
async fn next(events: &mut Receiver<Arc<Event>>, quiet_until: Instant) -> Result<Arc<Event>, RecvError> {
    sleep_until(quiet_until).await;
    events.recv().await
}

async fn stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// A client that takes nothing for too long is gone.
async fn patient(sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    timeout(limits::LIVE_SEND, sending).await.map_err(|_| End::Gone)?.map_err(|_| End::Gone)
}

/// A live socket among those of its user.
struct Counted<'a> {
    api: &'a Api,
    user: i64,
}

impl<'a> Counted<'a> {
    fn new(api: &'a Api, user: i64) -> Option<Counted<'a>> {
        let mut sockets = api.sockets();
        let own = sockets.entry(user).or_default();
        if *own >= limits::LIVE_SOCKETS_PER_USER {
            return None;
        }
        *own += 1;
        api.metrics().live_sockets.inc();
        Some(Counted { api, user })
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut sockets = self.api.sockets();
        if let Some(own) = sockets.get_mut(&self.user) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                sockets.remove(&self.user);
            }
        }
        self.api.metrics().live_sockets.dec();
    }
}
