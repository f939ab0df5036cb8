//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// The largest message: a UDP datagram cannot carry more.
pub const MESSAGE_BYTES: usize = 65_535;
/// Header lines in a message. Real ones have 10 to 40; proxies add Via and Record-Route lines.
pub const HEADER_LINES: usize = 256;
/// Calls at once, by default. 8 kB each makes 400 MB at the worst.
pub const CALLS: usize = 50_000;
/// Transactions at once: 32 s of tombstones (RFC 3261 §17) for 8,000 calls a second with two transactions each,
/// doubled. It also fits the 24 bits of a transaction id that hold its place.
pub const TRANSACTIONS: usize = 1 << 20;
/// Answers to unknown calls (forks, calls from before a crash) that are being cleared at once. Each lives 32 s.
pub const STRAYS: usize = 4_096;
/// Early dialogs of one INVITE. Forks beyond this are still cleared when they answer.
pub const EARLY_DIALOGS: usize = 16;
/// How often one request is sent again with credentials: once for the challenge, once for a stale nonce.
pub const AUTH_RETRIES: u8 = 2;
/// Route-set entries that are kept of a peer's Record-Route.
pub const ROUTES: usize = 16;
/// Registrations of our own at once: one for each trunk that wants it.
pub const REGISTRATIONS: usize = 1_024;
/// RFC 5626 §4.5: the first pause after a failed registration; it doubles with each failure in a row.
pub const REGISTER_PAUSE: Duration = Duration::from_secs(30);
/// RFC 5626 §4.5: the longest such pause.
pub const REGISTER_PAUSE_MAX: Duration = Duration::from_secs(1_800);
/// The pause after a refusal that another try will hardly change (a wrong password, an unknown account). Carriers
/// ban who asks more often.
pub const REGISTER_REFUSED_PAUSE: Duration = Duration::from_secs(600);
/// The longest expiry that we ask for, also when a registrar's Min-Expires wants more; and the longest Retry-After
/// that is honoured. A day.
pub const REGISTER_SECONDS: u32 = 86_400;

/// Users of the registrar: twice the calls that one node can have.
pub const USERS: usize = 100_000;
/// The longest contact, instance id, Call-ID or User-Agent that a binding keeps; real ones have 30 to 150 bytes.
pub const BINDING_FIELD_BYTES: usize = 512;
/// Nonces of ours whose counts are kept: one for each phone and hour, and room for a floor of 10,000. Each is 32
/// bytes. When it is full the oldest are good no more, and their phones are asked again.
pub const NONCES: usize = 16_384;
/// REGISTERs that are taken at once from an address without a binding: an office behind one address that comes back
/// after a power cut, two requests a phone. Such an address may be made up, and its owner hears our challenges.
pub const REGISTER_BURST: u32 = 40;
/// How soon another one is taken after the burst.
pub const REGISTER_GAP: Duration = Duration::from_millis(200);
/// Addresses without a binding that are watched at once. An address is forgotten after 8 s at most, so that
/// filling the table takes 500 made-up addresses a second; then only unknown addresses go unheard.
pub const REGISTER_SOURCES: usize = 4_096;
/// Users and addresses whose wrong passwords are counted. Beyond it the oldest is forgotten: to have that happen
/// costs a guesser this many requests, at the pace above.
pub const GUESSERS: usize = 4_096;

/// Messages kept of one call for `sip trace`: a normal call has 7, one with a few retransmissions or re-INVITEs 20.
pub const TRACE_MESSAGES_PER_CALL: usize = 32;
/// Ended calls whose messages are kept.
pub const TRACE_ENDED_CALLS: usize = 2_000;
/// Bytes of messages kept of ended calls.
pub const TRACE_ENDED_BYTES: usize = 16 << 20;

/// Commands that wait for the driver. At 8,000 calls a second this is half a second of work.
pub const COMMAND_QUEUE: usize = 8_192;
/// Events that wait for the owner. Beyond it the driver stops reading its sockets, so that no event is lost.
pub const EVENT_QUEUE: usize = 16_384;
/// Datagrams read per socket and wake-up, so that commands and timers get their turn.
pub const READS_PER_WAKE: usize = 64;
/// Commands taken per wake-up, for the same reason.
pub const COMMANDS_PER_WAKE: usize = 64;
/// The least time between two wake-ups of the driver, so that under load one wake-up serves many messages. It delays
/// nothing that a call can feel, and a driver with little to do wakes at once.
pub const WAKE_GAP: Duration = Duration::from_micros(500);
/// The receive buffer asked for: at 10,000 messages a second of 1 kB it holds about half a second.
/// Default buffers (208 kB) silently drop at 3,000 calls a second.
pub const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// RFC 3261 §17.1.1.1: the estimate of the round trip.
pub const T1: Duration = Duration::from_millis(500);
/// RFC 3261 §17.1.2.2: the longest interval between retransmissions of a non-INVITE request.
pub const T2: Duration = Duration::from_secs(4);
/// RFC 3261 §17.1.2.2: how long a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// The least time between two ACKs to the same answer. Answers are sent again after T1 at the soonest; a peer that
/// takes every ACK for a reason to answer again must not make the two of us spin.
pub const ACK_GAP: Duration = Duration::from_millis(100);
