"""What a work item takes in memory: as many times as there are lanes, however long it trains."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rl_surrogates.config import load_question
from rl_surrogates.sweep import item_bytes, make_plan
from rl_surrogates.sweep.lanes import Lanes

ROOT = Path(__file__).parents[2]
FILE = ROOT / "configs" / "reference" / "cartpole_ppo.yaml"


def compiled_bytes(seeds, **values):
    """What XLA says that the update and the evaluation of so many lanes need, and our estimate."""
    constants = {"num_envs": 4, "num_steps": 128, "total_timesteps": 100_000, **values}
    overrides = [f"{path}={value}" for path, value in constants.items()]
    question = load_question(FILE, [*overrides, f"seeds.count={seeds}"])
    plan = make_plan(question, jax.local_device_count())
    lanes, item = Lanes(plan.programs[0]), plan.items()[0]
    hypers = lanes.hypers([plan.settings[run.setting].config for run in item.runs])
    numbers = np.array([run.seed for run in item.runs], np.uint32)
    state = jax.eval_shape(lanes._init, numbers, hypers)
    zero = np.int32(0)
    needed = []
    for lowered in (
        lanes._advance.lower(state, hypers, zero),
        lanes._evaluate.lower(numbers, zero, state.actor, hypers),
    ):
        about = lowered.compile().memory_analysis()
        sizes = about.temp_size_in_bytes, about.argument_size_in_bytes, about.output_size_in_bytes
        # Of one device: the lanes are spread over all of them; a donated state is counted once.
        needed.append(jax.local_device_count() * (sum(sizes) - about.alias_size_in_bytes))
    return np.array(needed), item_bytes(plan)


@pytest.mark.slow
def test_memory_is_at_most_linear_in_lanes_and_constant_in_the_length_as_compiled():
    """Linear while all lanes of a device are trained at once; then only their states are more."""
    once, estimate = compiled_bytes(16)
    many, more = compiled_bytes(128)
    long, _ = compiled_bytes(16, total_timesteps=500_000_000)
    print(f"16 lanes: {once} bytes, 128 lanes: {many}, 5 000 times as long: {long}")
    assert (many <= 1.05 * 8 * once).all() and many[0] < 0.7 * 8 * once[0]
    np.testing.assert_array_equal(long, once)
    assert 0.5 < estimate / once.max() < 2.0 and 0.5 < more / many.max() < 2.0


@pytest.mark.slow
def test_1536_lanes_of_cartpole_fit_in_8_gib(tmp_path):
    code = f"""
import resource
from rl_surrogates.config import load_question
from rl_surrogates.sweep import run_sweep
question = load_question({str(FILE)!r}, [
    "num_envs=4", "num_steps=128", "total_timesteps=1024", "evaluation.episodes=8",
    "seeds.count=1536", "execution.lanes=1536"])
found = run_sweep(question, out={str(tmp_path)!r})
assert set(found.runs()["width"]) == {{1536}} and len(found.runs()) == 1536
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout) * 2**10
    print(f"peak of {peak / 2**30:.2f} GiB")
    assert peak < 8 * 2**30
