"""A sweep that was interrupted ends with the bits of one that never was."""

import pickle
import shutil

import jax
import numpy as np
import pandas as pd
import pytest

from rl_surrogates.store import StoreError, StoreWarning, checkpoints, manifest, open_results
from rl_surrogates.sweep import carry, engine, item, make_plan, run_sweep
from tests.reliability.sweeping import (
    UPDATES,
    ask,
    assert_same,
    interrupt_after,
    tables,
)

pytestmark = pytest.mark.usefixtures("cheap")


@pytest.fixture
def trained(monkeypatch):
    """`(item, updates)` of every chunk that is really computed."""
    chunks = []
    collect = item.Training._collect

    def watched(self, rows, count):
        chunks.append((self.job.item.item, count))
        return collect(self, rows, count)

    monkeypatch.setattr(item.Training, "_collect", watched)
    return chunks


def saved(root):
    """The checkpoints of the sweep below `root`, the newest first."""
    return sorted((root / "tiny" / "checkpoints").glob("*.ckpt"), reverse=True)


def listed(root):
    """Those of them that the manifest lists; the last one written may not be there yet."""
    folder = root / "tiny"
    return [folder / path for path in reversed(manifest.read_manifest(folder)) if "ckpt" in path]


def flip(path, at=-5):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("events", [1, 4, 7])
def test_a_begun_item_goes_on_from_its_last_checkpoint_with_the_same_bits(
    events, reference, tmp_path, monkeypatch, trained
):
    interrupt_after(monkeypatch, tmp_path, ask(), events)
    before = sum(count for _, count in trained)
    assert saved(tmp_path)
    run_sweep(ask(), out=tmp_path)
    assert_same(tables(tmp_path / "tiny"), reference)
    redone = sum(count for _, count in trained) - 2 * UPDATES
    assert 0 <= redone <= 1, f"{before} updates before, {redone} of them twice"
    assert not saved(tmp_path)


def test_the_last_two_checkpoints_are_kept(tmp_path, monkeypatch):
    interrupt_after(monkeypatch, tmp_path, ask(), 4)
    assert [int(path.suffixes[0][1:]) for path in saved(tmp_path)] == [5, 4, 3]
    assert listed(tmp_path) == saved(tmp_path)[1:]  # 5 was written, and not yet listed


def test_a_damaged_checkpoint_is_replaced_by_the_one_before_and_told(
    reference, tmp_path, monkeypatch, trained
):
    interrupt_after(monkeypatch, tmp_path, ask(), 2)
    trained.clear()
    flip(listed(tmp_path)[0])
    with pytest.warns(StoreWarning, match=r"\.2\.ckpt: damaged.*going on from update 1"):
        run_sweep(ask(), out=tmp_path)
    assert sum(count for _, count in trained) == 2 * UPDATES - 1
    assert_same(tables(tmp_path / "tiny"), reference)


def test_two_damaged_checkpoints_start_the_item_again(reference, tmp_path, monkeypatch, trained):
    interrupt_after(monkeypatch, tmp_path, ask(), 2)
    trained.clear()
    for path in saved(tmp_path):
        flip(path)
    with pytest.warns(StoreWarning, match="going on from update 0"):
        run_sweep(ask(), out=tmp_path)
    assert sum(count for _, count in trained) == 2 * UPDATES
    assert_same(tables(tmp_path / "tiny"), reference)


def test_how_often_is_saved_changes_no_bit(reference, tmp_path):
    run_sweep(ask(every=3), out=tmp_path)
    assert_same(tables(tmp_path / "tiny"), reference)


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["chunks of one", "as long as they get"])
def test_the_length_of_the_chunks_changes_no_bit(seconds, reference, tmp_path, monkeypatch):
    monkeypatch.setattr(item, "CHUNK_SECONDS", seconds)
    run_sweep(ask(every=UPDATES), out=tmp_path)
    assert_same(tables(tmp_path / "tiny"), reference)


def test_measures_per_minibatch_are_columns_that_survive_an_interruption(
    reference, tmp_path, monkeypatch
):
    asked = ask(diagnostics__per="minibatch")
    interrupt_after(monkeypatch, tmp_path, asked, 2)
    curves = run_sweep(asked, out=tmp_path).curves()
    plain = reference["curves"].drop(columns="run_id")
    pd.testing.assert_frame_equal(curves[plain.columns], plain, check_exact=True)
    places = [f"approx_kl_minibatch_1_{minibatch}" for minibatch in (1, 2)]
    np.testing.assert_allclose(curves[places].mean(axis=1), curves["approx_kl"], rtol=1e-5)
    first = curves["ratio_error_minibatch_1_1"]
    np.testing.assert_array_equal(first, curves["first_ratio_error"])


def test_an_edit_drops_the_checkpoints_of_what_is_not_asked_any_more(tmp_path, monkeypatch):
    interrupt_after(monkeypatch, tmp_path, ask(), 2)
    other = run_sweep(ask(ent_coef=0.5), out=tmp_path)
    assert set(other.runs()["ent_coef"]) == {0.5} and not saved(tmp_path)


def test_a_finished_sweep_that_is_run_again_trains_nothing_and_changes_no_byte(
    finished, tmp_path, trained
):
    shutil.copytree(finished, tmp_path / "tiny")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    run_sweep(ask(), out=tmp_path)
    assert not trained
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_every_run_has_the_hash_of_its_parameters_and_seeds_differ(reference):
    hashes = reference["runs"]["params_sha256"]
    assert hashes.str.fullmatch("[0-9a-f]{64}").all() and hashes.nunique() == 8


