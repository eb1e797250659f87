"""Small histories made by hand: each broken promise is found, and what is right passes.

A history is one key, 1, on mounts 0 and 1, with a bound of one second. Version 1 is there from the
beginning; version 2 is written at 10 and acknowledged at 11 unless a test says otherwise.
"""

import errno
import unittest

from race_history import CONTENT, EMPTY, LISTING, NEVER, STAT, TORN, Floor, History, Read, Write
from race_rows import row_size, row_text, who_number, who_text

A, B, C, D = 10_000_001, 10_000_002, 10_000_003, 10_000_004


def read(began, version, ended=None, who=A, mount=0, life=0, reader=0, err=0, key=1):
    return Read(began, began + 0.1 if ended is None else ended, version, who, key, err, mount, life, reader, CONTENT)


def write(who, sent, acked, mount=-1, life=0, ended=None):
    return Write(who, sent, acked, acked if ended is None else ended, 1, mount, life, 0)


def size(began, version, mount=0, kind=STAT, key=1):
    there = version is not None
    return Read(began, began + 0.1, row_size(key, version) if there else 0, 0, key,
                0 if there else errno.ENOENT, mount, 0, 0, kind)


def gone(began, **more):
    return read(began, 0, err=errno.ENOENT, **more)


class Promises(unittest.TestCase):
    def setUp(self):
        self.history = History(1.0)
        self.history.write(write(A, 0, 1))
        self.history.journal(1, 1, A, 100, True)

    def second(self, sent=10, acked=11, mount=-1, life=0, live=True, who=B, version=2, transaction=101):
        self.history.write(write(who, sent, acked, mount, life))
        self.history.journal(1, version, who, transaction, live)

    def found(self, *reads):
        lost = self.history.settle()
        return [violation.promise for violation in lost + self.history.judge(list(reads))]

    # What is right

    def test_reads_of_what_is_there(self):
        self.second()
        self.assertEqual(self.found(read(5, 1), read(10.5, 1), read(10.7, 2, who=B), read(20, 2, who=B)), [])

    def test_another_mount_may_be_behind_for_the_bound(self):
        self.second()
        self.assertEqual(self.found(read(10.5, 2, who=B), read(11.9, 1, mount=1), read(12, 2, who=B, mount=1)), [])

    def test_a_slow_read_may_return_what_was_right_when_it_began(self):
        self.second()
        self.assertEqual(self.found(read(9, 1, ended=30)), [])

    def test_reads_at_the_same_time_may_differ(self):
        self.second()
        self.assertEqual(self.found(read(10.1, 2, who=B, ended=10.5), read(10.4, 1, ended=10.6)), [])

    def test_a_write_without_an_answer_may_be_seen_or_not(self):
        self.second(acked=NEVER)
        self.assertEqual(self.found(read(50, 1), read(60, 2, who=B)), [])

    def test_a_new_life_of_a_mount_remembers_nothing(self):
        self.second(mount=0)
        self.assertEqual(self.found(read(11.1, 2, who=B), read(11.5, 1, life=1)), [])

    def test_sizes_and_absence(self):
        self.second(live=False)
        self.assertEqual(self.found(size(5, 1), size(10.5, None), size(13, None, kind=LISTING), gone(13)), [])

    def test_absence_before_the_first_version(self):
        self.assertEqual(self.found(gone(0.5)), [])

    def test_an_unknown_key_is_absent(self):
        self.assertEqual(self.found(gone(5, key=7)), [])

    # What is not

    def test_own(self):
        self.second(mount=0)
        self.assertEqual(self.found(read(11.1, 1)), ["own"])

    def test_own_by_size(self):
        self.second(mount=0)
        self.assertEqual(self.found(size(11.1, 1)), ["own"])

    def test_own_after_a_row_was_removed(self):
        self.second(mount=0, live=False)
        self.assertEqual(self.found(read(11.1, 1)), ["own"])

    def test_stale(self):
        self.second()
        self.assertEqual(self.found(read(12.1, 1)), ["stale"])

    def test_stale_because_of_a_later_version(self):
        self.second(acked=NEVER)
        self.second(sent=12, acked=13, who=C, version=3, transaction=102)
        self.assertEqual(self.found(read(13.9, 1), read(14.1, 1, mount=1)), ["stale"])

    def test_stale_size(self):
        self.second()
        self.assertEqual(self.found(size(12.1, 1, kind=LISTING)), ["stale"])

    def test_stale_absence(self):
        self.second(live=False)
        self.second(sent=12, acked=13, who=C, version=3, transaction=102)
        self.assertEqual(self.found(gone(14.1)), ["stale"])

    def test_a_row_that_is_gone_and_still_read(self):
        self.second(live=False)
        self.assertEqual(self.found(read(12.1, 1)), ["stale"])

    def test_back(self):
        self.second()
        self.assertEqual(self.found(read(10.5, 2, who=B), read(11.5, 1)), ["back"])

    def test_back_on_the_mount_for_another_reader(self):
        self.second()
        self.assertEqual(self.found(read(10.5, 2, who=B), read(11.5, 1, reader=9)), ["back"])

    def test_back_to_absence(self):
        self.second()
        self.history.write(write(C, 12, 13))
        self.history.journal(1, 3, C, 102, False)
        self.history.write(write(D, 14, 15))
        self.history.journal(1, 4, D, 103, True)
        self.assertEqual(self.found(read(15.1, 4, who=D), gone(15.5)), ["back"])

    def test_sizes_may_go_back_within_the_bound(self):
        self.second()
        self.assertEqual(self.found(read(10.5, 2, who=B), size(11.5, 1), size(11.5, 1, kind=LISTING)), [])
        self.assertEqual(self.history.counts["sizes that went back"], 2)

    def test_back_in_a_later_part_of_the_history(self):
        self.second()
        self.assertEqual(self.found(read(10.5, 2, who=B)), [])
        self.assertEqual(self.found(read(11.5, 1)), ["back"])

    def test_absent_though_it_never_was(self):
        self.second()
        self.assertEqual(self.found(gone(12)), ["stale"])

    def test_rolled_back(self):
        self.assertEqual(self.found(read(5, 2, who=B)), ["unreal"])

    def test_rolled_back_and_its_number_taken_by_another(self):
        self.second(who=C)
        self.assertEqual(self.found(read(10.5, 2, who=B)), ["unreal"])

    def test_the_middle_of_a_transaction(self):
        self.second()
        self.second(who=B, version=3)
        self.assertEqual(self.found(read(10.5, 2, who=B), read(10.6, 3, who=B)), ["unreal"])

    def test_torn(self):
        self.assertEqual(self.found(read(5, 1, err=TORN)), ["unreal"])

    def test_empty(self):
        self.assertEqual(self.found(read(5, 0, err=EMPTY)), ["unreal"])
        self.history.write(write(B, 10, NEVER, 0, ended=12))
        self.assertEqual(self.found(read(11, 0, err=EMPTY), read(11, 0, err=EMPTY, mount=1)), ["unreal"])

    def test_a_size_that_never_was(self):
        self.assertEqual(self.found(size(5, 1)._replace(version=3)), ["unreal"])

    def test_seen_before_it_was_written(self):
        self.second()
        self.assertEqual(self.found(read(5, 2, who=B)), ["unreal"])

    def test_lost(self):
        self.history.write(write(B, 10, 11, 0))
        self.assertEqual(self.found(), ["lost"])

    def test_errors_are_violations_unless_allowed(self):
        self.assertEqual(self.found(read(5, 0, err=errno.EIO)), ["error"])
        self.history.allows = lambda r: r.began < 6
        self.assertEqual(self.found(read(5, 0, err=errno.EIO), read(7, 0, err=errno.EIO)), ["error"])

    def test_a_file_that_is_being_written_has_the_size_written(self):
        self.history.write(write(B, 10, NEVER, 0, ended=12))
        self.assertEqual(self.found(size(11, 3), size(11, 3, mount=1), size(12.1, 3), size(12.3, 3)), ["unreal", "unreal"])
        self.second(10, 12, mount=0)
        self.assertEqual(self.found(size(11, 3), size(12.03, 3), size(12.1, 3)), ["unreal"])

    def test_a_save_may_begin_before_its_mount_is_back(self):
        self.history.write(write(B, 10, NEVER, 0, life=1, ended=12))
        self.assertEqual(self.found(size(11, 3)._replace(life=2)), [])

    def test_absence_is_the_newest_that_it_can_be(self):
        self.second(live=False)
        self.history.write(write(C, 11.1, 11.2))
        self.history.journal(1, 3, C, 102, True)
        self.history.write(write(D, 11.3, 11.4))
        self.history.journal(1, 4, D, 103, False)
        self.assertEqual(self.found(read(11.21, 3, who=C, ended=11.25), gone(11.5)), [])

    def test_only_sizes_of_a_stopped_mount_are_spared(self):
        self.second()
        self.history.spares = lambda r: True
        self.assertEqual(self.found(size(13, 1), read(14, 1)), ["stale"])


class Parts(unittest.TestCase):
    def test_a_floor_rises_also_when_news_come_late(self):
        floor = Floor()
        floor.rise(5, 2, "b")
        floor.rise(3, 1, "a")
        floor.rise(4, 7, "c")
        floor.rise(6, 3, "d")
        self.assertEqual([floor.before(t)[0] for t in (3, 3.5, 4.5, 9)], [-2, 1, 7, 7])

    def test_texts_have_their_sizes(self):
        for key in (1, 10, 1039):
            for version in (0, 9, 10, 12345):
                self.assertEqual(row_size(key, version), len(row_text(key, version, A)))

    def test_names_of_writes(self):
        self.assertEqual(who_number(who_text(A)), A)


unittest.main()
