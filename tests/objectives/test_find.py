"""Names are looked up in the table, then among installed packages, and never imported from text."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rl_surrogates import objectives
from rl_surrogates.objectives import OBJECTIVES, Objective, installed


def entropic(log_prob, advantage, *, strength=0.5):
    return log_prob * advantage * strength


ROW = Objective(entropic, first_order=False, scale_free=True, source="test")
NUMBER = 7


def offer(monkeypatch, **values):
    """Pretends that an installed package offers these entry points."""
    found = [EntryPoint(name, value, installed.GROUP) for name, value in values.items()]
    monkeypatch.setattr(
        installed, "entry_points", lambda group: [e for e in found if e.group == group]
    )
    monkeypatch.setitem(sys.modules, "a_package", sys.modules[__name__])


def test_a_name_of_the_table_is_its_row():
    assert objectives.find("ppo_clip") is OBJECTIVES["ppo_clip"]
    assert objectives.names()[: len(OBJECTIVES)] == tuple(OBJECTIVES)


@pytest.mark.parametrize(
    "name, said",
    [
        ("ppo_clp", "'ppo_clp' does not exist; did you mean ppo_clip"),
        ("PPO", "known are policy_gradient, "),
        ("os.system", "does not exist"),
        ("a_package:entropic", "does not exist"),
        ("__import__('os')", "does not exist"),
        ("", "does not exist"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(name, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        objectives.find(name)


def test_an_installed_function_is_found_by_its_name(monkeypatch):
    offer(monkeypatch, entropic="a_package:entropic")
    entry = objectives.find("entropic")
    assert entry.fn is entropic and entry.coefficients == {"strength": 0.5}
    assert objectives.names()[-1] == "entropic"


def test_an_installed_row_keeps_what_it_declares(monkeypatch):
    offer(monkeypatch, entropic="a_package:ROW")
    assert objectives.find("entropic") is ROW


def test_an_installed_package_cannot_replace_a_row(monkeypatch):
    offer(monkeypatch, ppo_clip="a_package:entropic")
    assert objectives.find("ppo_clip") is OBJECTIVES["ppo_clip"]
    assert objectives.names().count("ppo_clip") == 1


@pytest.mark.parametrize(
    "value, said",
    [
        ("a_package:missing", "does not load .*AttributeError"),
        ("no_such_package_at_all:x", "does not load .*ModuleNotFoundError"),
        ("a_package:NUMBER", "is 7; it must name a function or an Objective"),
    ],
)
def test_an_installed_objective_that_is_broken_is_named(monkeypatch, value, said):
    offer(monkeypatch, broken=value)
    with pytest.raises(ValueError, match=f"objective 'broken': the entry point {value} {said}"):
        objectives.find("broken")


def test_importing_the_catalogue_pulls_in_nothing_heavier_than_jax():
    code = (
        "import sys, jax, jax.numpy\n"
        "before = set(sys.modules)\n"
        "import rl_surrogates.objectives\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "print(sorted(m for m in new if m not in sys.stdlib_module_names))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['rl_surrogates']"
