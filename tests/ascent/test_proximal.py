"""The proximal policy is an average of the parameters that there have been, the newest most."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import inspection, make_program
from rl_surrogates.ascent.proximal import averaged, averaging
from rl_surrogates.config import Config, ConfigError
from rl_surrogates.types import Batch, Learner
from tests.probes import Accumulator, Probe


def follow(decay, num_steps=3):
    """What a step that adds 1 to theta = 0 was shown, and the averages after each step."""

    def step(learner, minibatch):
        params = jax.tree.map(lambda leaf: leaf + 1.0, learner.params)
        return learner._replace(params=params), {"shown": minibatch.proximal["w"]}

    def body(learner, _):
        learner, info = averaging(step, decay)(learner, batch)
        return learner, (info["shown"], learner.opt_state.params["w"])

    batch = Batch(*[jnp.zeros(1)] * len(Batch._fields))
    begin = averaged(Learner({"w": jnp.float32(0.0)}, (), jnp.int32(0)))
    return jax.lax.scan(body, begin, None, num_steps)[1]


def test_the_average_is_corrected_for_its_short_memory():
    # theta = 0, 1, 2, 3. W = 1, 1.5, 1.75, 1.875:
    # 2/3;  2/3 + (2 - 2/3) / 1.75 = 10/7;  (1/4 + 2/2 + 3) / 1.875 = 34/15
    shown, average = jax.jit(follow)(0.5)
    np.testing.assert_allclose(average, [2 / 3, 10 / 7, 34 / 15], rtol=1e-6)
    np.testing.assert_allclose(shown, [0.0, 2 / 3, 10 / 7], rtol=1e-6)  # before its own step


def test_without_decay_it_is_the_present_policy_and_with_all_of_it_the_plain_mean():
    np.testing.assert_allclose(jax.jit(follow)(0.0)[1], [1.0, 2.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(jax.jit(follow)(1.0)[1], [0.5, 1.0, 1.5], rtol=1e-6)


def config(decay, **fields):
    return Config(
        num_envs=4,
        num_steps=8,
        total_timesteps=64,
        network={"hidden": [4]},
        objective={"name": "decoupled_clip"},
        ascent={"num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.05, "ewma_decay": decay},
        **fields,
    )


@pytest.fixture(scope="module")
def scene():
    """A program, its hypers, a state, and the batch of its next update."""
    program = make_program(config(0.5), env=Probe())
    hypers = program.config.hypers()

    @jax.jit
    def begin():
        state = program.init(jax.random.key(0), hypers)
        _, transitions = program.collect(jax.random.key(1), state, hypers)
        return state, program.judge(state, transitions, hypers)

    return program, hypers, *begin()


def shifted(params, shift):
    """The same policy with other logits."""
    head = {**params["policy"]["head"], "bias": jnp.array([shift, -shift])}
    return {**params, "policy": {**params["policy"], "head": head}}


@pytest.fixture(scope="module")
def judged(scene):
    """`judged(shift)`: policy gradients with none, and with a proximal policy of other logits."""
    program, hypers, state, batch = scene

    @jax.jit
    def losses(shift):
        params = state.learner.params
        return [
            jax.grad(lambda p, b=one: score(program, hypers, state, p, b))(params)["policy"]
            for one in (batch, batch._replace(proximal=shifted(params, shift)))
        ]

    return losses


def score(program, hypers, state, params, batch):
    return program.score(params, batch, hypers=hypers, coefficients=state.coefficients).policy


def largest_difference(trees):
    both = zip(*map(jax.tree.leaves, trees), strict=True)
    return max(float(jnp.abs(one - other).max()) for one, other in both)


def test_the_policy_that_acted_as_the_proximal_one_is_the_default(judged):
    assert largest_difference(judged(0.0)) < 1e-6


def test_the_objective_is_clipped_around_the_proximal_policy(judged):
    assert largest_difference(judged(0.5)) > 1e-3


def test_an_update_is_measured_around_the_average_that_is_kept(scene):
    program, _, state, batch = scene
    far = state.learner._replace(params=shifted(state.learner.params, 2.0))

    @jax.jit
    def share_at_rest(learner):
        return inspection.of_update(program, state, learner, batch)["zero_gradient_share"]

    # From the policy that acted every favoured sample is beyond the clip; from itself none is.
    assert float(share_at_rest(far._replace(opt_state=()))) > 0.2
    assert float(share_at_rest(averaged(far._replace(opt_state=())))) == 0.0


def test_a_recurrent_policy_has_a_proximal_one_as_well():
    chosen = config(0.5)
    program = dataclasses.replace(make_program(chosen, env=Probe()), network=Accumulator())
    state = jax.eval_shape(program.init, jax.random.key(0), chosen.hypers())
    after, _ = jax.eval_shape(program.update, state, chosen.hypers())
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_an_average_that_the_objective_does_not_ask_for_is_refused():
    with pytest.raises(ConfigError, match="ppo_clip asks for no proximal policy; write null"):
        Config(objective={"name": "ppo_clip"}, ascent={"ewma_decay": 0.9})
