//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// The largest message: a UDP datagram cannot carry more.
pub const MESSAGE_BYTES: usize = 65_535;
/// Header lines in a message. Real ones have 10 to 40; proxies add Via and Record-Route lines.
pub const HEADER_LINES: usize = 256;
/// The longest Request-URI that is taken of a stranger. Numbers and host names need a tenth of it.
pub const URI_BYTES: usize = 2_048;
/// Calls at once, by default. 8 kB each makes 400 MB at the worst.
pub const CALLS: usize = 50_000;
/// Transactions at once: 32 s of tombstones (RFC 3261 §17) for 8,000 calls a second with two transactions each,
/// doubled. It also fits the 24 bits of a transaction id that hold its place.
pub const TRANSACTIONS: usize = 1 << 20;
/// Answers to unknown calls (forks, calls from before a crash) that are being cleared at once. Each lives 32 s.
pub const STRAYS: usize = 4_096;
/// Early dialogs of one INVITE. Forks beyond this are still cleared when they answer.
pub const EARLY_DIALOGS: usize = 16;
/// Requests of ours within one dialog that wait for an answer at once.
pub const REQUESTS_PER_CALL: usize = 8;
/// Provisional answers and the final one that wait for the PRACK of an earlier one (RFC 3262 §3).
pub const HELD_ANSWERS: usize = 4;
/// How often a change is tried that met one of the peer's (491), or that it asked to be tried later.
pub const MODIFY_TRIES: u8 = 4;
/// How often an INVITE is sent again with a longer session timer (422).
pub const TIMER_RETRIES: u8 = 2;
/// Above this many bytes a request is too large for UDP (RFC 3261 §18.1.1).
pub const UDP_REQUEST_BYTES: usize = 1_300;
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

/// Endpoints with a thread of their own: more than cores that one node gives to signalling.
pub const SHARDS: usize = 64;
/// Datagrams that wait for one of several shards that share a port: at 10,000 messages a second, half a second.
pub const SHARD_QUEUE: usize = 4_096;
/// How often a Call-ID is made anew until it belongs to its shard: with 64 shards one in 10^7 still does not.
pub const CALL_ID_TRIES: usize = 1_024;
/// Commands that wait for the driver. At 8,000 calls a second this is half a second of work.
pub const COMMAND_QUEUE: usize = 8_192;
/// Events that wait for the owner. Beyond it the driver stops reading its sockets, so that no event is lost.
pub const EVENT_QUEUE: usize = 16_384;
/// Datagrams read per socket by one system call and wake-up, so that commands and timers get their turn.
pub const DATAGRAMS_AT_ONCE: usize = 64;
/// System calls that read a socket per wake-up: 256 datagrams, a millisecond of 36,000 calls a second.
pub const BATCHES_PER_WAKE: usize = 4;
/// Reports of connections taken per wake-up, for the same reason.
pub const REPORTS_PER_WAKE: usize = 64;
/// Commands taken per wake-up, for the same reason.
pub const COMMANDS_PER_WAKE: usize = 64;
/// The least time between two wake-ups of the driver, so that under load one wake-up serves many messages. It delays
/// nothing that a call can feel: a driver with little to do wakes at once, and one that left work undone does not rest.
/// Measured: with 2 ms the caller takes a tenth more CPU for a call at 1,000 calls a second.
pub const WAKE_GAP: Duration = Duration::from_millis(4);
/// How long the driver may be behind, wake-up after wake-up, before it refuses new calls: as long as the receive buffer
/// holds. RFC 3261's first retransmissions come then too, which make it worse.
pub const OVERLOAD_AFTER: Duration = Duration::from_millis(500);
/// Wake-ups in a row that must be behind for it: fewer are a machine that stood still, not one with too much to do.
pub const OVERLOAD_WAKES: u32 = 8;
/// A wake-up whose work takes longer is behind: as much work as one takes needs a tenth of it.
pub const OVERLOAD_WORK: Duration = Duration::from_millis(50);
/// How long no wake-up may be behind before new calls are taken again.
pub const OVERLOAD_CALM: Duration = Duration::from_secs(1);
/// Retry-After when we are full or overloaded, in seconds. Carriers send nothing for so long (RFC 3261 §21.5.4).
pub const RETRY_AFTER_SECONDS: u32 = 5;
/// The receive buffer asked for: at 10,000 messages a second of 1 kB it holds about half a second.
/// Default buffers (208 kB) silently drop at 3,000 calls a second.
pub const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Accepted connections at once, of all stream sockets together: agents' phones and a few for each trunk. Each may
/// hold an unfinished message and TLS' buffers, 100 kB, so 400 MB at the worst.
pub const CONNECTIONS_ACCEPTED: usize = 4_096;
/// Connections of our own at once: a few for each trunk. They have a number of their own, so that nobody keeps us
/// from dialing by connecting to us.
pub const CONNECTIONS_MADE: usize = 1_024;
/// Connections that may wait to be accepted. The kernel's `net.core.somaxconn` caps it.
pub const ACCEPT_BACKLOG: i32 = 1_024;
/// Connections at once from one address (IPv6: one /64): an office of phones behind one.
pub const CONNECTIONS_PER_ADDRESS: usize = 512;
/// Bytes that wait for one connection. A trunk of 500 calls a second sends 2 MB in a second; a peer that takes
/// nothing for so long is better given up, so that its calls go elsewhere.
pub const SEND_QUEUE_BYTES: usize = 2 << 20;
/// Messages that wait for one connection, for the same reason.
pub const SEND_QUEUE_MESSAGES: usize = 4_096;
/// Messages from all connections that wait for the driver. Beyond it connections are not read, and TCP slows the
/// peers down.
pub const STREAM_REPORTS: usize = 1_024;
/// Bytes written to a stream at once: more saves no system call worth having.
pub const STREAM_WRITE_BYTES: usize = 16 << 10;
/// Bytes read from a stream at once. Most messages fit.
pub const STREAM_READ_BYTES: usize = 8 << 10;
/// Addresses that we dial over TLS, whose names the driver remembers; more are trunks than anybody has. When it is
/// full it is emptied: each command that dials teaches its name anew.
pub const SERVER_NAMES: usize = 4_096;
/// Connections that could not be made, kept to be shown.
pub const FAILED_CONNECTIONS: usize = 32;

