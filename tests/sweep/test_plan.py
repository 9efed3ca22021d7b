"""What a question comes to: programs, work items, names of runs. Nothing is compiled here."""

import hashlib
import json
import subprocess
import sys

import pytest

from rl_surrogates.config import ConfigError
from rl_surrogates.sweep import check_size, make_plan
from rl_surrogates.sweep.plan import AUTO_LANES
from rl_surrogates.sweep.runs import run_id

OBJECTIVES = ["policy_gradient", "importance_sampled", "ppo_clip", "spo"]
RATES = [2.5e-4, 2.5e-3]


@pytest.fixture
def plan(ask):
    axes = {
        "objective.name": OBJECTIVES,
        "ascent.num_epochs": [1, 4],
        "ascent.learning_rate": RATES,
    }
    return make_plan(ask(axes))


def test_objectives_and_rates_share_a_program_and_static_values_do_not(plan):
    assert [p.config.ascent.num_epochs for p in plan.programs] == [1, 4]
    assert all(set(program.objectives) == set(OBJECTIVES) for program in plan.programs)
    assert [len(program.runs) for program in plan.programs] == [
        16,
        16,
    ]  # 4 objectives 2 rates 2 seeds


def test_every_run_is_in_exactly_one_work_item_of_its_own_program(plan):
    placed = [run.run_id for item in plan.items() for run in item.runs]
    assert sorted(placed) == sorted(run.run_id for run in plan.runs)
    assert len(set(placed)) == len(placed) == 32
    for item in plan.items():
        assert set(item.runs) <= set(plan.programs[item.program].runs)
        assert len(item.runs) <= item.width


def test_finished_runs_are_left_out_and_the_width_stays(plan):
    finished = {run.run_id for run in plan.programs[0].runs[:15]}
    items = plan.items(finished)
    assert [run.run_id for run in items[0].runs] == [plan.programs[0].runs[15].run_id]
    assert {item.width for item in items} == {plan.width}
    assert plan.items({run.run_id for run in plan.runs}) == []


def test_all_seeds_of_all_settings_are_the_same(plan):
    for setting in plan.settings:
        assert [run.seed for run in plan.runs if run.setting == setting.index] == [0, 1]


def test_a_run_is_named_by_its_config_and_seed_alone(ask):
    def ids(**constants):
        question = ask({"ascent.learning_rate": RATES}, **constants)
        return {(run.setting, run.seed): run.run_id for run in make_plan(question).runs}

    once = ids()
    assert ids() == once
    assert len(set(once.values())) == 4
    for change in ({"ent_coef": 0.02}, {"ascent__num_epochs": 3}, {"objective__epsilon": 0.3}):
        assert not set(ids(**change).values()) & set(once.values())
    # A default that is written out is the same run.
    assert ids(objective__epsilon=0.2) == once


def test_one_changed_value_renames_the_runs_of_its_setting_only(ask):
    before = make_plan(ask({"ascent.learning_rate": [1e-3, 2e-3]}))
    after = make_plan(ask({"ascent.learning_rate": [1e-3, 3e-3]}))
    kept = {run.run_id for run in before.runs} & {run.run_id for run in after.runs}
    assert kept == {run.run_id for run in before.runs if run.setting == 0}


def test_the_name_of_a_run_ignores_how_it_is_executed(ask):
    setting = ask().settings()[0]
    assert run_id(setting.config, 0) == run_id(setting.config, 0) != run_id(setting.config, 1)
    wide = ask().model_copy(update={"execution": ask().execution.model_copy(update={"lanes": 4})})
    assert {r.run_id for r in make_plan(wide).runs} == {r.run_id for r in make_plan(ask()).runs}


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_the_width_is_a_multiple_of_the_devices_and_never_wider_than_needed(ask, devices):
    question = ask()
    auto = question.execution.model_copy(update={"lanes": "auto"})
    plan = make_plan(question.model_copy(update={"execution": auto}), devices)
    assert plan.width % devices == 0
    assert 4 <= plan.width < 4 + devices  # 4 runs
    assert plan.width <= AUTO_LANES


