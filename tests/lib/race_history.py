"""What a history of writes and reads must be; this file is the promise, written out.

A key holds one version after another (race_rows.py). A version is *superseded* at the earliest moment at which
somebody was told that a later one of its key is committed. Then of each read, which began, ended, and
returned a version:

    own      it is not older than what was saved on its mount, and acknowledged, before the read began
    back     a content is not older than what a read on its mount had returned before this one began
    stale    it was not superseded more than `bound` before the read began
    unreal   it was committed: no number of a transaction that was rolled back or in its middle, no torn
             text, nothing that nobody had begun to write
    error    it has no error, but those that are allowed (race.py knows what was broken when)

and of each write: if it was acknowledged, it is in the journal (else it is `lost`).

"Mount" is one life of one mount: after kill -9 and a new mount, nobody remembers what was read before. The
absence of a row is a version like any other. Of a stat or a listing only the size is known: it must be the size
of some version that all of the above allows. They may
go back within the bound: replies to two listings may cross, and the kernel keeps the one that came last
until it is told; how often that was is counted. And while a program is writing the file, its mount shows the size
that it has written, or no text, where there was no row; after a save that was refused, also until the kernel has told
the mount that the file was closed, which it does after close() has returned.

Times are CLOCK_MONOTONIC, which all processes of a machine share, in seconds.
"""

import bisect
import collections
import errno
import math
import struct

from race_rows import row_size, who_number

CONTENT, STAT, LISTING = range(3)
KINDS = ("content", "stat", "listing")
TORN, EMPTY = 9999, 9998    # in place of an errno: the text was not a row, or no text at all

READ = struct.Struct("<ddqqihhhhh")
Read = collections.namedtuple("Read", "began ended version who key errno mount life reader kind")
WRITE = struct.Struct("<qdddihhh")
# acked: NEVER without an answer that says success; ended: with any answer. key: of a save.
Write = collections.namedtuple("Write", "who sent acked ended key mount life how")
State = collections.namedtuple("State", "version who size sent acked")      # size −1: no row
Violation = collections.namedtuple("Violation", "promise read text")

NEVER = math.inf
# The kernel tells of a close after close(2) has returned; until then others are shown the size that the saver sees.
# Measured: up to 12 ms on a machine that is busy; of a save without an answer it is not known when it was closed.
RELEASE_SECONDS, RELEASE_SECONDS_UNKNOWN = 0.05, 0.25
SEEDED = Write(0, -NEVER, -NEVER, -NEVER, 0, -1, 0, 0)
UNKNOWN = Write(-1, -NEVER, NEVER, NEVER, 0, -1, 0, 0)


class Key:
    """The versions of one key, and when each of them was superseded."""

    def __init__(self, number):
        self.number = number
        # Before all: absence, superseded by the seed.
        self.found = {-1: (0, None, False)}             # version → who, transaction, is there a row
        self.versions, self.states, self.superseded = [-1], {}, []

    def note(self, version, who, transaction, live):
        self.found[version] = (who, transaction, live)

    def order(self, writes):
        """Make versions, states and times of what was noted."""
        ordered = sorted(self.found)
        self.versions = [v for v, after in zip(ordered, ordered[1:] + [None])
                         if after is None or self.found[v][1] is None or self.found[v][1] != self.found[after][1]]
        self.states = {}
        for v in self.versions:
            who, transaction, live = self.found[v]
            write = SEEDED if who == 0 or transaction is None else writes.get(who, UNKNOWN)
            self.states[v] = State(v, who, row_size(self.number, v) if live else -1, write.sent, write.acked)
        self.superseded = [NEVER] * len(self.versions)
        for i in range(len(self.versions) - 2, -1, -1):
            self.superseded[i] = min(self.superseded[i + 1], self.states[self.versions[i + 1]].acked)

    def candidates(self, read, size, bound):
        """The versions of this size that the read may have returned."""
        first = bisect.bisect_left(self.superseded, read.began - bound)
        for v in self.versions[first:]:
            state = self.states[v]
            if state.size == size and state.sent <= read.ended:
                yield v

    def superseded_at(self, version):
        return self.superseded[bisect.bisect_left(self.versions, version)]


NOTHING_KNOWN = (-2, None)


class Floor:
    """What was known on one mount of one key, and since when: times and versions both rise."""

    def __init__(self):
        self.times, self.versions, self.causes = [], [], []

    def before(self, time):
        """(version, cause) of the newest that was known before `time`."""
        i = bisect.bisect_left(self.times, time) - 1
        return (self.versions[i], self.causes[i]) if i >= 0 else NOTHING_KNOWN

    def rise(self, time, version, cause):
        i = bisect.bisect_right(self.times, time)
        if i and self.versions[i - 1] >= version:
            return
        end = i
        while end < len(self.versions) and self.versions[end] <= version:
            end += 1
        self.times[i:end], self.versions[i:end], self.causes[i:end] = [time], [version], [cause]


