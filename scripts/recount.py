#!/usr/bin/env python3
"""Recounts a day from the store alone and compares it with what the engine published.

    kraliki simulate --day DIR && python3 scripts/recount.py DIR/day.db DIR/day.json

Shares no code with the dialer: Python's standard library, SQL and sums. Every figure must be the same, to the
millisecond. Exits with 1 and says where when one is not.
"""

import json
import sqlite3
import sys
from collections import Counter, defaultdict

IN_CALL = ("reserved", "talking", "hold")
NOT_AVAILABLE = ("paused", "offline")
# Of calls that a person answered, by the ledger.
PERSONS = ("connected", "abandoned", "caller_hangup")
# A call is held so long for a lost agent before it goes on with another one.
AGENT_BACK_MS = 10_000
DAY_MS = 24 * 3_600_000


class Differences:
    def __init__(self):
        self.found = []
        self.compared = 0

    def same(self, what, stored, published):
        self.compared += 1
        if stored != published:
            self.found.append(f"{what}: the store says {stored}, published was {published}")

    def holds(self, what, true):
        self.compared += 1
        if not true:
            self.found.append(what)


def agent_times(db, out):
    """Each agent's times, without overlap, and without a gap but between a sign-out and a sign-in."""
    agents = defaultdict(lambda: {"states": Counter(), "sessions": 0, "forced": 0, "paused": []})
    last_end = {}
    rows = db.execute(
        "SELECT agent, state, reason, from_unix_ms, lasted_ms, forced_by FROM agent_times ORDER BY agent, from_unix_ms, id"
    )
    for agent, state, reason, began, lasted, forced_by in rows:
        book = agents[agent]
        book["forced"] += forced_by is not None
        if state == "offline":
            out.holds(f"agent {agent}: an offline row lasts {lasted} ms", lasted == 0)
            continue
        out.holds(f"agent {agent}: a time of {lasted} ms at {began}", lasted >= 0)
        end = last_end.get(agent)
        if end is None or began > end:
            # Whoever signs in is paused, without a reason, until ready.
            out.holds(f"agent {agent}: a gap before {began}, from {end}", state == "paused" and reason == "")
            book["sessions"] += 1
        elif began < end:
            out.holds(f"agent {agent}: {state} at {began} overlaps what ended at {end}", False)
        elif state == "paused" and reason == "":
            book["sessions"] += 1
        last_end[agent] = began + lasted
        book["states"][state] += lasted
        if state == "paused":
            book["paused"].append((reason, began, lasted))
    return agents


