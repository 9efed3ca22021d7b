"""The program as a person meets it: what it prints, what it refuses, and how it ends."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rl_surrogates as rls
from rl_surrogates import environments
from rl_surrogates.cli import BAD_INPUT, DIVERGED, DONE, INTERRUPTED, TERMINATED, main
from tests.compiled import share_compilations

ROOT = Path(__file__).parents[1]
TINY = """\
name: tiny
description: Which of two?
parameters:
  objective.name: {values: [ppo_clip, policy_gradient]}
  ascent.num_epochs: {value: 2}
  ascent.num_minibatches: {value: 2}
  network.hidden: {value: [4]}
  num_envs: {value: 2}
  num_steps: {value: 8}
  total_timesteps: {value: 96}
  evaluation.episodes: {value: 2}
seeds: {count: 2}
execution: {lanes: 2}
"""
BAD = """\
name: bad
parameters:
  num_evns: {value: 4}
  objective.name: {values: [ppo_clop]}
  num_envs: {value: 2}
  num_steps: {value: 8}
  ascent.num_minibatches: {value: 5}
"""
PROBLEM = re.compile(r"^(?P<file>.*\.yaml):(?P<line>\d+):(?P<column>\d+): (?P<rest>.+)$")


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory):
    """The environment of a process that compiles nothing which this session has compiled."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "master")
    shared = share_compilations(tmp_path_factory, worker)
    return {**os.environ, **shared, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


@pytest.fixture(autouse=True)
def handlers():
    """The command line catches SIGTERM; tests do not."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty current folder with `tiny.yaml` and `bad.yaml` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


@pytest.fixture(scope="module")
def answered(tmp_path_factory, environment):
    """The folder of a finished sweep, its exit status and what it printed."""
    folder = tmp_path_factory.mktemp("answered")
    (folder / "tiny.yaml").write_text(TINY)
    done = command(["sweep", "tiny.yaml"], folder, environment)
    return folder, done


def command(arguments, folder, environment, timeout=300):
    return subprocess.run(
        [sys.executable, "-m", "rl_surrogates", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_every_problem_of_a_file_is_one_line_with_its_place(place, capsys):
    assert main(["sweep", "bad.yaml"]) == BAD_INPUT == 2
    printed = capsys.readouterr()
    found = [PROBLEM.match(line) for line in printed.err.splitlines()]
    assert all(found) and len(found) == 3, printed.err
    assert [(one["line"], one["rest"].split(":")[0]) for one in found] == [
        ("3", "num_evns"),
        ("4", "objective.name"),
        ("7", "ascent.num_minibatches"),
    ]
    assert "num_envs" in found[0]["rest"] and "ppo_clip" in found[1]["rest"]
    assert "4 or 8" in found[2]["rest"]
    assert printed.out == ""
    assert files(place) == ["bad.yaml", "tiny.yaml"]


def test_a_bad_file_is_refused_by_a_fresh_process_within_three_seconds(place, environment):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = command(["sweep", "bad.yaml"], place, environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and PROBLEM.match(done.stderr.splitlines()[0])
    assert files(place) == ["bad.yaml", "tiny.yaml"]
    # The time of the processor, so that a busy machine fails nothing.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3.0


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["sweep", "missing.yaml"], "missing.yaml"),
        (["plan", "bad.yaml"], "num_evns"),
        (["run", "tiny.yaml"], "tiny.yaml"),  # a question is not a run
        (["sweep", "tiny.yaml", "ascent.learning_rate=fast"], "ascent.learning_rate"),
        (["sweep", "tiny.yaml", "ascent.lerning_rate=1"], "learning_rate"),
        (["sweep", "--executor", "ray", "tiny.yaml", "--yes", "num_evns=1"], "num_envs"),
        (["sweep", "tiny.yaml", "bad.yaml"], "bad.yaml"),  # nothing of the first is trained
        (["sweep", "tiny.yaml", "seeds.count=100000"], "200000"),
        (["report", "nowhere"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_ends_with_status_2_and_leaves_nothing(place, capsys, arguments, named):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert named in printed.err and "Traceback" not in printed.err
    assert files(place) == ["bad.yaml", "tiny.yaml"]


def test_a_place_that_cannot_be_written_is_refused_before_any_compilation(
    place, capsys, monkeypatch
):
    from rl_surrogates import sweep

    monkeypatch.setattr(sweep, "run_sweep", lambda *_, **__: pytest.fail("it began to train"))
    (place / "taken").write_text("")
    assert main(["sweep", "tiny.yaml", "--out", "taken"]) == 2
    assert "taken" in capsys.readouterr().err


def test_the_plan_says_programs_lanes_and_runs_and_writes_nothing(place, capsys):
    assert main(["plan", "tiny.yaml", "ascent.num_epochs=3"]) == DONE
    printed = capsys.readouterr().out
    assert "2 settings x 2 seeds = 4 runs" in printed and "384 environment steps" in printed
    assert "1 programs, 2 work items of up to 2 lanes" in printed.replace(
        "1 program,", "1 programs,"
    )
    assert "ppo_clip, policy_gradient" in printed
    assert files(place) == ["bad.yaml", "tiny.yaml"]


def test_the_lists_hold_every_name_that_a_config_may_use(capsys):
    assert main(["list", "objectives"]) == DONE
    rows = capsys.readouterr().out.splitlines()
    assert {row.split()[0] for row in rows if row.strip()} >= set(rls.objectives.names())
    assert any("ppo_clip " in row and "epsilon=0.2" in row and "1707.06347" in row for row in rows)
    assert main(["list", "environments"]) == DONE
    rows = {row.split()[0]: row for row in capsys.readouterr().out.splitlines() if row.strip()}
    assert rows.keys() >= set(environments.names())
    assert "Discrete(2)" in rows["CartPole-v1"] and "500" in rows["CartPole-v1"]
    assert "Box(-2 to 2, shape (1,))" in rows["Pendulum-v1"]


def test_a_sweep_ends_with_a_table_and_a_report(answered):
    folder, done = answered
    assert done.returncode == DONE, done.stderr
    assert "4 runs" in done.stdout
    for name in ("ppo_clip", "policy_gradient"):
        assert re.search(rf"^{name} +[\d.]+ +[\d.]+ to [\d.]+ +2$", done.stdout, re.MULTILINE)
    page = folder / done.stdout.strip().splitlines()[-1]
    assert page == folder / "results" / "tiny" / "report.html" and page.is_file()
    assert "Traceback" not in done.stderr
    assert len(rls.open_results(folder / "results" / "tiny").runs()) == 4


def test_sweeping_again_changes_no_byte(answered, monkeypatch, capsys):
    folder, _ = answered
    monkeypatch.chdir(folder)

    def contents():
        return {p: p.read_bytes() for p in (folder / "results").rglob("*") if p.is_file()}

    before = contents()
    assert main(["sweep", "tiny.yaml"]) == DONE
    assert contents() == before
    assert "ppo_clip" in capsys.readouterr().out


def test_the_report_of_stored_results_is_the_same_table(answered, monkeypatch, capsys):
    folder, done = answered
    monkeypatch.chdir(folder)
    assert main(["report", "results/tiny"]) == DONE
    assert capsys.readouterr().out.strip() in done.stdout


def test_a_run_file_is_a_question_of_one_setting(place, capsys):
    lines = [line for line in TINY.splitlines() if "{value:" in line]
    text = "\n".join(re.sub(r"\{value: (.*)\}", r"\1", line).strip() for line in lines)
    nested = re.sub(r"^(\w+)\.(\w+): (.*)$", r"\1: {\2: \3}", text, flags=re.MULTILINE)
    nested = nested.replace(
        "ascent: {num_epochs: 2}\nascent: {num_minibatches: 2}",
        "ascent: {num_epochs: 2, num_minibatches: 2}",
    )
    (place / "one.yaml").write_text(nested + "\n")
    from rl_surrogates.config import question_of_run

    question = question_of_run("one.yaml", 8)
    assert len(question.settings()) == 1 and question.seeds.count == 8 and question.name == "one"


def test_a_sweep_with_a_diverged_run_ends_with_status_3(place, monkeypatch, capsys, answered):
    import shutil

    import pandas as pd

    from rl_surrogates import report, store
    from rl_surrogates.cli import show_results

    folder, _ = answered
    shutil.copytree(folder / "results" / "tiny", place / "tiny")
    runs = store.open_results(place / "tiny").runs()
    runs.loc[0, "status"] = "diverged"
    monkeypatch.setattr(store.Results, "runs", lambda self: runs.copy())
    assert isinstance(runs, pd.DataFrame) and report
    assert show_results(place / "tiny") == DIVERGED == 3


@pytest.mark.parametrize(
    "sent, status",
    [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)],
    ids=["int", "term"],
)
def test_an_interrupted_sweep_keeps_its_finished_parts(place, environment, sent, status):
    """Enough seeds for many work items; interrupted while the second is stored, or soon after."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rl_surrogates", "sweep", "tiny.yaml", "seeds.count=2000"],
        cwd=place,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    parts = place / "results" / "tiny" / "parts"
    deadline = time.monotonic() + 240
    while not (parts.is_dir() and len(list(parts.rglob("*.parquet"))) >= 4):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    found = rls.open_results(place / "results" / "tiny", partial=True)
    runs = found.runs()
    assert 2 <= len(runs) < 4000 and set(runs["status"]) == {"done"}
    assert (found.curves().groupby("run_id").size() == 6).all()
    assert found.missing