/// How long a connection may take to be made: a carrier on another continent answers in a third of a second, a
/// lost SYN costs one second, another one two.
pub const CONNECT_TIME: Duration = Duration::from_secs(4);
/// How long the handshakes of TLS and WebSocket may take together.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// How soon the first message must be whole on a connection that we accepted: who connects has something to say. One
/// from an address that may not start calls is never kept longer: a request in a call that it has takes no more.
pub const FIRST_MESSAGE_TIME: Duration = Duration::from_secs(10);
/// How long a connection that we made is kept when no message uses it and no call needs it (RFC 5923 wants it
/// reused): a busy trunk never gets there.
pub const IDLE_MADE: Duration = Duration::from_secs(300);
/// The same for one that we accepted. The peer may not be reachable in any other way (a phone behind NAT), and
/// phones refresh their registration every 10 minutes or say more often that they are there.
pub const IDLE_ACCEPTED: Duration = Duration::from_secs(900);
/// RFC 5626 §4.4.1: the least time between pings on a connection that we made. Firewalls forget after 2 minutes.
pub const PING_AFTER: Duration = Duration::from_secs(90);
/// RFC 5626 §4.4.1: the most by which a ping is later, by chance, so that not all come at once.
pub const PING_SPREAD: Duration = Duration::from_secs(30);
/// RFC 5626 §4.4.1: how soon a pong must come.
pub const PONG_TIME: Duration = Duration::from_secs(10);
/// How long a peer may take nothing of what is written to it.
pub const WRITE_TIME: Duration = Duration::from_secs(10);
/// How long what was written may stay without TCP's acknowledgement. Less than timer B, so that a call is still
/// tried elsewhere.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);
/// The silence after which TCP itself asks whether the peer is there.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a connection may take to end in order, when the driver stops too.
pub const LINGER_TIME: Duration = Duration::from_secs(1);
/// The rest after a connection could not be accepted: descriptors do not come back faster.
pub const ACCEPT_REST: Duration = Duration::from_millis(50);