def pauses_over(db, agents):
    """Pauses that were longer than they might be, each and by the day (in UTC, as the day's teams are)."""
    limits = {}
    for (text,) in db.execute("SELECT reason FROM pause_reasons"):
        reason = json.loads(text)
        limits[reason["code"]] = (reason["limit_min"] * 60_000, reason["day_limit_min"] * 60_000)
    over = 0
    for book in agents.values():
        used = Counter()
        for reason, began, lasted in book["paused"]:
            if reason not in limits:
                continue
            once, by_day = limits[reason]
            left = []
            if once:
                left.append(once)
            if by_day:
                left.append(max(0, by_day - used[(reason, began // DAY_MS)]))
            over += bool(left) and lasted > min(left)
            used[(reason, (began + lasted) // DAY_MS)] += lasted
    return over


def calls(db, out):
    """Calls and talk by agent, from the parts of calls that had several agents, and from the calls of one."""
    given, talked, lost = Counter(), Counter(), Counter()
    parts = defaultdict(list)
    for attempt, agent, began, lasted in db.execute(
        "SELECT attempt, agent, from_unix_ms, lasted_ms FROM call_parts ORDER BY attempt, id"
    ):
        parts[attempt].append((agent, began, lasted))
    handed = 0
    for attempt, agent, connected, ended, talk, outcome in db.execute(
        "SELECT id, agent, connected_unix_ms, ended_unix_ms, talk_ms, outcome FROM attempts"
    ):
        out.holds(f"attempt {attempt} has no outcome", outcome is not None)
        own = parts.pop(attempt, None)
        if own is None:
            if connected is not None:
                given[agent] += 1
                talked[agent] += talk
                out.same(f"attempt {attempt}: talk", ended - connected, talk)
            continue
        out.same(f"attempt {attempt}: talk of its parts", sum(lasted for *_, lasted in own), talk)
        out.same(f"attempt {attempt}: its last agent", agent, own[-1][0])
        out.same(f"attempt {attempt}: its first part's begin", connected, own[0][1])
        handed += len(own) - 1
        for place, (who, began, lasted) in enumerate(own):
            given[who] += 1
            talked[who] += lasted
            last = place == len(own) - 1
            # The one who had it last was not lost, unless nobody came after.
            gone = not last or began + lasted != ended
            lost[who] += gone
            if not last:
                out.holds(f"attempt {attempt}: parts overlap", began + lasted + AGENT_BACK_MS <= own[place + 1][1])
    out.holds(f"parts of calls that are not there: {sorted(parts)}", not parts)
    return given, talked, lost, handed


def campaigns(db, published, out):
    outcomes, dispositions = defaultdict(Counter), defaultdict(Counter)
    attempts, answered, abandoned = Counter(), Counter(), Counter()
    for campaign, outcome, late, disposition, was_answered in db.execute(
        "SELECT campaign, outcome, late, disposition, answered_unix_ms FROM attempts"
    ):
        attempts[campaign] += 1
        outcomes[campaign][outcome] += 1
        if disposition is not None:
            dispositions[campaign][disposition] += 1
        if outcome in PERSONS:
            out.holds("a person who never answered", was_answered is not None)
            answered[campaign] += 1
            abandoned[campaign] += outcome == "abandoned" or late != 0
    ids = {int(key) for key in published} | set(attempts)
    for campaign in sorted(ids):
        theirs = published.get(str(campaign), {})
        what = f"campaign {campaign}"
        out.same(f"{what}: attempts", attempts[campaign], theirs.get("attempts"))
        out.same(f"{what}: outcomes", dict(outcomes[campaign]), theirs.get("outcomes"))
        out.same(f"{what}: answered", answered[campaign], theirs.get("answered"))
        out.same(f"{what}: abandoned", abandoned[campaign], theirs.get("abandoned"))
        out.same(f"{what}: dispositions", dict(dispositions[campaign]), theirs.get("dispositions"))
    return sum(answered.values()), sum(abandoned.values())


def recount(db, published):
    out = Differences()
    agents = agent_times(db, out)
    given, talked, lost, handed = calls(db, out)
    out.same("agents", {str(agent) for agent in agents}, set(published["agents"]))
    talk = busy = available = forced = 0
    for agent, book in sorted(agents.items()):
        theirs = published["agents"].get(str(agent), {})
        what, states = f"agent {agent}", book["states"]
        out.same(f"{what}: times by state", dict(states), theirs.get("states_ms"))
        out.same(f"{what}: sessions", book["sessions"], theirs.get("sessions"))
        out.same(f"{what}: calls", given[agent], theirs.get("calls"))
        in_call = sum(states[state] for state in IN_CALL)
        # In a call is talking, and waiting for an own browser that did not come back.
        out.same(f"{what}: time in calls", in_call, talked[agent] + AGENT_BACK_MS * lost[agent])
        forced += book["forced"]
        talk += in_call
        busy += in_call + states["wrap_up"]
        available += sum(lasted for state, lasted in states.items() if state not in NOT_AVAILABLE)
    out.same("time in calls", talk, published["talk_ms"])
    out.same("time available", available, published["available_ms"])
    close = available > 0 and abs(busy / available - published["occupancy"]) < 1e-12
    out.holds(f"occupancy: the store says {busy}/{available}, published was {published['occupancy']}", close)
    out.same("calls handed over and abandoned parts", handed, published["handed_over"])
    out.same("pauses over their limits", pauses_over(db, agents), published["pauses_over"])
    automatic = db.execute("SELECT count(*) FROM dispositions WHERE note = 'given automatically when the wrap-up ended'")
    out.same("automatic dispositions", automatic.fetchone()[0], published["disposed_automatically"])
    out.same("writes lost", 0, published["writes_lost"])
    persons, gone = campaigns(db, published["campaigns"], out)
    tries = db.execute("SELECT count(*) FROM tries t JOIN attempts a ON a.id = t.attempt WHERE a.outcome <> 'not_sent'")
    out.same("INVITEs", tries.fetchone()[0], published["dials"])
    hours = available / 3_600_000
    print(
        f"{len(agents)} agents, {hours:.1f} h available, {sum(given.values())} calls, {gone} of {persons} abandoned, "
        f"{forced} times in a forced state; {out.compared} figures compared"
    )
    return out.found


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: recount.py STORE PUBLISHED")
    db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
    with open(sys.argv[2], encoding="utf-8") as file:
        published = json.load(file)
    found = recount(db, published)
    for difference in found[:50]:
        print(difference, file=sys.stderr)
    if found:
        sys.exit(f"{len(found)} differences")
    print("the store and what was published agree")


if __name__ == "__main__":
    main()