class History:
    """Grows by writes, by lines of the journal, and by reads; judges the reads.

    `bound`: max_staleness and the slack. `allows(read)`: may it have its error? `spares(read)`: is it one of a
    stopped mount's own, whose attributes the kernel already held?"""

    def __init__(self, bound, allows=lambda read: False, spares=lambda read: False):
        self.bound, self.allows, self.spares = bound, allows, spares
        self.writes, self.keys = {}, {}
        self.saved = collections.defaultdict(Floor)     # by saves, which all reads must follow
        self.shown = collections.defaultdict(Floor)     # by contents, too, which contents must
        # mount, key → who → save; of any life, since a save may begin in one and open the file in the next
        self.saving = collections.defaultdict(dict)
        self.unplaced = []          # saves whose line of the journal has not come yet
        self.places = {}            # who → [(key, version)]
        self.stale_by = []          # how old the versions were that had been superseded
        self.counts = collections.Counter()

    # What happened

    def journal(self, key, version, who, transaction, live):
        self.keys.setdefault(key, Key(key)).note(version, who, transaction, live)
        place = self.places.setdefault(who, [])
        if (key, version) not in place:
            place.append((key, version))

    def write(self, write):
        """Saves twice: when they begin, and when they have ended."""
        self.writes[write.who] = write
        if write.mount >= 0:
            self.saving[(write.mount, write.key)][write.who] = write
        if write.acked < NEVER:
            self.unplaced.append(write)

    def settle(self):
        """After new writes and the journal: versions in order, saves on their mounts. Returns the writes
        that were acknowledged and are not in the journal."""
        for key in self.keys.values():
            key.order(self.writes)
        lost = []
        for write in self.unplaced:
            place = self.places.get(write.who)
            if not place:
                lost.append(write)
            for key, version in place or []:
                # A transaction may pass a version; it leaves the last one.
                if write.mount >= 0 and version in self.keys[key].states:
                    for floors in (self.saved, self.shown):
                        floors[(write.mount, write.life, key)].rise(write.acked, version, write)
        self.unplaced = []
        return [Violation("lost", None, f"acknowledged, and not in the journal: {w}") for w in lost]

    @staticmethod
    def known(floors, read):
        """(version, cause) of the newest that was known when the read began."""
        floor = floors.get((read.mount, read.life, read.key))
        return floor.before(read.began) if floor else NOTHING_KNOWN

    # What must hold

    def judge(self, reads):
        """The violations among these reads. All reads that ended before one of these began must be among
        them, or have been judged before."""
        events = [(r.began, 1, i) for i, r in enumerate(reads)] + [(r.ended, 0, i) for i, r in enumerate(reads)]
        events.sort()
        found = {}
        verdicts = {}
        for _, beginning, i in events:
            # The verdict needs what was known when the read began, its result is known when it ended.
            if beginning:
                verdicts[i] = self.judge_one(reads[i])
            elif i in verdicts:
                version, violation = verdicts.pop(i)
                if violation:
                    found[i] = violation
                read = reads[i]
                if version is not None and read.kind == CONTENT:
                    self.shown[(read.mount, read.life, read.key)].rise(read.ended, version, read)
        return [found[i] for i in sorted(found)]

    def judge_one(self, read):
        """(the version that it is known to have returned, a violation): either may be None."""
        self.counts[KINDS[read.kind]] += 1
        key = self.keys.get(read.key) or self.keys.setdefault(read.key, Key(read.key))
        if not key.states:
            key.order(self.writes)
        if read.errno == EMPTY and self.is_being_saved(read):
            self.counts["spared"] += 1
            return None, None
        if read.errno in (TORN, EMPTY):
            return None, Violation("unreal", read, "the text is not a row")
        if read.errno and read.errno != errno.ENOENT:
            name = errno.errorcode.get(read.errno, str(read.errno))
            self.counts[name] += 1
            return None, None if self.allows(read) else Violation("error", read, name)
        if read.kind == CONTENT and not read.errno:
            return self.judge_content(read, key)
        if read.kind != CONTENT and (self.spares(read) or self.is_being_saved(read)):
            self.counts["spared"] += 1
            return None, None
        return self.judge_size(read, key, -1 if read.errno else read.version)

    def is_being_saved(self, read):
        closing = RELEASE_SECONDS if read.kind != CONTENT else 0
        saves = self.saving.get((read.mount, read.key), {}).values()
        return any(save.sent < read.ended and
                   read.began < save.ended + (RELEASE_SECONDS_UNKNOWN if save.acked == NEVER else closing)
                   for save in saves)

    def judge_content(self, read, key):
        state = key.states.get(read.version)
        if not state or state.size < 0 or state.who != read.who:
            return None, Violation("unreal", read, f"version {read.version} of {read.who} was never committed")
        if state.sent > read.ended:
            return None, Violation("unreal", read, "read before it was written")
        late = read.began - key.superseded_at(read.version)
        return self.judge_version(read, read.version, late)

    def judge_size(self, read, key, size):
        what = "absent" if size < 0 else f"of {size} bytes"
        possible = list(key.candidates(read, size, self.bound))
        if not possible:
            once = list(key.candidates(read, size, NEVER))
            if not once:
                return None, Violation("unreal", read, f"never {what}")
            late = read.began - key.superseded_at(once[-1])
            return None, Violation("stale", read, f"{what}: version {once[-1]}, superseded {late:.3f} s before")
        least, _ = self.known(self.shown if read.kind == CONTENT else self.saved, read)
        version = next((v for v in possible if v >= least), possible[-1])
        self.counts["sizes that went back"] += least <= possible[-1] < self.known(self.shown, read)[0]
        return self.judge_version(read, version, read.began - key.superseded_at(possible[-1]))

    def judge_version(self, read, version, late):
        least, cause = self.known(self.shown if read.kind == CONTENT else self.saved, read)
        if late > 0:
            self.stale_by.append(late)
        if late > self.bound:
            return version, Violation("stale", read, f"version {version}, superseded {late:.3f} s before")
        if version < least:
            promise = "own" if isinstance(cause, Write) else "back"
            return version, Violation(promise, read, f"version {version} after {least}, known by {cause}")
        return version, None


