"""The arithmetic of the benchmark; what it measures needs the peers and minutes, and is no test."""

import numpy as np
import pytest

from benchmarks import __main__ as command_line
from benchmarks import bars, compiled, contest, report, rows, tables, work, worker
from benchmarks.contest import Figure

PROGRAM = """\
HloModule jit_train

%inside (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]{0}) parameter(0)
  %one = s32[] constant(1)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[8]{0} get-tuple-element(%p), index=1
  %y = f32[8]{0} fusion(%x), kind=kLoop, calls=%fused
  %z = f32[8]{0} dot(%y, %y), lhs_contracting_dims={}
  ROOT %t = (s32[], f32[8]{0}) tuple(%i, %z)
}

%outside (q: (s32[], f32[8])) -> (s32[], f32[8]) {
  %q = (s32[], f32[8]{0}) parameter(0)
  %w = (s32[], f32[8]{0}) while(%q), body=%inside, backend_config={"known_trip_count":{"n":"5"}}
  %x = f32[8]{0} get-tuple-element(%w), index=1
  %y = f32[8]{0} call(%x), to_apply=%twice
  ROOT %t = (s32[], f32[8]{0}) tuple(%q, %y)
}

%twice (v: f32[8]) -> f32[8] {
  %v = f32[8]{0} parameter(0)
  %a = f32[8]{0} copy(%v)
  ROOT %b = f32[8]{0} negate(%a)
}

ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  %t = (s32[], f32[8]{0}) tuple(%a)
  %w = (s32[], f32[8]{0}) while(%t), condition=%c, body=%outside
  ROOT %r = f32[8]{0} get-tuple-element(%w), index=1
}
"""


def test_operations_count_a_loop_as_often_as_it_turns_and_moves_of_names_not_at_all():
    assert compiled.operations(PROGRAM) == 5 * 2 + 2  # fusion and dot, then copy and negate


def test_operations_of_a_program_without_a_loop_are_none():
    assert compiled.operations("ENTRY %main (a: f32[]) -> f32[] {\n}\n") == 0


def test_operations_of_an_update_are_worked_by_hand():
    task = work.WORKS["cartpole"]._replace(hidden=(3,), num_envs=1, num_steps=5, num_epochs=2)
    # Policy 4x3 + 3x2 = 18, value 4x3 + 3x1 = 15, first layers 24; N = 5.
    assert work.weights(task) == (18, 15, 24)
    ascent = 2 * 5 * (6 * 33 - 2 * 24)
    assert work.ascent_flops(task) == ascent == 1500
    assert work.update_flops(task) == 5 * (2 * 18 + 2 * 15 + 2 * 18) + ascent


def test_a_spec_trains_whole_rollouts_and_at_least_one():
    assert work.Spec("ours", "cartpole", steps=1100).updates() == 2
    assert work.Spec("ours", "cartpole", steps=1).updates() == 1
    assert work.Spec("ours", "cartpole", steps=1024, changes={"num_envs": 8}).updates() == 1


def test_a_ratio_is_of_the_runs_of_one_turn():
    assert contest.ratio([4.0, 9.0, 2.0], [2.0, 3.0, 2.0]) == Figure(2.0, 1.0, 3.0)


def test_a_bar_is_met_missed_or_not_measured():
    speed, memory = "cartpole, lanes 1: ours / rejax", "cartpole, lanes 16: memory / needed"
    found = {speed: contest.once(1.1), memory: contest.once(1.6)}
    verdicts = {row["figure"]: row["verdict"] for row in bars.judged(found, "cpu")}
    assert (verdicts.pop(speed), verdicts.pop(memory)) == ("met", "missed")
    assert set(verdicts.values()) == {"not measured"}


BEFORE = {
    "cartpole, lanes 1: ours / rejax": Figure(1.0, 0.8, 1.1),
    "cartpole, lanes 16: memory / needed": Figure(1.5, 1.5, 1.5),
    "second start to the first update": Figure(4.0, 4.0, 4.0, "s"),
}


@pytest.mark.parametrize(
    "name, now, lost",
    [
        ("cartpole, lanes 1: ours / rejax", 0.79, True),  # below all turns, by more than a tenth
        ("cartpole, lanes 1: ours / rejax", 0.85, False),  # as slow as a turn of before
        ("cartpole, lanes 1: ours / rejax", 2.0, False),
        ("cartpole, lanes 16: memory / needed", 1.7, True),  # more is worse
        ("cartpole, lanes 16: memory / needed", 0.5, False),
        ("second start to the first update", 40.0, False),  # of this machine, not a ratio
        ("a new figure", 0.0, False),
    ],
)
def test_a_regression_is_a_ratio_that_is_worse_than_any_turn_of_before(name, now, lost):
    found = list(bars.regressions(BEFORE, BEFORE | {name: contest.once(now)}))
    assert [row["figure"] for row in found] == ([name] if lost else [])


