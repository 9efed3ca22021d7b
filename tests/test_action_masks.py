"""What an environment forbids is never done, never learnt from, and never shown to a network."""

import dataclasses
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import environments, evaluation, load_policy, make_program, save_policy
from rl_surrogates import normalisation as norm
from rl_surrogates.config import Config
from rl_surrogates.distributions import Categorical, MultiCategorical
from rl_surrogates.environments.wrappers import FrameStack, TimeLimit
from rl_surrogates.networks import inputs
from rl_surrogates.spaces import Box, Discrete, MultiDiscrete, check_mask, join_mask, split_mask

ACTIONS, NEVER = 5, 4  # the last action pays best, and no state allows it


@dataclasses.dataclass(frozen=True)
class Menu:
    """Every step allows another choice out of four actions; action a pays a / 4, what is forbidden
    costs 10. The best is the greatest that is allowed. An episode has two steps."""

    default_params: Any = None
    num_actions: int = ACTIONS

    def reset(self, key, params):
        return self.offer(key, jnp.int32(0))

    def offer(self, key, time):
        key_some, key_one = jax.random.split(key)
        some = jax.random.bernoulli(key_some, 0.5, (ACTIONS,))
        one = jnp.arange(ACTIONS) == jax.random.randint(key_one, (), 0, NEVER)
        allowed = (some | one).at[NEVER].set(False)
        return {"observation": jnp.ones(1), "action_mask": allowed}, (allowed, time)

    def step(self, key, state, action, params):
        allowed, time = state
        final, after = self.offer(key, time + 1)
        ended = time + 1 == 2
        reward = jnp.where(allowed[action], action / 4.0, -10.0)
        after = (after[0], jnp.where(ended, 0, after[1]))
        info = {"final_observation": final}
        return final, after, reward, ended, jnp.zeros((), bool), info


@pytest.fixture(scope="module", params=["mlp", pytest.param("gru", marks=pytest.mark.slow)])
def trained(request):
    """Its program, its parameters before and after, its metrics, and an evaluation."""
    config = Config(
        network={"torso": request.param, "hidden": [8]},
        num_envs=32,
        num_steps=8,
        total_timesteps=30 * 256,
        ascent={"num_epochs": 4, "num_minibatches": 4, "learning_rate": 0.02},
        normalise={"observations": True},
        diagnostics={"level": "full", "shadow": ["spo"]} if request.param == "gru" else {},
    )
    program, hypers = make_program(config, env=Menu()), config.hypers()

    @jax.jit
    def run(key):
        begin = program.init(key, hypers)
        state, metrics = program.train(key, hypers)
        network, params = program.acting_network(state.actor), state.learner.params
        scores = evaluation.evaluate(key, program.env, None, network, params, episodes=64)
        return begin.learner.params, state, metrics, scores

    return program, *run(jax.random.key(0))


def test_what_is_forbidden_is_never_done_in_training(trained):
    metrics = trained[3]
    assert metrics["episode_return"].min() >= 0.0 and metrics["finite"].all()


def test_every_ratio_begins_at_one(trained):
    metrics = trained[3]
    assert metrics["first_ratio_error"].max() <= 1e-6
    assert metrics["approx_kl"].max() > 1e-4 and metrics["entropy"].max() < np.log(NEVER)


def test_the_best_of_what_is_allowed_is_learnt(trained):
    program, _, state, *_ = trained
    masks = (np.arange(1, 16)[:, None] >> np.arange(ACTIONS)) % 2 == 1  # all choices out of four
    shown = {"observation": jnp.ones((15, 1)), "action_mask": jnp.asarray(masks)}
    network, carry = program.acting_network(state.actor), program.network.initial_carry(15)
    pi, _, _ = network(state.learner.params, shown, jnp.ones(15, bool), carry)
    assert pi.mode().tolist() == [int(mask.nonzero()[0].max()) for mask in masks]


def test_an_evaluation_does_nothing_forbidden(trained):
    scores = trained[4]
    assert all(float(one.episode_return.min()) >= 0.0 for one in scores.values())
    expected = 2.0 * np.mean([_greatest(some, one) for some in range(16) for one in range(4)]) / 4.0
    np.testing.assert_allclose(scores["greedy"].episode_return.mean(), expected, atol=0.15)


def _greatest(some, one):
    return max(a for a in range(4) if (some >> a) % 2 or a == one)


def test_what_no_state_allows_is_not_learnt_from(trained):
    _, before, state, *_ = trained
    one, other = before["policy"]["head"], state.learner.params["policy"]["head"]
    np.testing.assert_array_equal(one["kernel"][:, NEVER], other["kernel"][:, NEVER])
    assert float(other["bias"][NEVER]) == float(one["bias"][NEVER])
    assert float(jnp.abs(one["bias"] - other["bias"])[:NEVER].min()) > 1e-3


def test_an_exported_policy_obeys_the_mask_of_its_observation(trained, tmp_path):
    program, _, state, *_ = trained
    save_policy(tmp_path / "policy", program.config, state)
    policy = load_policy(tmp_path / "policy", env=Menu())
    masks = jnp.arange(ACTIONS) == jnp.array([[1], [0]])  # one action each
    shown = {"observation": jnp.ones((2, 1)), "action_mask": masks}
    for key in (None, jax.random.key(0)):
        action, _ = policy.step(shown, jnp.ones(2, bool), policy.start(2), key)
        assert action.tolist() == [1, 0]


