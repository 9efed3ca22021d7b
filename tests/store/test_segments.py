"""A manifest of many files: what was listed first lies in segments, and nothing else changes."""

import itertools
import json
import random
import shutil

import pytest

from rl_surrogates.store import (
    StoreError,
    StoreWarning,
    files,
    listed,
    manifest,
    open_results,
)
from tests.store.anywhere import everywhere
from tests.store.full_disk import full_at

ITEMS = 7
ENTRY = {"sha256": "0" * 64, "bytes": 1, "table": "runs", "item": "x", "versions": {"jax": "0"}}
RATES = tuple(0.1 * (i + 1) for i in range(ITEMS))


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    """Two work items of three parts each are folded at once."""
    monkeypatch.setattr(listed, "FOLD", 6)


def opened(sweep, **changes):
    return sweep.open(**{"plan": sweep.plan(RATES), **changes})


def commit(sweep, store, *items, **tables):
    for i in items:
        store.commit(f"item{i}", *sweep.tables(sweep.plan(RATES), i, **tables))


def seeds_by_item(sweep, **how):
    runs = open_results(sweep.path, **how).runs()
    return {item: len(rows) for item, rows in runs.groupby("item")}


@pytest.fixture
def folded(sweep):
    """Seven items committed: six in three segments, the last one in the manifest."""
    commit(sweep, opened(sweep), *range(ITEMS))
    assert len(files.names(sweep.path / "segments")) == 2 * 3
    return sweep


@everywhere
def test_every_file_is_listed_with_its_size_and_hash_in_the_order_of_the_commits(folded):
    found = manifest.read_manifest(folded.path)
    assert len(found) == 2 + 3 * ITEMS
    for path, entry in found.items():
        data = files.read(folded.path / path)
        assert (entry["bytes"], entry["sha256"]) == (len(data), files.seal_of(data).sha256)
    assert list(manifest.items(found)) == [f"item{i}" for i in range(ITEMS)]
    assert dict(opened(folded).listed) == found


@everywhere
def test_a_reader_sees_no_difference(folded):
    assert seeds_by_item(folded) == {f"item{i}": 3 for i in range(ITEMS)}
    assert open_results(folded.path).missing == [] and open_results(folded.path).versions == {}
    before = folded.snapshot()
    assert len(opened(folded).finished_runs()) == 3 * ITEMS
    assert folded.snapshot() == before


def test_a_small_manifest_has_the_format_that_it_always_had(sweep):
    commit(sweep, opened(sweep), 0)
    content = json.loads((sweep.path / "manifest.json").read_bytes())
    assert content["format"] == 1 and list(content) == ["format", "files", "sha256"]
    assert not (sweep.path / "segments").exists()


def test_results_of_the_older_format_are_continued(sweep, monkeypatch):
    monkeypatch.setattr(listed, "FOLD", 10**9)
    commit(sweep, opened(sweep), *range(ITEMS - 1))
    monkeypatch.setattr(listed, "FOLD", 6)
    commit(sweep, opened(sweep), ITEMS - 1)
    assert json.loads((sweep.path / "manifest.json").read_bytes())["format"] == 2
    assert seeds_by_item(sweep) == {f"item{i}": 3 for i in range(ITEMS)}


def test_one_more_item_is_one_more_entry_however_many_there_are(sweep):
    store, sizes = opened(sweep).listed, []
    for name in names(0, 48):
        store.update([], {name: ENTRY})
        sizes.append((sweep.path / "manifest.json").stat().st_size)
    per_segment = (max(sizes[42:]) - max(sizes[18:24])) / 4
    assert per_segment < 150
    assert max(sizes[42:]) < max(sizes[:6]) + 8 * per_segment
    assert len(store) == 2 + 48 and len(manifest.read_manifest(sweep.path)) == 2 + 48


@pytest.mark.parametrize("again", [0, 4])
def test_an_item_done_again_counts_once_wherever_its_first_parts_are_listed(sweep, again):
    store = opened(sweep)
    commit(sweep, store, again, statuses=("failed", "done", "done"))
    commit(sweep, store, *(i for i in range(ITEMS) if i != again), again, updates=6)
    assert list(open_results(sweep.path).runs()["status"]) == ["done"] * 3 * ITEMS
    found = manifest.read_manifest(sweep.path)
    assert dict(store.listed) == found == dict(opened(sweep).listed)
    assert len(found) == 2 + 3 * ITEMS
    assert list(manifest.items(found))[-1] == f"item{again}"


