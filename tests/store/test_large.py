"""Ten thousand runs of two hundred points: as fast to ask as a notebook wants it."""

import time

import numpy as np
import pandas as pd
import pytest

from rl_surrogates.store import Store, open_results
from tests.store.conftest import PROVENANCE

RUNS, POINTS, WIDTH = 10_000, 200, 125


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    items = [
        {"item": f"item{i}", "program": 0, "runs": [f"run{r}" for r in range(i, i + WIDTH)]}
        for i in range(0, RUNS, WIDTH)
    ]
    plan = {
        "format": 1,
        "name": "large",
        "metric": {"name": "evaluation/return", "goal": "maximize"},
        "axes": {},
        "settings": [{"index": 0, "axes": {}, "config": {"learning_rate": 0.1}}],
        "programs": [],
        "items": items,
    }
    root = tmp_path_factory.mktemp("large")
    store = Store.open(root, "large", plan, PROVENANCE)
    update = np.tile(np.arange(1, POINTS + 1), WIDTH)
    for item in items:
        runs = pd.DataFrame(
            {
                "run_id": item["runs"],
                "item": item["item"],
                "lane": range(WIDTH),
                "width": WIDTH,
                "seed": [int(name.removeprefix("run")) for name in item["runs"]],
                "setting": 0,
                "learning_rate": 0.1,
                "status": "done",
                "wall_s": 1.0,
                "device": "cpu",
            }
        )
        curves = pd.DataFrame(
            {"run_id": np.repeat(item["runs"], POINTS), "update": update, "env_steps": 512 * update}
        )
        for name in ("episode_return", "approx_kl", "entropy", "value_loss"):
            curves[name] = np.random.default_rng(0).normal(size=len(curves)).astype(np.float32)
        store.commit(item["item"], runs, curves)
    return store.path


@pytest.mark.slow
def test_one_query_over_all_curves_takes_less_than_a_second(large):
    results, seconds = open_results(large), []
    for _ in range(3):  # the best of three, as the machine may be busy
        started = time.monotonic()
        curves = results.curves(["episode_return"])
        seconds.append(time.monotonic() - started)
    assert len(curves) == RUNS * POINTS
    started = time.monotonic()
    scores = results.scores("episode_return")
    print(f"a column of the curves: {seconds} s; scores: {time.monotonic() - started:.2f} s")
    assert len(scores) == RUNS and min(seconds) < 1.0