def reads_of(data):
    return [Read._make(fields) for fields in READ.iter_unpack(data)]


def writes_of(data):
    return [Write._make(fields) for fields in WRITE.iter_unpack(data)]


def journal_of(text):
    """Lines of `key|v|who|xid|live`, as psql prints them."""
    for line in text.splitlines():
        key, version, who, transaction, live = line.split("|")
        yield int(key), int(version), who_number(who), int(transaction), live == "t"


def explain(violation, history, reads, faults):
    """The violation, and what happened to its key around it."""
    read = violation.read
    lines = [f"VIOLATION of `{violation.promise}`: {violation.text}"]
    if not read:
        return "\n".join(lines)
    key = history.keys[read.key]
    start, end = read.began - history.bound - 0.4, read.ended + 0.3
    events = [(read.began, "  <<< this read began")]
    for version in key.versions:
        state = key.states[version]
        write = history.writes.get(state.who)
        if write and (start < write.sent < end or start < write.acked < end or abs(version - read.version) < 3):
            by = f"on mount {write.mount}.{write.life}" if write.mount >= 0 else "by SQL"
            there = "" if state.size >= 0 else ", absent"
            acked = f"acknowledged {write.acked:.4f}" if write.acked < NEVER else "outcome not told"
            events.append((write.sent, f"version {version}{there} sent {by}, {acked} (write {state.who})"))
    for save in history.saving.get((read.mount, read.key), {}).values():
        if save.acked == NEVER and start < save.ended and save.sent < end:
            events.append((save.sent, f"a save of this mount, refused or without an answer {save.ended:.4f} "
                           f"(write {save.who})"))
    for other in reads:
        near = other.mount == read.mount or other.kind == CONTENT and read.began - 0.1 < other.began < read.ended
        if other.key == read.key and near and start < other.ended and other.began < end:
            result = errno.errorcode.get(other.errno, "torn") if other.errno else \
                f"version {other.version}" if other.kind == CONTENT else f"{other.version} bytes"
            mine = "  <<<" if other == read else ""
            events.append((other.began, f"{KINDS[other.kind]} on mount {other.mount}.{other.life} by reader "
                           f"{other.reader} until {other.ended:.4f}: {result}{mine}"))
    for fault in faults:
        if fault.began < end and fault.ended > start:
            events.append((fault.began, f"FAULT {fault.name} {fault.target} until {fault.ended:.4f}"))
    lines.append(f"key {read.key}, mount {read.mount}.{read.life}, reader {read.reader}, {KINDS[read.kind]}, "
                 f"began {read.began:.4f}, ended {read.ended:.4f}")
    events.sort(key=lambda event: event[0])
    lines += [f"  {time:.4f} {text}" for time, text in events]
    return "\n".join(lines)