def test_an_objective_that_outweighs_the_others_has_a_program_and_a_width_of_its_own(ask):
    plan = make_plan(ask({"objective.name": ["spo", "trgppo", "ppo_clip"]}))
    assert [p.objectives for p in plan.programs] == [("spo", "ppo_clip"), ("trgppo",)]
    assert [len(p.runs) for p in plan.programs] == [4, 2]
    assert {i.width for i in plan.items() if i.program == 1} == {2}


def test_steps_count_whole_updates_only(ask):
    plan = make_plan(ask(total_timesteps=100))
    assert plan.steps(plan.items()) == 4 * 96  # 100 is 6 updates of 2 x 8


def test_an_absurd_number_of_runs_is_refused_unless_it_is_meant(ask):
    question = ask().model_copy(update={"seeds": ask().seeds.model_copy(update={"count": 60_000})})
    with pytest.raises(ConfigError, match="120000"):
        check_size(question, allow_large=False)
    check_size(question, allow_large=True)


def test_the_stored_plan_says_every_setting_program_and_item(plan):
    stored = plan.as_json()
    assert len(stored["settings"]) == 16 and len(stored["programs"]) == 2
    assert stored["axes"]["ascent.learning_rate"] == RATES
    assert stored["settings"][0]["config"]["ascent.learning_rate"] in RATES
    assert [one["runs"] for one in stored["items"]] == [
        [run.run_id for run in item.runs] for item in plan.items()
    ]


def test_a_run_is_named_by_sixteen_digits_of_the_sha256_of_its_config_and_seed(plan):
    run = plan.runs[5]
    content = [plan.settings[run.setting].config.flat(), run.seed]
    text = json.dumps(content, sort_keys=True)
    assert run.run_id == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_runs_are_made_when_asked_for_and_are_those_of_a_list(plan):
    runs, every = plan.programs[1].runs, list(plan.programs[1].runs)
    assert len(runs) == len(every) == 16 and runs == every
    assert [runs[i] for i in range(16)] == every and runs[-1] == every[-1]
    assert runs[3:9] == every[3:9] and runs[3:9][1::2] == every[3:9][1::2]
    odd = runs.where(lambda run: run.seed == 1)
    assert odd == [run for run in every if run.seed == 1] and odd[2:4] == list(odd)[2:4]
    with pytest.raises(IndexError):
        runs[16]


def test_a_million_runs_are_held_as_their_settings(ask):
    seeds = ask().seeds.model_copy(update={"count": 250_000})
    plan = make_plan(ask().model_copy(update={"seeds": seeds}))
    assert len(plan.runs) == 500_000
    kept = sum(sys.getsizeof(one) for one in vars(plan.programs[0].runs).values())
    assert kept < 1000
    assert plan.runs[-1].seed == 249_999


MILLION = """
import resource, sys, time
from rl_surrogates.config import make_question
from rl_surrogates.store.files import canonical_json
from rl_surrogates.sweep import make_plan

start = time.process_time()
settings, seeds = int(sys.argv[1]), int(sys.argv[2])
rates = [1e-5 * (1 + i / 100) for i in range(settings // 4)]
names = ["policy_gradient", "importance_sampled", "ppo_clip", "spo"]
axes = {"objective.name": {"values": names}, "ascent.learning_rate": {"values": rates}}
plan = make_plan(make_question({"name": "m", "parameters": axes, "seeds": {"count": seeds}}))
data = canonical_json(plan.as_json())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(len(plan.runs), time.process_time() - start, peak, len(data) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("settings, seeds", [(1000, 1000), (10_000, 100), (62_500, 16)])
def test_a_million_runs_are_planned_in_a_minute_and_two_gibibytes(settings, seeds):
    command = [sys.executable, "-c", MILLION, str(settings), str(seeds)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    runs, seconds, gibibytes, mebibytes = map(float, told.split())
    print(f"{settings} x {seeds}: {seconds:.1f} s, {gibibytes:.2f} GiB, {mebibytes:.0f} MiB")
    assert runs == 1_000_000 and seconds < 60 and gibibytes < 2
