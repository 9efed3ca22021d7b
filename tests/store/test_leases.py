"""One holder per work item, and a lost one is replaced; by hand, on a clock that the tests turn."""

import errno
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rl_surrogates.store import Leases, StoreError, files, leases
from tests.store.anywhere import contents


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pair(somewhere, clock):
    """Two workers on two hosts."""
    return [Leases(somewhere, ttl=60.0, clock=clock, host=name, pid=1) for name in ("one", "two")]


def test_an_item_that_is_held_is_refused_and_another_one_is_not(pair):
    one, two = pair
    held = one.claim("a", update=0)
    assert (held.generation, held.host, held.pid, held.report) == (0, "one", 1, {"update": 0})
    assert two.claim("a") is None and one.claim("a") is None
    assert two.claim("b").host == "two"
    assert [lease.item for lease in two.all()] == ["a", "b"] and two.find("a") == held


def test_a_heartbeat_keeps_the_item_and_silence_of_more_than_the_time_to_live_loses_it(pair, clock):
    one, two = pair
    held = one.claim("a")
    clock.now += 60.0
    assert two.claim("a") is None  # exactly at the limit it is still held
    held = one.renew(held, update=3)
    clock.now += 60.0
    assert two.claim("a") is None and two.find("a").report == {"update": 3}
    clock.now += 1.0
    taken = two.claim("a")
    assert (taken.generation, taken.host) == (1, "two") and taken.token != held.token
    assert not one.holds(held) and one.renew(held) is None  # the first holder learns of it
    assert two.renew(taken) and two.find("a").host == "two"
    one.release(held)  # too late to change anything
    assert one.claim("a") is None


def test_a_released_item_can_be_taken_at_once(pair):
    one, two = pair
    one.release(one.claim("a", update=7))
    taken = two.claim("a", by="two")
    assert taken.generation == 1 and taken.report == {"update": 7, "by": "two"}  # handed on


def test_the_item_of_a_process_that_died_on_this_host_can_be_taken_at_once(somewhere, clock):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    Leases(somewhere, clock=clock, pid=dead.pid).claim("a")
    assert Leases(somewhere, clock=clock, host="elsewhere").claim("a") is None
    assert Leases(somewhere, clock=clock).claim("a").generation == 1
    assert Leases(somewhere, clock=clock).claim("a") is None  # this process runs


@pytest.mark.parametrize("links", [True, False])
def test_of_many_takers_one_succeeds_again_and_again(links, somewhere, clock, monkeypatch):
    def no_links(*_, **__):
        raise OSError(errno.ENOTSUP, "not supported")

    if not links:
        monkeypatch.setattr(leases.os, "link", no_links)
    takers = [Leases(somewhere, ttl=1.0, clock=clock, host=f"h{n}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for generation in range(20):
            claimed = list(pool.map(lambda each: each.claim("a"), takers))
            (held,) = (lease for lease in claimed if lease)
            assert held.generation == generation and takers[0].find("a") == held
            clock.now += 2.0


NO_REPORT = b'{"host": "one", "pid": 1, "token": "", "heartbeat": 0, "report": 1}'


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"pid": "x"}', b"\xff", NO_REPORT])
def test_a_lease_that_cannot_be_read_is_taken_over_when_it_is_old(content, pair, somewhere, clock):
    one, two = pair
    one.claim("a")
    path = somewhere / "leases" / "a.0"
    files.write_atomically(path, content)
    clock.now = files.written(path)
    assert abs(clock.now - time.time()) < 60.0
    assert two.claim("a") is None  # it may be half written
    assert two.find("a").holder == "a process whose lease cannot be read"
    clock.now += 61.0
    assert two.claim("a").generation == 1


def test_a_lease_that_is_forgotten_while_it_is_read_is_none(pair, monkeypatch):
    one, two = pair
    assert one.claim("a") and one.claim("b").holder == "process 1 on host 'one'"
    read = files.read

    def late(path):
        files.remove(path)
        return read(path)

    monkeypatch.setattr(files, "read", late)
    assert two.all() == [] and files.names(two.folder) == []


def test_what_is_finished_leaves_no_file(pair, somewhere, clock):
    one, two = pair
    for _ in range(3):
        assert one.claim("a")
        clock.now += 100.0
    two.claim("b")
    last = one.claim("a")
    one.forget(["a", "never"])
    assert files.names(somewhere / "leases") == ["b.0"]
    assert one.renew(last) is None and files.names(somewhere / "leases") == ["b.0"]


def test_a_lease_is_one_line_of_json_beside_no_other_file(pair, somewhere):
    held = pair[0].claim("a", where="gpu 0")
    (line,) = contents(somewhere).values()
    said = json.loads(line)
    assert line.count(b"\n") == 1
    assert said == {
        "host": "one",
        "pid": 1,
        "token": held.token,
        "heartbeat": 1000.0,
        "released": False,
        "report": {"where": "gpu 0"},
    }


def test_an_item_with_a_hostile_name_is_refused(pair):
    with pytest.raises(StoreError, match="not a name"):
        pair[0].claim("../a")


def test_a_claim_lists_no_folder(pair, monkeypatch):
    def listed(*_):
        raise AssertionError("listed")

    pair[0].claim("first")
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(leases.os, name, listed)
    monkeypatch.setattr(files, "names", listed)
    held = pair[0].claim("a")
    assert pair[1].claim("a") is None and pair[0].renew(held)


@pytest.mark.slow
def test_a_claim_among_a_hundred_thousand_leases_takes_less_than_five_milliseconds(tmp_path, clock):
    one = Leases(tmp_path, clock=clock)
    one.claim("first")
    for number in range(100_000):
        (tmp_path / "leases" / f"item{number}.0").touch()
    begun = time.perf_counter()
    for number in range(1000):
        assert one.claim(f"new{number}")
    milliseconds = time.perf_counter() - begun  # of one claim: there were a thousand
    print(f"{milliseconds:.3f} ms for a claim among 100,000 leases")
    assert milliseconds < 5.0
