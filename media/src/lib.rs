//! The audio of Kraliki Voice: RTP, session descriptions, WebRTC, relay, prompts. It knows nothing of SIP dialogs,
//! campaigns or HTTP.
//!
//! **Drive contract.** A relay core holds the legs of one shard and the bridges between them. It has no socket, clock
//! or thread: datagrams and commands go in by `handle_*(now, …)`, and after each input its `poll_*` is drained until
//! it gives nothing more; `timeout()` says when it wants to be woken. The threads and sockets around it stand in
//! `net/`, and [`Media::start`] starts them.

mod audio;
mod bridge;
pub mod codec;
pub mod conceal;
pub mod detect;
mod dtmf;
mod error;
mod event;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod hearing;
pub mod jitter;
mod leg;
pub mod level;
mod limits;
pub mod mix;
mod net;
pub mod noise;
mod play;
mod quality;
pub mod record;
mod relay;
pub mod resample;
mod rtcp;
mod rtp;
pub mod sdp;
pub mod srtp;
pub mod webrtc;

pub use audio::{Audio, SoundError, Tone, Voice, WavError};
pub use dtmf::Digit;
pub use error::{MediaError, StartError};
pub use event::{BridgeQuality, DownReason, LegId, MediaEvent};
pub use hearing::{LegQuality, Unheard};
pub use leg::Learn;
pub use net::{
    BrowserError, BrowserPorts, Interface, Media, MediaConfig, MediaHandle, MediaStats, PortStats, RtpLeg,
    ShardStats, Tell, TrunkOptions,
};
pub use quality::{Bursts, Impairments, LegCounters, LossMeter, mos};
pub use relay::Supervision;