/// RFC 3261 §17.1.1.1: the estimate of the round trip.
pub const T1: Duration = Duration::from_millis(500);
/// RFC 3261 §17.1.2.2: the longest interval between retransmissions of a non-INVITE request.
pub const T2: Duration = Duration::from_secs(4);
/// RFC 3261 §17.1.2.2: how long a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// The least time between two ACKs to the same answer. Answers are sent again after T1 at the soonest; a peer that
/// takes every ACK for a reason to answer again must not make the two of us spin.
pub const ACK_GAP: Duration = Duration::from_millis(100);

/// An Identity header's value: real ones have 600 to 900 bytes, `rcd` claims make it a few thousand.
pub const IDENTITY_BYTES: usize = 8_192;
/// A certificate's address in an Identity header.
pub const STIR_URL_BYTES: usize = 1_024;
/// Identity headers of one call that are looked at, each of which may name another certificate: one is usual, a forwarded
/// call brings two or three.
pub const STIR_IDENTITIES: usize = 4;
/// Destinations of one signed call: it has one, a forwarded call a few.
pub const STIR_DESTINATIONS: usize = 16;
/// RFC 8224 §6.2 step 4: how far a signature's moment and the Date may be from now.
pub const STIR_FRESH: Duration = Duration::from_secs(60);
/// Certificates in one chain: signer, intermediate, and now and then the root.
pub const STIR_CHAIN: usize = 8;
/// What a certificate's address may answer: a chain of eight has 16 kB at most.
pub const STIR_CERTIFICATE_BYTES: usize = 65_536;
/// Certificates kept, by address. A large market has about a thousand signers.
pub const STIR_CERTIFICATES: usize = 2_048;
/// How long a certificate is kept before it is fetched again.
pub const STIR_CERTIFICATE_LIFE: Duration = Duration::from_secs(3_600);
/// How long an address that gave no usable certificate is left alone.
pub const STIR_FAILURE_LIFE: Duration = Duration::from_secs(60);
/// How long a chain that was checked counts as checked: an expired one is noticed this late.
pub const STIR_CHAIN_CHECKED: Duration = Duration::from_secs(60);
/// A certificate this old is fetched again when a signature fails: it may have been renewed.
pub const STIR_REFETCH: Duration = Duration::from_secs(300);
/// A certificate has to be there in this time: the caller hears ringing meanwhile.
pub const STIR_FETCH: Duration = Duration::from_secs(3);
/// Certificates fetched at once.
pub const STIR_FETCHES: usize = 16;

/// Copies that wait for the HEP exporter: 0.4 s at 10,000 messages a second, 4 MB of messages at most times.
pub const HEP_QUEUE: usize = 4_096;

/// Records taken of one answer of DNS: carriers have 1 to 8.
pub const DNS_RECORDS: usize = 32;
/// Places to try for one target. A call gives up long before the last.
pub const DNS_CANDIDATES: usize = 16;
/// Questions for one target: NAPTR, an SRV for each of five transports, two families for each candidate.
pub const DNS_QUESTIONS: usize = 48;
/// NAPTR records that lead to NAPTR records, one after the other. Real ones do not.
pub const DNS_NAPTR_STEPS: usize = 4;
/// Answers kept. A trunk has about ten.
pub const DNS_CACHE: usize = 4_096;
/// The least time that an answer is kept, so that a TTL of 0 does not cost a question for every call.
pub const DNS_TTL_LEAST: Duration = Duration::from_secs(1);
/// The most, so that a carrier's move is followed within the hour whatever its TTL said.
pub const DNS_TTL_MOST: Duration = Duration::from_secs(3_600);
/// How long "there is none" is kept.
pub const DNS_NEGATIVE: Duration = Duration::from_secs(30);
/// How long a failure of DNS stands before it is asked again, where nothing is known from before.
pub const DNS_RETRY: Duration = Duration::from_secs(5);
/// How long an old answer serves after a failure before DNS is asked again (RFC 8767 §5): a question that nobody
/// answers holds up calls for [`DNS_ANSWER`].
pub const DNS_RECHECK: Duration = Duration::from_secs(30);
/// How long beyond its time an answer serves while DNS fails.
pub const DNS_STALE: Duration = Duration::from_secs(3_600);
/// How long DNS may take for one answer.
pub const DNS_ANSWER: Duration = Duration::from_secs(4);
