import sys
import types

import pandas as pd
import pytest

from rl_surrogates.cli import BAD_INPUT, DONE, main
from rl_surrogates.store import EXPORTERS, StoreError, export, exports, open_results


@pytest.fixture
def results(sweep):
    sweep.finished()
    return open_results(sweep.path)


def test_csv_holds_the_three_tables(results, tmp_path):
    export(results, "csv", tmp_path / "csv")
    for name in ("runs", "curves", "evaluations"):
        table, back = getattr(results, name)(), pd.read_csv(tmp_path / "csv" / f"{name}.csv")
        assert list(back) == list(table) and len(back) == len(table)
    curves = pd.read_csv(tmp_path / "csv" / "curves.csv")
    assert curves["episode_return"].isna().sum() == 6  # no episode ended in the first update


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_a_text_that_a_spreadsheet_would_compute_is_quoted(text, results, tmp_path, monkeypatch):
    runs = results.runs().assign(device=text)
    monkeypatch.setattr(type(results), "runs", lambda _: runs)
    export(results, "csv", tmp_path)
    back = pd.read_csv(tmp_path / "runs.csv")
    assert set(back["device"]) == {f"'{text}"}
    assert (back["learning_rate"] > 0).all()  # a number stays one, whatever its sign


@pytest.mark.parametrize("to, package", [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_missing_extra_is_told_with_the_command_that_installs_it(
    to, package, results, sweep, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StoreError, match=rf"{package}: .*pip install 'rl-surrogates\[{to}\]'"):
        export(results, to, tmp_path / "out")
    assert main(["export", str(sweep.path), "--to", to]) == BAD_INPUT
    assert "pip install" in capsys.readouterr().err


def test_every_format_of_the_command_line_has_an_exporter(sweep, results, capsys):
    from typing import get_args, get_type_hints

    from rl_surrogates.cli import Export

    assert set(get_args(get_type_hints(Export)["to"])) == set(EXPORTERS)
    assert main(["export", str(sweep.path)]) == DONE
    assert (sweep.path / "exports" / "csv" / "runs.csv").is_file()
    assert capsys.readouterr().out.strip().endswith("csv")
    sweep.open()  # and they disturb no sweep


def test_tensorboard_gets_every_value_over_environment_steps(results, tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            self.folder = folder

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def add_text(self, *_):
            pass

        def add_scalar(self, name, value, step):
            written.append((self.folder, name, value, step))

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    export(results, "tensorboard", tmp_path)
    assert len(written) == 6 * 3  # six runs of four updates, the first without a value
    assert written[0] == (str(tmp_path / "rate0.1-0"), "episode_return", 2.0, 16)


def test_wandb_stays_offline(results, tmp_path, monkeypatch):
    sessions, logged = [], []

    def init(**settings):
        sessions.append(settings)
        log = lambda values, step: logged.append((values, step))  # noqa: E731
        return types.SimpleNamespace(log=log, finish=lambda: None)

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    export(results, "wandb", tmp_path)
    assert {session["mode"] for session in sessions} == {"offline"} and len(sessions) == 6
    assert sessions[0]["config"]["learning_rate"] == 0.1
    assert logged[1] == ({"episode_return": 2.0, "env_steps": 16}, 16) and exports
