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

/// Trunks of one group.
pub(crate) const GROUP_MOST: usize = 50;
/// Groups at once: one for each kind of number and price, and room to spare.
pub(crate) const GROUPS_MOST: usize = 200;
/// Leads that are set aside in one decision because their own trunks are full, so that others' calls go on.
pub(crate) const ASIDE_MOST: usize = 32;
/// A trunk that rests is asked by OPTIONS, and its answer waited for no longer than this (RFC 3261 timer F).
pub(crate) const ASK_MOST: Duration = Duration::from_secs(32);
/// An agent is told so long before a call is ended for its length.
pub(crate) const LONGEST_WARNING: Duration = Duration::from_secs(60);

/// Pools of caller ids at once.
pub(crate) const POOLS_MOST: usize = 200;
/// Caller ids of one pool: each is counted by itself.
pub(crate) const POOL_IDS_MOST: usize = 1_000;
/// Caller ids that are known at once, those of pools that are gone included while they are in quarantine.
pub(crate) const CALLER_IDS_MOST: usize = 20_000;
/// Days of use that are remembered of a caller id: more than the longest run that its rest may ask for.
pub(crate) const CALLER_ID_DAYS: i64 = 40;
/// The answer rate of a caller id is judged after so many attempts, and so many of the others of its pool.
pub(crate) const ANSWER_RATE_LEAST: u32 = 50;
/// It forgets: beyond so many attempts they count half.
pub(crate) const ANSWER_RATE_OF: u32 = 400;

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
/// A machine's greeting is heard for this long at most: mailboxes cut theirs at a minute. Then it is left its message.
pub(crate) const GREETING_MOST: Duration = Duration::from_secs(60);
/// No message is shorter: what ends sooner was played before it.
pub(crate) const MESSAGE_LEAST: Duration = Duration::from_millis(100);
/// Checked calls from which the share of people among "machines" is believed: with fewer, one person is 5 % and more.
pub(crate) const CHECKS_LEAST: u64 = 20;
/// The message of an abandoned call is cut after this.
pub(crate) const MESSAGE_MOST: Duration = Duration::from_secs(30);
/// A prompt, or a message to a machine, is cut after this: a recorded message of two minutes has lost its listener.
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

/// Another phone of a lead is tried this long after the one before, in ms: who heard the first ring has time to pick up
/// the second, and no two lines are dialed at once.
pub(crate) const NEXT_PHONE_MS: i64 = 60_000;
/// Phones of a lead: more is a mistake in the list.
pub(crate) const PHONES_MOST: usize = 5;
/// An agent who waits is shown a callback of their own at once, unless lines that were dialed for them are still open;
/// then after this: by then they are answered or given up.
pub(crate) const CALLBACK_WAITS: Duration = Duration::from_secs(30);

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

/// Teams at once: a large house has hundreds.
pub(crate) const TEAMS_MOST: usize = 1_000;
/// Levels of the tree of teams: sites, departments, shifts and groups fit twice over.
pub(crate) const TEAM_DEPTH: usize = 8;
/// Levels and priorities that differ from the default: 1,000 agents in 50 campaigns, about 2 MB.
pub(crate) const SKILLS_MOST: usize = 50_000;
/// Reasons for a pause: more than anybody chooses from.
pub(crate) const PAUSE_REASONS_MOST: usize = 50;
/// A shift ends at most so far ahead, in ms: a day.
pub(crate) const SHIFT_MOST_MS: i64 = 24 * 3_600_000;
/// Agents that one call is handed on to when theirs is lost; who loses so many has waited long enough.
pub(crate) const HAND_OVERS_MOST: usize = 3;
/// A wrap-up is made longer by at most this, in seconds.
pub(crate) const EXTENSION_MOST_S: u32 = 600;