@pytest.mark.parametrize(
    "value, text",
    [
        (None, ""),
        (12_345.6, "12,346"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (16, "16"),
        ("ours", "ours"),
        (Figure(1.0, 0.5, 2.0), "1.00 (0.50, 2.00)"),
        (Figure(3.0, 3.0, 3.0), "3.00"),
    ],
)
def test_a_figure_is_written_short(value, text):
    assert tables.written(value) == text


def part(load):
    return {
        "command": "./scripts/bench --only ppo",
        "about": {
            "versions": {"jax": "1.2.3", "torch": "absent"},
            "platform": "cpu",
            "cores": 2,
            "load_average": [load, 0.0, 0.0],
            "date": "2026-01-01",
            "commit": "abc",
        },
        "seconds": 9.0,
        "tables": {"A table": [{"name": "x", "ratio": Figure(1.0, 0.5, 2.0)}, {"other": 3}]},
        "figures": {"cartpole, lanes 1: ours / rejax": Figure(1.0, 0.5, 2.0)},
    }


@pytest.mark.parametrize("load, provisional", [(0.1, False), (5.0, True)])
def test_the_document_is_what_the_file_says_and_admits_a_busy_machine(tmp_path, load, provisional):
    report.write(tmp_path / "bench.json", {"ppo": part(load)})
    text = report.document(report.read(tmp_path / "bench.json"))
    bar = "| cartpole, lanes 1: ours / rejax | at least 1.1 | 1.00 (0.50, 2.00) | missed |"
    assert bar in text
    assert "| x | 1.00 (0.50, 2.00) |  |" in text
    assert "jax 1.2.3" in text and "torch" not in text.split("## Versions")[1]
    assert ("provisional" in text) == provisional


def test_the_document_names_an_accelerator():
    measured = part(0.1)
    measured["about"] |= {"platform": "gpu", "devices": 2, "device": "Some GPU"}
    assert ", 2 x Some GPU, 2 cores" in report.document({"ppo": measured})


@pytest.mark.parametrize(
    "lanes, updates, accelerated",
    [
        (1, 585, False),
        (64, 9, False),
        (1024, 4, False),  # a few at least
        (1, 585, True),  # as many as on a CPU, where one lane is no more than there
        (64, 183, True),
        (16384, 16, True),
    ],
)
def test_a_lane_is_trained_as_long_as_its_device_asks_for(lanes, updates, accelerated):
    options = command_line.parse(["--only", "ppo"])
    command_line.fit(options, {"platform": "gpu" if accelerated else "cpu", "devices": 1})
    assert rows.per_lane(options, "cartpole", lanes) == 512 * updates


def test_on_one_accelerator_a_sweep_is_no_contender_of_its_own():
    options = command_line.parse(["--only", "ppo"])
    command_line.fit(options, {"platform": "gpu", "devices": 1})
    assert [spec.contender for spec in rows.contenders(options, "cartpole", 64)] == [
        "ours",
        "rejax",
    ]
    command_line.fit(options, {"platform": "gpu", "devices": 4})
    assert "sweep" in [spec.contender for spec in rows.contenders(options, "cartpole", 64)]


def test_calls_are_made_together_in_order_and_an_error_is_passed_on(monkeypatch):
    monkeypatch.setattr(contest.os, "cpu_count", lambda: 3 * contest.CORES)
    assert contest.together(lambda a, b: a * b, [1, 2, 3], [4, 5, 6]) == [4, 10, 18]
    with pytest.raises(ZeroDivisionError):
        contest.together(lambda a: 1 / a, [1, 0])


@pytest.mark.parametrize(
    "last, expected",
    [([1.0, 3.0], 2.0), ([0.0, np.nan], 0.0), ([np.nan, np.nan], np.nan)],
)
def test_the_return_of_a_result_is_of_the_lanes_that_ended_an_episode(last, expected):
    metrics = {"episode_return": np.array([[9.0, one] for one in last])}
    np.testing.assert_equal(worker.episode_return(("state", metrics)), expected)
    assert np.isnan(worker.episode_return("what another contender gives"))


def test_a_file_that_is_not_there_holds_no_parts(tmp_path):
    assert report.read(tmp_path / "none.json") == {}


def test_parts_are_chosen_by_how_they_begin():
    assert command_line.chosen("ppo") == ["ppo_cartpole", "ppo_breakout"]
    options = command_line.parse(["--only", "trpo", "ppo", "--quick", "--lanes", "1", "4"])
    assert command_line.command("trpo", options) == (
        "./scripts/bench --only trpo --lanes 1 4 --quick"
    )


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--only", "dqn"], "--only dqn: no part begins so; the parts are ppo_cartpole"),
        (["--lanes", "0"], "--lanes 0: use at least 1"),
        (["--markdown", "--out", "none.json"], "none.json: there is no such file; measure first"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as stopped:
        command_line.parse(arguments)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("now, status", [(0.4, 1), (1.0, 0)])
def test_comparing_two_files_has_status_1_where_a_ratio_became_worse(tmp_path, now, status):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    report.write(old, {"ppo": part(0.1)})
    later = part(0.1)
    later["figures"] = {"cartpole, lanes 1: ours / rejax": contest.once(now)}
    report.write(new, {"ppo": later})
    assert command_line.main(["--compare", str(old), "--out", str(new)]) == status
