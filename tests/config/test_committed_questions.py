"""Every question that is committed can be asked, and says what it asks."""

from pathlib import Path

import pytest

from rl_surrogates.config import load_question
from rl_surrogates.sweep.plan import make_plan

CONFIGS = Path(__file__).parents[2] / "configs"
QUESTIONS = sorted([*CONFIGS.glob("*.yaml"), *CONFIGS.glob("reference/*.yaml")])
ON_AN_ACCELERATOR = sorted(CONFIGS.glob("reference/accelerator/*.yaml"))
MAX_STEPS = 60_000_000  # of all runs together: minutes on two cores
MAX_PROGRAMS = 12


@pytest.fixture(params=QUESTIONS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.mark.parametrize("path", [*QUESTIONS, *ON_AN_ACCELERATOR], ids=lambda path: path.stem)
def test_its_first_line_is_the_question(path):
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith("# ") and "?" in first


def test_it_can_be_asked_at_a_price_that_is_minutes(path):
    question = load_question(path)
    plan = make_plan(question, 2)
    steps = [plan.settings[run.setting].config.total_timesteps for run in plan.runs]
    assert 0 < sum(steps) <= MAX_STEPS
    assert len(plan.programs) <= MAX_PROGRAMS


def test_the_table_of_ppo_s_paper_has_its_eleven_rows_on_each_task():
    axes = [setting.axes for setting in load_question(CONFIGS / "ppo_table1.yaml").settings()]
    tasks = {point["env.name"] for point in axes}
    ways = {tuple((k, v) for k, v in point.items() if "env." not in k and "gamma" not in k)
            for point in axes}  # fmt: skip
    assert len(ways) == 11 and len(axes) == 11 * len(tasks) and "Pendulum-v1" in tasks


@pytest.mark.parametrize("path", ON_AN_ACCELERATOR, ids=lambda path: path.stem)
def test_four_games_of_minatar_at_ten_million_steps_are_a_program_each(path):
    plan = make_plan(load_question(path), 2)
    games = {setting.config.env.name for setting in plan.settings}
    expected = ("Asterix", "Breakout", "Freeway", "SpaceInvaders")
    assert games == {f"{game}-MinAtar" for game in expected}
    assert {setting.config.total_timesteps for setting in plan.settings} == {10_000_000}
    assert len(plan.programs) == 4 and len(plan.runs) == 4 * 5