class Shown(NamedTuple):
    agent: Any
    action_mask: Any


def test_a_mask_is_a_part_of_an_observation_by_its_name():
    mask = jnp.array([True, False])
    for shown in (Shown(jnp.zeros(3), mask), {"agent": jnp.zeros(3), "action_mask": mask}):
        rest, found = split_mask(shown)
        assert list(rest) == ["agent"] and found is mask
        assert set(join_mask(rest, found)) == {"agent", "action_mask"}
    for plain in (jnp.zeros(3), {"agent": mask}, (mask, mask), jnp.zeros(())):
        rest, found = split_mask(plain)
        assert rest is plain and found is None and join_mask(rest, found) is plain


@pytest.mark.parametrize(
    "mask, space, said",
    [
        (jnp.ones(3, bool), Discrete(2), r"is \(3,\) bool; for Discrete\(2\) it is \(2,\) bool"),
        (jnp.ones(2), Discrete(2), r"is \(2,\) float32; .* it is \(2,\) bool"),
        (
            jnp.ones(5, bool),
            MultiDiscrete((2, 3)),
            r"is \(5,\) bool; .* it is a tuple of \[\(2,\), \(3,\)\] bool",
        ),
        (jnp.ones(1, bool), Box(-1.0, 1.0), r"allows some of n actions; Box.* has no n"),
    ],
)
def test_a_mask_that_does_not_fit_the_actions_is_refused_with_what_does(mask, space, said):
    with pytest.raises(ValueError, match=f"env.name: action_mask {said}"):
        check_mask(mask, space)


def test_a_mask_that_fits_is_taken():
    check_mask(None, Box(-1.0, 1.0))
    check_mask(jnp.ones(2, bool), Discrete(2))
    check_mask((jnp.ones(2, bool), jnp.ones(3, bool)), MultiDiscrete((2, 3)))


def test_a_mask_of_another_size_is_refused_before_anything_is_compiled():
    with pytest.raises(ValueError, match=r"action_mask is \(5,\) bool; for Discrete\(3\)"):
        make_program(Config(num_envs=2), env=Menu(num_actions=3))


def test_a_mask_that_allows_everything_changes_no_bit():
    logits = jax.random.normal(jax.random.key(0), (50, 4))
    free, masked = Categorical(logits), Categorical(logits, jnp.ones((50, 4), bool))
    key, action = jax.random.key(1), jnp.arange(50) % 4

    @jax.jit
    def found(pi):
        return pi.sample(key), pi.log_prob(action), pi.entropy(), pi.kl(Categorical(-logits))

    chex.assert_trees_all_equal(found(free), found(masked))


def test_each_factor_has_a_mask_of_its_own():
    masks = (jnp.array([True, False]), jnp.array([False, True, True]))
    pi = MultiCategorical((jnp.array([0.0, 9.0]), jnp.array([9.0, 0.0, 1.0])), masks)
    assert [jnp.exp(one.log_probs)[~one.mask].tolist() for one in pi.factors] == [[0.0], [0.0]]
    assert pi.mode().tolist() == [0, 2]
    np.testing.assert_allclose(pi.entropy(), Categorical(jnp.array([0.0, 1.0])).entropy())
    np.testing.assert_allclose(
        pi.log_prob(jnp.array([0, 2])), Categorical(jnp.array([0.0, 1.0])).log_prob(1), rtol=1e-6
    )


def test_statistics_and_one_hot_vectors_leave_the_mask_alone():
    mask = jnp.array([[True, False], [False, True]])
    shown = {"position": jnp.array([[1.0], [3.0]]), "action_mask": mask}
    begun = norm.start(jax.tree.map(lambda leaf: leaf[0], shown), 2, observations=True,
                       rewards=False).observation  # fmt: skip
    assert set(begun.mean) == {"position"}
    seen = norm.standardised(norm.merge(begun, split_mask(shown)[0]), shown)
    np.testing.assert_allclose(seen["position"], [[-1.0], [1.0]], rtol=1e-6)
    assert seen["action_mask"] is mask
    read = inputs.flat({"field": jnp.int32(2)}, Discrete(3))
    assert read({"field": jnp.int32(2)}).tolist() == [0.0, 0.0, 1.0]


def test_frames_are_stacked_and_the_last_mask_counts():
    env = FrameStack(TimeLimit(Menu(), 9), 3)

    @jax.jit
    def run(key):
        shown, state = env.reset(key, None)
        return shown, env.step(key, state, jnp.int32(0), None)

    shown, (after, state, *_, info) = run(jax.random.key(0))
    assert shown["observation"].shape == (3,)
    assert after["observation"].shape == info["final_observation"]["observation"].shape == (3,)
    np.testing.assert_array_equal(after["action_mask"], state[0][0][0])  # what the inner one allows


def test_a_sticky_action_could_be_forbidden():
    with pytest.raises(ValueError, match=r"env\.sticky: Menu masks actions.*use null"):
        environments.wrap(Menu(), max_steps=None, frame_stack=1, sticky=True)