def test_items_and_going_on_share_one_compilation(tmp_path, monkeypatch, caplog):
    interrupt_after(monkeypatch, tmp_path, ask(), 3)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        run_sweep(ask(), out=tmp_path)
    assert not [text for text in caplog.messages if "Finished tracing" in text and "adv" in text]


def test_a_checkpoint_of_another_tree_is_refused_by_name(compiled, finished):
    plan = make_plan(ask())
    lanes = compiled[plan.programs[0].digest]
    runs = plan.items()[0].runs
    hypers = lanes.hypers([plan.settings[run.setting].config for run in runs])
    seeds = np.array([run.seed for run in runs], np.uint32)
    begun = carry.Carry(lanes.init(seeds, hypers), {}, {}, 0, 0.0)
    about, arrays = carry.pack(begun)
    tree = carry.expected(lanes, seeds, hypers, about)
    shapes = carry.shapes(tree)
    data = checkpoints.to_bytes(about, arrays)
    back = carry.unpack(lanes, tree, checkpoints.from_bytes("x", data, shapes))
    again = carry.pack(back)
    assert again[0] == about and all(np.array_equal(again[1][n], arrays[n]) for n in arrays)

    name = next(name for name in shapes if "kernel" in name)
    (first, *rest), dtype = shapes[name]
    for wrong in ((first + 1, *rest), dtype), ((first, *rest), "int32"):
        with pytest.raises(StoreError, match="does not fit the program"):
            checkpoints.from_bytes("x", data, {**shapes, name: wrong})
    about["keys"] = dict.fromkeys(about["keys"], "rbg")
    odd = checkpoints.from_bytes("x", checkpoints.to_bytes(about, arrays), shapes)
    with pytest.raises(StoreError, match="another generator, rbg"):
        carry.unpack(lanes, tree, odd)


class Canary:
    def __reduce__(self):
        return (print, ("a pickle was loaded",))


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Canary()),
        b"",
        checkpoints.MAGIC,
        checkpoints.MAGIC + (1 << 60).to_bytes(8, "little") + b"{}",
        checkpoints.MAGIC + (2).to_bytes(8, "little") + b"{}",
        checkpoints.to_bytes({}, {"a": np.zeros(3)})[:-1],
        checkpoints.to_bytes({}, {"a": np.zeros(3)}) + b"\0",
    ],
    ids="pickle empty magic long_header no_header cut longer".split(),
)
def test_what_is_no_checkpoint_is_refused_and_nothing_in_it_runs(data, capfd):
    with pytest.raises(StoreError, match="not a checkpoint"):
        checkpoints.read_about("x", data)
    assert not capfd.readouterr().out


def test_counts_beyond_32_bits_and_odd_floats_survive_a_checkpoint():
    arrays = {"a": np.array([np.nan, np.inf, -0.0], np.float32), "b": np.zeros((0, 2), np.uint32)}
    data = checkpoints.to_bytes({"steps": 2**70}, arrays)
    assert data == checkpoints.to_bytes({"steps": 2**70}, arrays)
    shapes = {"a": ((3,), "float32"), "b": ((0, 2), "uint32")}
    back = checkpoints.from_bytes("x", data, shapes)
    assert back.about == {"steps": 2**70}
    assert back.arrays["a"].tobytes() == arrays["a"].tobytes()


def test_results_that_are_read_while_a_sweep_goes_on_may_lack_a_checkpoint(tmp_path, monkeypatch):
    interrupt_after(monkeypatch, tmp_path, ask(), 2)
    listed(tmp_path)[0].unlink()
    assert len(open_results(tmp_path / "tiny").runs()) == 0
    flip(listed(tmp_path)[1])
    with pytest.raises(StoreError, match=r"\.ckpt: damaged"):
        open_results(tmp_path / "tiny")


def test_an_item_keeps_its_width_when_it_goes_on():
    (program,) = make_plan(ask()).programs
    begun = program.runs[2:5]
    entry = {"checkpoint": "begun", "width": 4, "program": program.digest}
    wide = make_plan(ask(lanes=8))
    first, *rest = wide.items(begun=[{**entry, "runs": [run.run_id for run in begun]}])
    assert (first.item, first.runs, first.width) == ("begun", begun, 4)
    assert [item.width for item in rest] == [8]
    assert {*rest[0].runs} == {*program.runs} - {*begun}
    for odd in ({"program": "another"}, {"runs": ["unknown"]}):
        entry = {**entry, "runs": [run.run_id for run in begun], **odd}
        assert [item.width for item in wide.items(begun=[entry])] == [8]


def test_other_versions_on_resume_are_told_recorded_and_refused_where_strict(
    tmp_path, monkeypatch, reference
):
    interrupt_after(monkeypatch, tmp_path, ask(), 2)
    collect = engine.store.collect_provenance

    def newer(overrides):
        found = collect(overrides)
        return {**found, "versions": {**found["versions"], "gymnax": "9.9"}}

    monkeypatch.setattr(engine.store, "collect_provenance", newer)
    with pytest.raises(StoreError, match=r"gymnax .* and 9\.9; refused because of --strict"):
        run_sweep(ask(), out=tmp_path, strict=True)
    with pytest.warns(StoreWarning, match=r"gymnax .* and 9\.9"):
        found = run_sweep(ask(), out=tmp_path)
    (begun,) = {v for v in found.versions["gymnax"] if "+" in v}
    assert begun.endswith("+9.9") and "9.9" in found.versions["gymnax"]
    assert_same(tables(tmp_path / "tiny"), reference)
