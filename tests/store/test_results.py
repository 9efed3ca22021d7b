import random
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rl_surrogates.store import StoreError, files, manifest, open_results, parquet


def test_the_tables_come_back_as_they_were_stored(sweep):
    sweep.finished()
    results = open_results(sweep.path)
    runs, curves, evaluations = sweep.tables()
    assert list(results.runs()["run_id"]) == [f"rate{r}-{s}" for r in (0.1, 0.2) for s in range(3)]
    first = results.curves()[: len(curves)]
    np.testing.assert_array_equal(first["run_id"], curves["run_id"])
    np.testing.assert_array_equal(first["episode_return"], curves["episode_return"])
    np.testing.assert_array_equal(results.evaluations()["return"][:12], evaluations["return"])


def test_columns_have_the_documented_types(sweep):
    sweep.finished()
    results = open_results(sweep.path)
    runs = results.runs().dtypes
    kinds = {"lane": "int32", "width": "int32", "seed": "int64", "setting": "int32"}
    kinds |= {"diverged_at": "Int64", "wall_s": "float64", "learning_rate": "float64"}
    assert {name: str(runs[name]) for name in kinds} == kinds
    curves = results.curves().dtypes
    assert [str(kind) for kind in curves[1:]] == ["int64", "int64", "float32"]
    assert str(results.evaluations()["return"].dtype) == "float32"


def test_rows_stand_in_the_order_of_settings_seeds_and_updates(sweep):
    store = sweep.open()
    for setting in (1, 0):
        tables = [t.sample(frac=1.0, random_state=0) for t in sweep.tables(setting=setting)]
        store.commit(f"item{setting}", *tables)
    results = open_results(sweep.path)
    order = [f"rate{r}-{s}" for r in (0.1, 0.2) for s in range(3)]
    assert list(results.runs()["run_id"]) == order
    assert list(results.curves()["run_id"]) == list(np.repeat(order, 4))
    assert list(results.curves()["update"]) == [1, 2, 3, 4] * 6
    assert list(results.evaluations()["episode"]) == [0, 1] * 12


def test_a_list_in_a_config_is_stored_as_text(sweep):
    sweep.finished()
    assert set(open_results(sweep.path).runs()["hidden"]) == {"[64, 64]"}


