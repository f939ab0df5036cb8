//! What shards are told, and the way to tell them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use kraliki_udp::Waker;

use super::ports::Pair;
use super::stats::SharedStats;
use crate::audio::Audio;
use crate::detect::Detector;
use crate::dtmf::Digit;
use crate::error::MediaError;
use crate::event::LegId;
use crate::leg::Leg;
use crate::limits::COMMANDS;
use crate::record::Tap;
use crate::relay::{Across, Supervision};
use crate::sdp::Negotiated;
use crate::webrtc::OfferError;

/// A command to a leg.
pub(super) enum ToLeg {
    SetRemote(Box<Negotiated>),
    Answered,
    Listen(Box<Detector>),
    Record(Box<Tap>),
    StopRecording,
    Beep(Arc<Audio>),
    Bridge { agent: LegId, beep: bool },
    Unbridge,
    Play { audio: Arc<Audio>, looped: bool },
    Stop,
    SendDigits(Box<[Digit]>),
    Hold(bool),
    Mute(bool),
    Supervise { agent: LegId, how: Supervision },
    StopSupervising,
    Across(Across),
    Restart { body: Box<[u8]>, reply: Sender<Result<Option<String>, OfferError>> },
    Counters,
    Close,
}

/// A command to a shard.
pub(super) enum Command {
    /// A new leg; a plain one with its sockets.
    Open {
        leg: Box<Leg>,
        pair: Option<Box<Pair>>,
    },
    Leg(LegId, ToLeg),
    /// A leg that is carried here, to be bridged to an agent of this shard.
    Adopt {
        leg: Box<Leg>,
        pair: Option<Box<Pair>>,
        agent: LegId,
        beep: bool,
    },
    /// Tell how the bridges are heard.
    Bridges,
    /// A leg that left this shard has ended elsewhere.
    Forget(LegId),
    /// Close all legs and end.
    Shutdown,
}

/// The way to a shard.
pub(super) struct Inbox {
    commands: Sender<Command>,
    /// The shard sleeps, and has to be woken.
    asleep: AtomicBool,
    pub(super) waker: Waker,
    pub(super) stats: SharedStats,
}

impl Inbox {
    pub(super) fn new() -> std::io::Result<(Inbox, Receiver<Command>)> {
        let (commands, receiver) = bounded(COMMANDS);
        let inbox = Inbox {
            commands,
            asleep: AtomicBool::new(false),
            waker: Waker::new()?,
            stats: SharedStats::default(),
        };
        Ok((inbox, receiver))
    }

    /// Puts a command into the queue and wakes the shard, if it sleeps.
    pub(super) fn send(&self, command: Command) -> Result<(), (MediaError, Command)> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) => (MediaError::Busy, command),
            TrySendError::Disconnected(command) => (MediaError::Stopped, command),
        })?;
        // Either the shard sees the command before it sleeps, or we see that it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
        Ok(())
    }

    /// The shard is about to sleep; it must look at its queue once more afterwards.
    pub(super) fn falls_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    pub(super) fn is_awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}
