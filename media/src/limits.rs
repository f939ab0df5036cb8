//! Every cap of the media core, each with its reason.

use std::time::Duration;

/// A browser's offer with one audio stream is 2–4 kB, with video near 8 kB; a SIP datagram is smaller than 64 kB.
pub(crate) const MAX_SDP_BYTES: usize = 32 * 1024;
/// A browser's offer has about 100 lines a stream.
pub(crate) const MAX_SDP_LINES: usize = 1024;
/// One stream is used; the others must be listed again in the answer.
pub(crate) const MAX_SDP_STREAMS: usize = 16;
/// RFC 3551 §4.2 asks receivers to take up to 200 ms; no more than 60 is seen on trunks, and a longer wish is not ours.
pub(crate) const MAX_PTIME_MS: u16 = 60;

/// A browser sends one audio source; a few more allow for a replaced track. Each holds a replay window for the leg's life.
pub(crate) const MAX_SRTP_SOURCES: usize = 8;
/// Local addresses that a browser may send from: network interfaces times address families, and those of the network it
/// left. The oldest is forgotten.
pub(crate) const MAX_CHECKED_ADDRESSES: usize = 8;
/// Datagrams that wait to be sent by a browser leg between two drains: a DTLS flight is at most a dozen, one STUN
/// response answers each datagram.
pub(crate) const MAX_PENDING_DATAGRAMS: usize = 32;
/// Candidates offered to a browser: local addresses of a machine, both families.
pub(crate) const MAX_CANDIDATES: usize = 16;
/// A STUN binding request of a browser is near 100 bytes; RFC 8489 §6.1 keeps them under the path's MTU.
pub(crate) const MAX_STUN_BYTES: usize = 1280;

/// From the answer to the first audio: a browser on a poor network needs some seconds, one that needs more has left.
pub(crate) const BROWSER_SETUP_TIMEOUT: Duration = Duration::from_secs(30);
/// Consent to send lasts this long after the last valid check (RFC 7675 §5.1).
pub(crate) const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The first repeat of a DTLS flight. A second (RFC 6347 §4.2.4.1) is long for an agent who waits; browsers use 50–100 ms.
pub(crate) const DTLS_FIRST_REPEAT: Duration = Duration::from_millis(100);
/// Repeats of a DTLS flight: doubling from 100 ms, the eighth comes after 25 s, just before the set-up time-out.
pub(crate) const DTLS_REPEATS: usize = 8;

// Datagrams

/// The largest datagram that is handled: Ethernet's MTU, with room for an authentication tag to be added in place.
pub(crate) const DATAGRAM_BYTES: usize = 1_600;
/// Datagrams in one batch of a shard. At 2 ms a shard with 1,000 bridged calls sees about 200 in a wake-up, in a few batches: what
/// 64 datagrams and their legs need stays in a core's second cache from their receipt until they are sent.
pub(crate) const BATCH_DATAGRAMS: usize = 64;
/// Datagrams read from one leg's socket at once. A call sends one in 20 ms; more is a burst or a flood.
pub(crate) const LEG_READ_DATAGRAMS: usize = 8;
/// Reads of one leg's socket in one wake-up, so that a flooded port cannot starve the others.
pub(crate) const LEG_READS: usize = 4;
/// Batches read from the browsers' shared socket in one wake-up, for the same reason.
pub(crate) const SHARED_READS: usize = 64;
/// The receive buffer asked for on the browsers' shared socket: 100 ms of a thousand browsers, as the kernel counts.
pub(crate) const SHARED_RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// TCP connections of browsers on one shard, each of a few kB: as many agents as a shard carries, and all of them may be
/// behind such a network. Beyond, those that are no browser's yet give way.
pub(crate) const STREAMS: usize = 1_024;
/// Connections taken in one wake-up, so that audio does not wait for a flood of them.
pub(crate) const STREAM_ACCEPTS: usize = 64;
/// A browser sends its first check as soon as it is connected; who has none after this is none.
pub(crate) const STREAM_SETUP: Duration = Duration::from_secs(5);
/// A connection that brought nothing for as long as consent lasts is dead.
pub(crate) const STREAM_IDLE: Duration = CONSENT_TIMEOUT;
/// What is read of a connection at once: 20 datagrams of audio, which is 400 ms.
pub(crate) const STREAM_READ_BYTES: usize = 4_096;
/// Reads of one connection in one wake-up, so that a flood by one cannot starve the others.
pub(crate) const STREAM_READS: usize = 4;
/// What the kernel may hold of a connection that is stuck: about half a second of audio (it takes twice what is asked,
/// and counts its own overhead). More would only be heard late.
pub(crate) const STREAM_SEND_BUFFER_BYTES: usize = 16 << 10;

// Legs, queues