def test_columns_of_different_kinds_in_different_parts_are_joined():
    parts = [pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": ["a"]}), pd.DataFrame({"y": [0.5]})]
    tables = [parquet.pa.Table.from_pandas(part) for part in parts]
    joined = parquet.to_pandas(parquet.join(tables))
    assert list(joined["x"][:3]) == ["1", "2", "a"]
    assert joined["x"].isna()[3] and joined["y"][3] == 0.5


def test_parts_with_equal_columns_are_compared_as_one(monkeypatch):
    compared, agree = [], parquet._agree
    monkeypatch.setattr(
        parquet, "_agree", lambda kinds: compared.append(len(kinds)) or agree(kinds)
    )
    one, other = pa.table({"a": [1], "b": ["x"]}), pa.table({"a": ["1"], "c": [0.5]})
    joined = parquet.join([one] * 40 + [other] + [one] * 40)
    assert max(compared) == 2
    assert joined["a"].to_pylist() == ["1"] * 81 and joined["c"].to_pylist()[39:42] == [
        None,
        0.5,
        None,
    ]


def test_single_columns_of_the_curves_can_be_read(sweep):
    sweep.finished()
    results = open_results(sweep.path)
    assert list(results.curves(["env_steps"])) == ["run_id", "update", "env_steps"]
    assert results.metrics == ["episode_return"]
    with pytest.raises(KeyError, match="no_such_metric"):
        results.curves(["no_such_metric"])


def test_a_score_is_the_mean_of_the_last_evaluation(sweep):
    sweep.finished()
    scores = open_results(sweep.path).scores()
    assert list(scores) == ["run_id", "setting", "seed", "status", "score"]
    assert list(scores["score"]) == [15.0, 16.0, 17.0] * 2
    assert open_results(sweep.path).scores("evaluation/length")["score"].eq(7.0).all()


def test_a_score_from_the_curves_is_that_of_the_last_updates(sweep):
    store = sweep.open()
    runs, curves, evaluations = sweep.tables(updates=40)
    curves.loc[curves["update"] == 40, "episode_return"] = np.nan  # no episode ended
    store.commit("item0", runs, curves, evaluations)
    scores = open_results(sweep.path).scores("training/episode_return")["score"]
    assert list(scores) == [39.0] * 3  # updates 39 and 40 of 40


def test_a_diverged_run_has_no_score_whatever_was_evaluated(sweep):
    sweep.open().commit("item0", *sweep.tables(statuses=("done", "diverged", "done")))
    results = open_results(sweep.path)
    assert list(results.scores()["score"].isna()) == [False, True, False]
    assert results.runs()["diverged_at"].tolist() == [pd.NA, 2, pd.NA]


def test_a_metric_that_was_not_recorded_is_named(sweep):
    sweep.finished()
    with pytest.raises(KeyError, match="evaluation/retrun"):
        open_results(sweep.path).scores("evaluation/retrun")


def test_unfinished_results_open_and_say_what_is_missing(sweep):
    sweep.open().commit("item0", *sweep.tables())
    assert open_results(sweep.path).missing == ["3 of 6 planned runs are not there"]
    assert len(open_results(sweep.path).runs()) == 3


def test_results_without_any_run_open(sweep):
    sweep.open()
    results = open_results(sweep.path)
    assert results.runs().empty and results.curves().empty and results.scores().empty
    assert results.missing == ["6 of 6 planned runs are not there"]


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(StoreError, match="nothing_here: no results"):
        open_results(tmp_path / "nothing_here")
    with pytest.raises(StoreError, match="manifest.json: missing"):
        open_results(tmp_path)


def test_a_linked_folder_or_file_is_not_read(sweep):
    sweep.finished()
    link = sweep.root / "link"
    link.symlink_to(sweep.path)
    with pytest.raises(StoreError, match="symbolic link"):
        open_results(link)
    part = sweep.path / "parts" / "item0.runs.parquet"
    part.rename(sweep.path / "parts" / "moved")
    part.symlink_to(sweep.path / "parts" / "moved")
    with pytest.raises(StoreError, match="symbolic link"):
        open_results(sweep.path)


def test_any_flipped_byte_and_any_cut_is_detected_and_named(sweep):
    """400 flips and 100 cuts over plan, provenance, manifest and parts."""
    sweep.finished()
    chance = random.Random(0)
    paths = [p for p in sorted(sweep.path.rglob("*")) if p.is_file() and "previous" not in p.name]
    assert len(paths) == 3 + 6
    for i in range(500):
        path = paths[i % len(paths)]
        whole = path.read_bytes()
        at = chance.randrange(len(whole))
        changed = whole[at] ^ (1 << chance.randrange(8))
        broken = whole[:at] + bytes([changed]) + whole[at + 1 :] if i % 5 else whole[:at]
        path.write_bytes(broken)
        with pytest.raises(StoreError, match=path.name.replace(".", r"\.")):
            open_results(sweep.path)
        path.write_bytes(whole)
    open_results(sweep.path)


@pytest.mark.parametrize("table", manifest.TABLES)
def test_partial_results_hold_what_is_sound(sweep, table):
    sweep.finished()
    name = f"item0.{table}.parquet"
    (sweep.path / "parts" / name).write_bytes(b"PAR1")
    results = open_results(sweep.path, partial=True)
    assert name in results.missing[0]
    whole = {"runs": 6, "curves": 24, "evaluations": 24}
    for other in manifest.TABLES:
        lost = table in ("runs", other)  # without its runs, nothing of an item can be placed
        assert len(getattr(results, other)()) == whole[other] // (2 if lost else 1)


@pytest.mark.parametrize("name", ["plan.json", "provenance.json", "manifest.json"])
def test_partial_results_survive_damage_to_what_describes_them(sweep, name):
    sweep.finished()
    (sweep.path / name).unlink()
    results = open_results(sweep.path, partial=True)
    assert name in results.missing[0]
    assert len(results.runs()) == (3 if name == "manifest.json" else 6)


def test_a_manifest_cannot_name_a_file_outside(sweep):
    sweep.finished()
    shutil.copy(sweep.path / "plan.json", sweep.root / "plan.json")
    listed = manifest.read_manifest(sweep.path)
    listed["../plan.json"] = listed["plan.json"]
    manifest.write_manifest(sweep.path, listed)
    with pytest.raises(StoreError, match="outside the results"):
        open_results(sweep.path)


def test_a_part_that_is_no_table_is_an_error_even_where_its_hash_is_right(sweep):
    sweep.finished()
    listed = manifest.read_manifest(sweep.path)
    path = "parts/item0.runs.parquet"
    data = b"\x80\x04K\x01."  # a pickle
    (sweep.path / path).write_bytes(data)
    listed[path] |= files.seal_of(data)._asdict()
    manifest.write_manifest(sweep.path, listed)
    with pytest.raises(StoreError, match=r"item0\.runs\.parquet: damaged: not a Parquet file"):
        open_results(sweep.path).runs()


def test_a_later_format_is_not_taken_for_damage(sweep):
    sweep.finished()
    text = (sweep.path / "manifest.json").read_text()
    (sweep.path / "manifest.json").write_text(text.replace('"format": 1', '"format": 3', 1))
    with pytest.raises(StoreError, match="format 3"):
        open_results(sweep.path)