def test_any_flipped_byte_and_any_cut_of_a_segment_is_named_and_costs_nothing(folded):
    chance, whole = random.Random(0), seeds_by_item(folded)
    originals = sorted(p for p in (folded.path / "segments").iterdir() if "copy" not in p.name)
    for i, path in zip(range(6), itertools.cycle(originals), strict=False):
        before = path.read_bytes()
        at = chance.randrange(len(before))
        flipped = before[:at] + bytes([before[at] ^ (1 << chance.randrange(8))]) + before[at + 1 :]
        path.write_bytes(flipped if i % 3 else before[:at])
        with pytest.raises(StoreError, match=path.name):
            open_results(folded.path)
        assert path.name in open_results(folded.path, partial=True).missing[0]
        assert seeds_by_item(folded, partial=True) == whole
        with pytest.warns(StoreWarning, match=path.name):
            store = opened(folded)
        assert len(store.finished_runs()) == 3 * ITEMS and path.read_bytes() == before
    assert seeds_by_item(folded) == whole


def test_a_segment_whose_copy_is_damaged_too_costs_its_own_items(folded):
    for path in (folded.path / "segments").glob("000002*"):
        path.write_bytes(path.read_bytes()[:-1])
    kept = {f"item{i}": 3 for i in (0, 1, 4, 5, 6)}
    assert seeds_by_item(folded, partial=True) == kept
    with pytest.warns(StoreWarning, match=r"000002\.json"):
        store = opened(folded)
    assert seeds_by_item(folded) == kept and len(store.finished_runs()) == 15
    commit(folded, store, 2, 3)
    assert seeds_by_item(folded) == {f"item{i}": 3 for i in range(ITEMS)}
    assert len(opened(folded).finished_runs()) == 3 * ITEMS


def test_a_damaged_manifest_costs_one_item_also_where_it_was_the_first_to_name_a_segment(sweep):
    commit(sweep, opened(sweep), 0, 1)  # the second is what is folded
    (sweep.path / "manifest.json").write_bytes(b"{}")
    with pytest.warns(StoreWarning, match="manifest.json: damaged"):
        store = opened(sweep)
    assert len(store.finished_runs()) == 3 and not list((sweep.path / "segments").iterdir())
    commit(sweep, store, 1)
    assert seeds_by_item(sweep) == {"item0": 3, "item1": 3}


def test_every_failing_write_of_a_fold_leaves_the_list_before_or_the_one_after(sweep, monkeypatch):
    """Fails the k-th write, sync and rename, for every k; the same process goes on, or another."""
    before, after, failures = {"plan.json", *names(0, 5)}, {"plan.json", *names(0, 6)}, 0
    for step, goes_on in itertools.product(("write", "fsync", "replace"), (True, False)):
        for k in range(100):
            shutil.rmtree(sweep.path, ignore_errors=True)
            sweep.path.mkdir(parents=True)
            store = listed.Listed(sweep.path)
            store.update([], {"plan.json": {"bytes": 1}, **dict.fromkeys(names(0, 5), ENTRY)})
            if not fails(store, step, k, monkeypatch):
                break
            failures += 1
            assert set(manifest.read_manifest(sweep.path)) in (before, after)
            if not goes_on:
                store = listed.Listed(sweep.path)
                assert store.recover() == []
            store.update([], dict.fromkeys(names(5, 9), ENTRY))
            assert set(manifest.read_manifest(sweep.path)) == set(store) == before | {*names(5, 9)}
    assert failures > 25


def names(first, last):
    return [f"parts/{i:03d}.runs.parquet" for i in range(first, last)]


def fails(store, step, k, monkeypatch) -> bool:
    with full_at(step, k, monkeypatch):
        try:
            store.update([], dict.fromkeys(names(5, 6), ENTRY))
        except StoreError as error:
            assert "\n" not in str(error) and str(store.folder) in str(error)
            return True
    return False


def test_two_processes_that_take_turns_lose_nothing_of_each_other(sweep):
    one, other = opened(sweep), opened(sweep)
    for i in range(ITEMS):
        commit(sweep, (one, other)[i % 2], i)
    one.enlist_checkpoint("late", "checkpoints/late.1.ckpt", {"checkpoint": "late"})
    commit(sweep, other, 0, updates=6)
    found = manifest.read_manifest(sweep.path)
    assert dict(other.listed) == found and list(manifest.items(found))[-1] == "item0"
    assert other.listed.begun() == ["late"]
    other.drop_checkpoints(["checkpoints/late.1.ckpt"])
    one.listed.update([], {})
    assert dict(one.listed) == dict(other.listed) and one.listed.begun() == []
    assert seeds_by_item(sweep) == {f"item{i}": 3 for i in range(ITEMS)}
