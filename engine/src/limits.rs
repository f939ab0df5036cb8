//! Every bound of the engine, each with its reason.

use std::time::Duration;

/// Leads that a campaign holds ready at most: half a second at 4,000 dials a second, about 2 MB.
pub(crate) const HOPPER_MOST: u32 = 2_000;
/// Leads that a campaign holds ready at least: enough to choose from.
pub(crate) const HOPPER_LEAST: u32 = 200;
/// The hopper holds what is dialed in this time.
pub(crate) const HOPPER_HOLDS: Duration = Duration::from_secs(60);
/// A hopper older than this is read again, so that due callbacks and new priorities get in.
pub(crate) const HOPPER_STALE: Duration = Duration::from_secs(10);
/// The store is asked again for a campaign's leads not sooner than this.
pub(crate) const REFILL_PAUSE: Duration = Duration::from_millis(250);
/// And not later than this while it dials, whatever the store said was due next: the wall clock may step.
pub(crate) const REFILL_LATEST: Duration = Duration::from_secs(60);

/// A wall clock that is told so much earlier, in ms, has stepped back; less is jitter of the telling.
pub(crate) const CLOCK_JITTER_MS: i64 = 1_000;

/// Tries that may wait for their commit at once, over all campaigns: about what one group commit takes.
pub(crate) const COMMITTING_MOST: u32 = 2_000;
/// A try whose commit comes later than this after its decision is not sent: agents and lines are no longer what they were.
pub(crate) const DECISION_HOLDS: Duration = Duration::from_secs(1);
/// Tries that are written ahead of a trunk's calls per second, as time: long enough for a commit, short enough
/// that none waits its second out.
pub(crate) const CPS_AHEAD: Duration = Duration::from_millis(300);
/// The second of "calls per second", stretched by what the way from the engine to the wire may jitter.
pub(crate) const CPS_WINDOW: Duration = Duration::from_millis(1_025);
/// INVITEs this close together count as smooth: a timer for each would cost more than it gives.
pub(crate) const CPS_GRAIN: Duration = Duration::from_millis(5);

/// Trunks at once: each is watched, registered and counted by itself; nobody has more carriers than that.
pub(crate) const TRUNKS_MOST: usize = 200;

/// A trunk that goes on failing is tried again after this at the latest.
pub(crate) const BREAKER_PAUSE_MOST: Duration = Duration::from_secs(300);
/// A timer may come this much late without slowing a trunk down.
pub(crate) const CPS_LATE: Duration = Duration::from_millis(2);

/// Pacing decisions are coalesced to ten a second.
pub(crate) const PACE_SOONEST: Duration = Duration::from_millis(100);
/// And made at least twice a second while a campaign runs.
pub(crate) const PACE_LATEST: Duration = Duration::from_millis(500);
/// Lines are taken back when nobody could serve them for this long; a short loss of audio does not.
pub(crate) const NO_AGENT_FOR: Duration = Duration::from_secs(2);
/// A line that rings is not taken back sooner than this (16 CFR 310.4(b)(4): 15 seconds or four rings).
pub(crate) const RING_LEAST: Duration = Duration::from_secs(15);

/// A verdict that takes longer than this is not waited for: a person is taken to be there.
pub(crate) const DETECT_MOST: Duration = Duration::from_secs(5);
/// The first packet to the agent that takes longer than this is not waited for.
pub(crate) const FIRST_PACKET_MOST: Duration = Duration::from_millis(500);
/// The message of an abandoned call is cut after this.
pub(crate) const MESSAGE_MOST: Duration = Duration::from_secs(30);
/// A prompt is cut after this: a recorded message of two minutes has lost its listener.
pub(crate) const PROMPT_MOST: Duration = Duration::from_secs(120);
/// After the prompt a person has this long to press a key.
pub(crate) const KEY_WAIT: Duration = Duration::from_secs(5);
/// A lead that was skipped by itself is not shown again sooner than this.
pub(crate) const SKIPPED_FOR_S: u32 = 900;
/// A skipped lead waits no longer than a week: beyond, the agent means a callback.
pub(crate) const SKIP_MOST_S: u32 = 7 * 24 * 3_600;
/// A call whose agent's leg is lost is held this long for the agent to return.
pub(crate) const AGENT_BACK: Duration = Duration::from_secs(10);
/// A Ready agent whose leg stays away is paused after this.
pub(crate) const LEG_AWAY: Duration = Duration::from_secs(30);
/// A wrap-up that only ends with a disposition ends after this: the agent has gone home.
pub(crate) const WRAP_UP_MOST: Duration = Duration::from_secs(3_600);
/// A CANCEL or BYE that is not confirmed frees its channel after this: longer than Timer B or F (32 s) and a late 487.
pub(crate) const CLEAR_MOST: Duration = Duration::from_secs(40);
/// Calls that were alive at a crash count against their trunk this long, unless they are cleared.
pub(crate) const ORPHAN_HOLDS: Duration = Duration::from_secs(60);
/// An answered call gone sooner than this was no answer (false answer supervision).
pub(crate) const FALSE_ANSWER: Duration = Duration::from_secs(1);

/// Campaign and trunk events go out at most this often each.
pub(crate) const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// A write that waits longer than this means that the store hangs: nothing is dialed until it answers.
pub(crate) const COMMIT_STALL: Duration = Duration::from_secs(1);
/// The first probe after a failed write.
pub(crate) const PROBE_FIRST: Duration = Duration::from_millis(250);
/// Probes slow down to this.
pub(crate) const PROBE_SLOWEST: Duration = Duration::from_secs(2);
/// Facts kept while the store takes no writes: four for each of 25,000 calls. Beyond, the oldest are lost and counted;
/// recovery closes their attempts at the next start.
pub(crate) const FACTS_MOST: usize = 100_000;
/// Commands that may wait for their commit.
pub(crate) const COMMANDS_MOST: usize = 10_000;

/// Agents known at once.
pub(crate) const AGENTS_MOST: usize = 10_000;
/// Campaigns at once.
pub(crate) const CAMPAIGNS_MOST: usize = 10_000;
/// Ended calls that may still get or change their disposition in memory: a day of 200 agents.
pub(crate) const DISPOSABLE_MOST: usize = 50_000;
/// Suppressed numbers remembered beside the store, for leads that were read before.
pub(crate) const SUPPRESSED_MOST: usize = 100_000;
/// Attempts to numbers remembered beside the store until all leads in memory were read after them: 20 s at 5,000 dials a
/// second. Beyond, all leads are read again at once.
pub(crate) const RECENT_MOST: usize = 100_000;
/// Keys in one command.
pub(crate) const DTMF_MOST: usize = 32;
/// Characters of a note.
pub(crate) const NOTE_MOST: usize = 4_000;
/// Characters of a name or a reason.
pub(crate) const NAME_MOST: usize = 200;