/// Legs of one shard. A core carries about a thousand bridged calls; ringing lines and idle agents come on top.
pub(crate) const SHARD_LEGS: usize = 16_384;
/// Shards: a leg's id keeps its shard in eight bits, and the shards that it visited are one word of bits.
pub(crate) const SHARDS: usize = 64;
/// Commands waiting for a shard. It empties its queue every 2 ms: this is a thousand calls set up in one go.
pub(crate) const COMMANDS: usize = 16_384;
/// Commands that a shard takes in one wake-up, so that audio does not wait for them.
pub(crate) const COMMANDS_AT_ONCE: usize = 256;
/// Events waiting for the reader: several seconds of a full node.
pub(crate) const EVENTS: usize = 65_536;
/// State events that a shard keeps while the reader's queue is full. Legs report only changes, so this is minutes of
/// a reader that stands still; beyond it events are lost and counted.
pub(crate) const EVENT_BACKLOG: usize = 262_144;
/// How long a call into a shard waits for its reply. A shard wakes every few milliseconds.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

// Ports

/// A freed port pair rests this long, so that stray packets are not taken for the next call's.
pub(crate) const PORT_REST: Duration = Duration::from_secs(5);
/// Stale datagrams thrown away when a rested pair is used again; the kernel's buffer holds about this many.
pub(crate) const STALE_DATAGRAMS: usize = 512;
/// Files that the process needs beside the RTP ports: listeners, SIP and HTTP connections, the store.
pub(crate) const SPARE_FILES: u64 = 512;

// Legs' clocks

/// A source that was quiet this long may be followed by another SSRC from the same address (a far end's gateway
/// switched streams). While it speaks, a second SSRC is an intruder.
pub(crate) const SSRC_QUIET: Duration = Duration::from_millis(100);

/// Packets from where the far end was before it said that it moved are not learned for this long: longer than any are
/// under way, and short for a far end that only says so.
pub(crate) const STRAGGLERS: Duration = Duration::from_secs(1);
/// An agent's leg that gave no sign of life for this long is silent.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(1);
/// A browser that gave no sign of life for this long is lost, until one comes: less than the 5 s in which an agent's
/// absence must be known. A browser sends audio every 20 ms, muted or not, RTCP each few seconds, and, without
/// a microphone, still checks consent every 2.5 s (Chromium) to 6 s (RFC 7675 §5.1).
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(4);
/// A leg that was sent nothing for this long is sent silence: far ends that learn our address, and NAT, need packets.
pub(crate) const FILL_AFTER: Duration = Duration::from_millis(200);
/// A browser that reports this share of loss (in 256ths: 2%) has a poor network: G.711 without what it lost is heard.
pub(crate) const POOR_LOSS_256: u8 = 5;
/// A poor network counts as good after this long with less: a few reports.
pub(crate) const CLEAR_AFTER: Duration = Duration::from_secs(30);
/// In a call, no packet for this long is no pause any more: far ends that leave silence out send comfort noise or RTCP.
pub(crate) const NO_PACKETS_AFTER: Duration = Duration::from_secs(5);
/// In a call, nothing but zeros for this long: people breathe, and lines hum.
pub(crate) const NO_SOUND_AFTER: Duration = Duration::from_secs(10);
/// The mean distance of RTCP reports (RFC 3550 §6.2).
pub(crate) const RTCP_INTERVAL: Duration = Duration::from_secs(5);
/// Datagrams within this time keep a shard waking by the clock; after it, it sleeps until something comes.
pub(crate) const SHARD_LINGER: Duration = Duration::from_millis(50);

// Sound

/// Frames that wait to be said to a far end: they come one at a time, two when a thread was late.
pub(crate) const SAID_FRAMES: usize = 4;
/// Supervisors with one agent at a time: a mixer's parties less the call and the agent.
pub(crate) const WATCHERS: usize = crate::mix::MAX_PARTIES - 2;
/// Digits waiting to be sent on a leg: longer than any menu wants.
pub(crate) const DIGITS: usize = 64;
/// The longest audio to be played, in samples: ten minutes.
pub(crate) const AUDIO_SAMPLES: usize = 8_000 * 600;
/// Octets of a WAV file: the longest audio at 48 kHz, 16 bits and two channels, and its headers.
pub(crate) const WAV_BYTES: usize = AUDIO_SAMPLES * 6 * 4 + 4_096;

// Recording

/// Frames of a leg that are gathered before the recorder is told: 200 ms, well under what its timeline waits for.
pub(crate) const TAP_FRAMES: usize = 10;
/// Messages that wait for a recorder's thread, of 3.3 kB each: a disk that stands still for 1.6 s under a thousand
/// recordings, or for a quarter of an hour under two.
pub(crate) const RECORDER_MESSAGES: usize = 16_384;
/// Commands that wait for a recorder's thread: some thousand calls that begin and end while its disk stands still.
pub(crate) const RECORDER_COMMANDS: usize = 16_384;
/// Recordings of one thread: more than a core codes at once.
pub(crate) const RECORDINGS: usize = 4_096;
