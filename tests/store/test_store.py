import json

import pandas as pd
import pytest

from rl_surrogates.store import (
    Store,
    StoreError,
    StoreWarning,
    check_versions,
    files,
    manifest,
    open_results,
    parquet,
)
from rl_surrogates.store.leases import Leases
from tests.store.anywhere import contents, everywhere
from tests.store.full_disk import full_at


@everywhere
def test_every_file_is_listed_with_its_size_and_hash(sweep):
    sweep.finished()
    there = contents(sweep.path)
    content = json.loads(there["manifest.json"])
    assert set(content["files"]) == {path for path in there if not path.startswith("manifest")}
    for path, entry in content["files"].items():
        data = there[path]
        assert (entry["bytes"], entry["sha256"]) == (len(data), files.seal_of(data).sha256)


@everywhere
def test_finished_runs_are_those_done_or_known_to_diverge(sweep):
    store = sweep.open()
    assert store.finished_runs() == set()
    store.commit("item0", *sweep.tables(statuses=("done", "diverged", "failed")))
    finished = {"rate0.1-0", "rate0.1-1"}
    assert store.finished_runs() == finished
    assert sweep.open().finished_runs() == finished


@everywhere
def test_opening_finished_results_again_changes_no_byte(sweep):
    sweep.finished()
    before = sweep.snapshot()
    store = sweep.open(made_by={"versions": {"jax": "0.10.2"}, "git": "another commit"})
    assert len(store.finished_runs()) == 6
    assert sweep.snapshot() == before


@everywhere
def test_the_provenance_of_the_first_session_stands(sweep):
    sweep.finished()
    sweep.open(plan=sweep.plan(description="new"), made_by={"versions": {"jax": "0.11.0"}})
    assert open_results(sweep.path).provenance == sweep.provenance


@everywhere
def test_an_edited_plan_keeps_the_runs_that_it_still_has(sweep):
    sweep.finished()
    plan = sweep.plan(rates=(0.2, 0.3))  # 0.2 was setting 1 and is setting 0 now
    store = sweep.open(plan=plan)
    assert store.finished_runs() == {"rate0.2-0", "rate0.2-1", "rate0.2-2"}
    store.commit("item0b", *sweep.tables(plan, setting=1, item="item0b"))
    runs = open_results(sweep.path).runs()
    assert list(zip(runs["setting"], runs["learning_rate"], runs["seed"], strict=True)) == [
        (setting, rate, seed) for setting, rate in ((0, 0.2), (1, 0.3)) for seed in range(3)
    ]


@everywhere
def test_a_plan_that_returns_finds_its_old_runs(sweep):
    sweep.finished()
    sweep.open(plan=sweep.plan(rates=(0.2,)))
    assert len(open_results(sweep.path).runs()) == 3
    assert len(sweep.open().finished_runs()) == 6


@everywhere
def test_of_a_run_stored_twice_the_last_one_counts(sweep):
    store = sweep.open()
    store.commit("item0", *sweep.tables(statuses=("failed", "done", "done")))
    store.commit("item0", *sweep.tables(updates=6))
    results = open_results(sweep.path)
    assert list(results.runs()["status"]) == ["done"] * 3
    assert len(results.curves()) == 3 * 6
    assert len(store.finished_runs()) == 3


@everywhere
def test_a_run_redone_in_another_item_counts_there_only(sweep):
    store = sweep.open()
    store.commit("item0", *sweep.tables(statuses=("failed", "done", "done")))
    again = [table[table["run_id"] == "rate0.1-0"] for table in sweep.tables(updates=6)]
    again[0] = again[0].assign(item="retry")
    store.commit("retry", *again)
    results = open_results(sweep.path)
    assert list(results.runs()["item"]) == ["retry", "item0", "item0"]
    assert list(results.curves().groupby("run_id", sort=False).size()) == [6, 4, 4]
    assert len(sweep.open().finished_runs()) == 3


@everywhere
def test_a_failed_item_needs_no_curves(sweep):
    runs, _, _ = sweep.tables(statuses=("failed",) * 3)
    sweep.open().commit("item0", runs)
    results = open_results(sweep.path)
    assert results.curves().empty and results.evaluations().empty
    assert results.scores()["score"].isna().all()
    assert results.missing == [
        "3 of 6 planned runs are not there",
        "3 runs failed and have no results",
    ]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda runs: runs.drop(columns="seed"), "lacks the columns seed"),
        (lambda runs: runs.assign(seed="x"), "column seed"),
        (lambda runs: runs.assign(run_id="same"), "twice"),
        (lambda runs: runs.assign(setting=9), "settings that the plan lacks"),
        (lambda runs: runs.assign(item="other"), "another work item"),
        (lambda runs: runs.iloc[:2], "not in the table of runs"),
    ],
)
def test_tables_that_do_not_fit_are_refused_before_anything_is_written(sweep, change, message):
    store = sweep.open()
    before = sweep.snapshot()
    runs, curves, evaluations = sweep.tables()
    with pytest.raises(ValueError, match=message):
        store.commit("item0", change(runs), curves, evaluations)
    assert sweep.snapshot() == before


def test_an_item_s_name_cannot_lead_out_of_the_folder(sweep):
    runs, curves, evaluations = sweep.tables(item="../../x")
    with pytest.raises(StoreError, match="not a name"):
        sweep.open().commit("../../x", runs, curves, evaluations)


def test_a_linked_parts_folder_is_refused(sweep):
    elsewhere = sweep.root / "elsewhere"
    elsewhere.mkdir(parents=True)
    sweep.path.mkdir()
    (sweep.path / "parts").symlink_to(elsewhere)
    with pytest.raises(StoreError, match="symbolic link"):
        sweep.open()


