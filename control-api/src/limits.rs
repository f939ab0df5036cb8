//! Every bound of the API, each with its reason.

use std::time::Duration;

/// Connections at once. A browser holds one or two; 400 agents and a reverse proxy fit with room to spare, and each
/// costs a task and some 20 kB.
pub(crate) const CONNECTIONS: usize = 4096;

/// Live sockets at once: one page each.
pub(crate) const LIVE_SOCKETS: usize = 2048;

/// Live sockets of one user: a few tabs; more is a script that forgot to close them.
pub(crate) const LIVE_SOCKETS_PER_USER: usize = 16;

/// Bytes of a JSON body. The largest, a campaign with hours, retry rules and dispositions, is a few kB.
pub(crate) const JSON_BODY_BYTES: usize = 256 * 1024;

/// Bytes of a session description: browsers send 2 to 6 kB for one audio line.
pub(crate) const SDP_BODY_BYTES: usize = 64 * 1024;

/// Bytes of an uploaded prompt: two minutes of two channels at 48 kHz and 16 bits, and some more.
pub(crate) const PROMPT_BODY_BYTES: usize = 24 * 1024 * 1024;

/// Bytes of an imported list: ten million rows. It is streamed, so this bounds time and disk, not memory.
pub(crate) const IMPORT_BODY_BYTES: usize = 2 * 1024 * 1024 * 1024;

/// Imports in progress at once: each has its file on the disk, and they take turns in the store anyhow.
pub(crate) const IMPORTS_AT_ONCE: usize = 4;

/// How long the file of the lines that an import did not take is kept.
pub(crate) const IMPORT_FILE_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Bytes of one message from a live socket: a token is about 400.
pub(crate) const LIVE_MESSAGE_BYTES: usize = 4096;

/// Rows of one page of a listing.
pub(crate) const PAGE_MOST: u32 = 1000;

/// Rows of one page when nothing is asked for.
pub(crate) const PAGE_DEFAULT: u32 = 100;

/// Leads that an agent is offered to choose from: more than one looks through before dialing.
pub(crate) const DUE_LEADS: u32 = 50;

/// Callbacks of a campaign that are listed: the next hours of a busy one.
pub(crate) const CALLBACKS: u32 = 100;

/// How long a request may take, imports and live sockets aside. A commit takes milliseconds; 30 s is a store in trouble.
pub(crate) const REQUEST: Duration = Duration::from_secs(30);

/// How long nothing may come of a body that is still being sent.
pub(crate) const BODY_IDLE: Duration = Duration::from_secs(30);

/// How long a client may take to send its request's header.
pub(crate) const HEADER_READ: Duration = Duration::from_secs(15);

/// How long a TLS handshake may take.
pub(crate) const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// How long requests in progress may go on once the server stops.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(5);

/// Characters of a SIP phone's password: it is not typed every day, and whoever hears a digest may guess offline.
pub(crate) const PHONE_PASSWORD: std::ops::RangeInclusive<usize> = 12..=64;

/// Passwords verified at once: each takes 19 MiB and some 20 ms of one core, which calls need more.
pub(crate) const PASSWORDS_AT_ONCE: usize = 2;

/// Sign-ins that may wait for that; a whole shift signing in at once is served within seconds.
pub(crate) const PASSWORDS_WAITING: usize = 256;

/// Entries of each table of failed sign-ins, about 100 bytes each.
pub(crate) const GUARD_ENTRIES: usize = 10_000;

/// How long an access token is good for.
pub(crate) const ACCESS_TOKEN: Duration = Duration::from_secs(15 * 60);

/// How long after signing in a session ends: the longest shift, without a break.
pub(crate) const SESSION: Duration = Duration::from_secs(14 * 3600);

/// How long a client may take to send its token after opening a live socket.
pub(crate) const LIVE_TOKEN: Duration = Duration::from_secs(5);

/// How often a live socket is asked for a sign of life.
pub(crate) const LIVE_PING: Duration = Duration::from_secs(3);

/// After how long without one it is closed.
pub(crate) const LIVE_SILENCE: Duration = Duration::from_secs(10);

/// How long changes are gathered before they are sent: a screen cannot show more, and 400 sockets that wake for each of
/// 1,000 changes a second would cost half a core.
pub(crate) const LIVE_GATHER: Duration = Duration::from_millis(50);

/// How long a message to a live socket may be stuck before the socket is given up.
pub(crate) const LIVE_SEND: Duration = Duration::from_secs(5);

/// Bytes of a user name.
pub(crate) const USERNAME_BYTES: usize = 200;

/// Bytes of an agent's note to a call.
pub(crate) const NOTE_BYTES: usize = 10_000;

/// Keys sent into a call at once, as the engine takes them.
pub(crate) const DTMF_DIGITS: usize = 32;
