"""A small sweep of two settings and three seeds, in two work items."""

import numpy as np
import pandas as pd
import pytest

from rl_surrogates.store import Store
from tests.store.anywhere import WHERE, contents, new_place

PROVENANCE = {"versions": {"jax": "0.10.2", "gymnax": "1.0.1"}, "prng": {"uniform": [0.5]}}


class Sweep:
    """Makes plans and tables that fit each other."""

    provenance = PROVENANCE

    def __init__(self, root):
        self.root = root
        self.path = root / "small"

    def plan(self, rates=(0.1, 0.2), description="") -> dict:
        settings = [
            {
                "index": i,
                "axes": {"learning_rate": rate},
                "config": {"learning_rate": rate, "hidden": [64, 64], "name": "ppo_clip"},
            }
            for i, rate in enumerate(rates)
        ]
        items = [
            {"item": f"item{i}", "program": 0, "runs": [f"rate{rate}-{seed}" for seed in range(3)]}
            for i, rate in enumerate(rates)
        ]
        return {
            "format": 1,
            "name": "small",
            "description": description,
            "metric": {"name": "evaluation/return", "goal": "maximize"},
            "axes": {"learning_rate": list(rates)},
            "settings": settings,
            "programs": [],
            "items": items,
        }

    def open(self, **changes) -> Store:
        arguments = {"plan": self.plan(), "made_by": PROVENANCE, **changes}
        return Store.open(self.root, "small", **arguments)

    def tables(self, plan=None, setting=0, statuses=("done", "done", "done"), item=None, updates=4):
        plan = plan or self.plan()
        item = item or plan["items"][setting]["item"]
        ids = plan["items"][setting]["runs"]
        runs = pd.DataFrame(
            {
                "run_id": ids,
                "item": item,
                "lane": range(3),
                "width": 4,
                "seed": range(3),
                "setting": setting,
                **{k: [v] * 3 for k, v in plan["settings"][setting]["config"].items()},
                "status": statuses,
                "diverged_at": [2 if status == "diverged" else None for status in statuses],
                "wall_s": 0.5,
                "device": "cpu",
            }
        )
        update = np.tile(np.arange(1, updates + 1), 3)
        curves = pd.DataFrame(
            {
                "run_id": np.repeat(ids, updates),
                "update": update,
                "env_steps": 8 * update,
                "episode_return": np.where(update == 1, np.nan, update).astype(float),
            }
        )
        evaluations = pd.DataFrame(
            {
                "run_id": np.repeat(ids, 4),
                "env_steps": np.tile([8, 8, 32, 32], 3),
                "mode": "greedy",
                "episode": np.tile([0, 1, 0, 1], 3),
                "return": np.tile([1.0, 2.0, 10.0, 20.0], 3) + np.repeat(range(3), 4),
                "length": 7,
            }
        )
        return runs, curves, evaluations

    def finished(self) -> Store:
        store = self.open()
        store.commit("item0", *self.tables(setting=0))
        store.commit("item1", *self.tables(setting=1))
        return store

    def snapshot(self) -> dict[str, bytes]:
        """Every file below the root, by its path."""
        return contents(self.root)


@pytest.fixture
def sweep(tmp_path, request):
    """In a folder, or where the test says (`anywhere.everywhere`)."""
    return Sweep(new_place(getattr(request, "param", "folder"), tmp_path) / "results")


@pytest.fixture(params=WHERE)
def somewhere(tmp_path, request):
    """An empty place of each kind."""
    return new_place(request.param, tmp_path)