def test_equal_tables_give_equal_bytes_whatever_they_came_as(sweep):
    for name, table in zip(manifest.TABLES, sweep.tables(), strict=True):
        whole = parquet.to_bytes(parquet.to_table(name, table))
        shuffled_index = table.set_index(pd.Index(range(10, 10 + len(table))))
        as_mapping = {column: table[column].tolist() for column in table}
        for other in (table, shuffled_index, as_mapping):
            assert parquet.to_bytes(parquet.to_table(name, other)) == whole


def test_every_failing_write_leaves_the_earlier_state_readable(sweep, monkeypatch):
    """Fails the k-th write, sync and rename of an edit and a commit, for every k."""
    sweep.open().commit("item0", *sweep.tables())
    plan, before = sweep.plan(description="edited"), sweep.snapshot()
    failures = 0
    for step in ("write", "fsync", "replace"):
        for k in range(100):
            _restore(sweep, before)
            if not _fails_at(sweep, plan, step, k, monkeypatch):
                break
            failures += 1
            there = set(open_results(sweep.path).runs()["run_id"])
            assert {"rate0.1-0", "rate0.1-1", "rate0.1-2"} <= there
            store = sweep.open(plan=plan)
            assert store.finished_runs() == there
            store.commit("item1", *sweep.tables(setting=1))
            assert len(open_results(sweep.path).runs()) == 6
        else:
            raise AssertionError("the loop over k never ended")
    assert failures > 25


def test_what_a_killed_writer_left_aside_is_removed(sweep):
    sweep.finished()
    leftover = sweep.path / "parts" / ".item9.runs.parquet.77.aside"
    leftover.write_bytes(b"half a file")
    sweep.open()
    assert not leftover.exists()


def test_half_a_part_of_a_lost_worker_is_removed_and_that_of_a_living_one_is_not(sweep):
    store, leases = sweep.open(), Leases(sweep.path)
    held = leases.claim("item9")
    parts = sweep.path / "parts"
    lost = parts / ".item8.0123456789abcdef.curves.parquet.5056.aside"
    living = parts / f".item9.{held.token}.curves.parquet.77.aside"
    for begin in (store.tidy, sweep.open):
        lost.write_bytes(b"half a file")
        living.write_bytes(b"half a file")
        begin()
        assert not lost.exists() and living.exists()
    leases.release(held)
    store.tidy()
    assert not living.exists()


@everywhere
def test_a_damaged_part_is_dropped_with_a_warning_and_run_again(sweep):
    sweep.finished()
    part = sweep.path / "parts" / "item0.curves.parquet"
    files.write_atomically(part, files.read(part)[:-1])
    with pytest.warns(StoreWarning, match="item0.curves.parquet: damaged"):
        store = sweep.open()
    assert store.finished_runs() == {"rate0.2-0", "rate0.2-1", "rate0.2-2"}
    store.commit("item0", *sweep.tables())
    assert len(open_results(sweep.path).runs()) == 6


@everywhere
def test_a_damaged_manifest_costs_one_item_and_not_all(sweep):
    sweep.finished()
    files.write_atomically(sweep.path / "manifest.json", b"{}")
    with pytest.warns(StoreWarning, match="manifest.json: damaged"):
        store = sweep.open()
    assert store.finished_runs() == {"rate0.1-0", "rate0.1-1", "rate0.1-2"}
    assert len(open_results(sweep.path).runs()) == 3


@everywhere
def test_two_damaged_manifests_are_refused_by_name(sweep):
    sweep.finished()
    for name in ("manifest.json", "manifest.previous.json"):
        files.write_atomically(sweep.path / name, b"{")
    with pytest.raises(StoreError, match="manifest.json: damaged"):
        sweep.open()


@everywhere
def test_other_versions_are_told_and_refused_where_strict(sweep):
    sweep.finished()
    same = sweep.open()
    check_versions(same, strict=True)
    assert same.mixed_versions() == {}
    newer = {"versions": {"jax": "0.11.0", "gymnax": "1.0.1"}, "prng": {"uniform": [0.5]}}
    store = sweep.open(made_by=newer)
    assert store.mixed_versions() == {"jax": ("0.10.2", "0.11.0")}
    with pytest.warns(StoreWarning, match="jax 0.10.2 and 0.11.0"):
        check_versions(store)
    with pytest.raises(StoreError, match="--strict"):
        check_versions(store, strict=True)


def test_parts_of_different_versions_are_recorded_as_mixed(sweep):
    sweep.open().commit("item0", *sweep.tables())
    assert open_results(sweep.path).versions == {}
    other = {"versions": {"jax": "0.10.2", "gymnax": "1.0.1"}, "prng": {"uniform": [0.6]}}
    sweep.open(made_by=other).commit("item1", *sweep.tables(setting=1))
    assert list(open_results(sweep.path).versions) == ["prng"]


def test_the_folder_is_where_it_was_asked_for(sweep):
    assert Store.open(str(sweep.root), "small", sweep.plan(), sweep.provenance).path == sweep.path


def _restore(sweep, before):
    for path in [path for path in sweep.root.rglob("*") if path.is_file()]:
        path.unlink()
    for name, data in before.items():
        (sweep.root / name).write_bytes(data)


def _fails_at(sweep, plan, step, k, monkeypatch) -> bool:
    """Whether opening with an edited plan and committing fails when the k-th `step` does."""
    with full_at(step, k, monkeypatch):
        try:
            store = sweep.open(plan=plan)
            store.commit("item1", *sweep.tables(setting=1))
        except StoreError as error:
            assert "\n" not in str(error) and str(sweep.path) in str(error)
            return True
    return False
