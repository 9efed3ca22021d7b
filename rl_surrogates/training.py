"""THE PAGE: one update of a policy, in the order in which it happens.

    act     T steps in B environments, with s' before any reset; normalised, where that is asked for
    judge   V(s), V(s'), advantage, value target
    score   log-probabilities and KLs -> objective -> mean; value loss; entropy
    ascend  E epochs x M minibatches on that loss
    adapt   the objective's coefficients, for the next update
    report  scalars of this update; the loop stacks them to metrics [U]

Every formula is one jump away. `make_train(config)` gives training as one pure function `(key,
hypers) -> (state, metrics)`, to be jitted, and vmapped over keys and over hypers. Nothing in it
leaves the device.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates import (
    adaptation,
    advantages,
    assembly,
    bootstrap,
    diagnostics,
    environments,
    grouping,
    inspection,
    loop,
    normalisation,
    rollout,
    value_losses,
)
from rl_surrogates.config import Config
from rl_surrogates.objectives import Objective
from rl_surrogates.types import (
    Acting,
    Actor,
    Array,
    Ascent,
    Batch,
    Distribution,
    Environment,
    Info,
    Learner,
    Network,
    Params,
    Score,
    State,
    Transition,
)

Train = Callable[[Array, Any], tuple[State, Info]]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """What the static part of a config decides; its methods are pure functions."""

    config: Config
    env: Environment
    network: Network
    objective: Objective
    ascent: Ascent

    def train(self, key: Array, hypers: Any) -> tuple[State, Info]:
        """A whole training: the last state, and all metrics `[U]`; consumes `key`."""
        return self.advance(self.init(key, hypers), hypers, self.config.num_updates)

    def init(self, key: Array, hypers: Any) -> State:
        """The state before the first update; consumes `key`."""
        keys = jax.random.split(key, 2 + self.config.num_envs)
        key, key_params, keys_env = keys[0], keys[1], keys[2:]
        acting = rollout.start(keys_env, self.env, self.env_params(hypers), self.network)
        observation = jax.tree.map(lambda leaf: leaf[0], acting.observation)
        learner = self.ascent.init(self.network.init(key_params, observation))
        coefficients = {
            name: jnp.asarray(value, jnp.float32)
            for name, value in hypers.objective.items()
            if name in self.objective.coefficients
        }
        path = getattr(self.config.adaptation, "coefficient", adaptation.OBJECTIVE)
        normaliser = normalisation.start(
            observation,
            self.config.num_envs,
            observations=self.config.normalise.observations,
            rewards=self.config.normalise.rewards,
        )
        adapted = adaptation.beside(path, hypers)
        return State(key, acting, learner, coefficients, adapted, normaliser)

    def update(self, state: State, hypers: Any) -> tuple[State, Info]:
        """One update, in order."""
        first, hypers = hypers, adaptation.current(hypers, state.adapted)
        key, key_act, key_ascend = jax.random.split(state.key, 3)
        acting, transitions = self.collect(key_act, state, hypers)  # 1 act
        normaliser, transitions = normalisation.normalise(
            state.normaliser, transitions, gamma=hypers.advantage.gamma
        )
        batch = self.judge(state, transitions, hypers)  # 2 judge
        loss = partial(self.score, hypers=hypers, coefficients=state.coefficients)  # 3 score
        learner, info = self.ascent.ascend(
            key_ascend, loss, state.learner, batch, hypers.ascent
        )  # 4 ascend
        info = {**inspection.of_update(self, state, learner, batch), **info}
        coefficients, adapted = self.adapt(state, learner, info, first)  # 5 adapt
        return (
            State(key, acting, learner, coefficients, adapted, normaliser),
            {**info, **self.report(info, learner, batch, transitions)},  # 6 report
        )

    def advance(
        self, state: State, hypers: Any, num_updates: int, *, rows: int | None = None
    ) -> tuple[State, Info]:
        """`num_updates` updates in one compiled loop; their metrics fill the first of `rows` rows.

        With `rows` given, `num_updates` may be traced: one compilation serves chunks of any length.
        Of many lanes a CPU trains a few at a time (`grouping`).
        """
        repeat = partial(loop.repeat, self.update, rows=rows or num_updates)
        at_once = grouping.lanes_at_once(self.config.num_envs)
        return grouping.in_groups(repeat, at_once)(state, hypers, num_updates)

    def collect(self, key: Array, state: State, hypers: Any) -> tuple[Acting, Transition]:
        """Acts for `num_steps` steps: transitions `[T, B, ...]`; consumes `key`."""
        return rollout.collect(
            key,
            self.env,
            self.env_params(hypers),
            self.acting_network(state.actor),
            state.learner.params,
            state.acting,
            num_steps=self.config.num_steps,
        )

    def judge(self, state: State, transitions: Transition, hypers: Any) -> Batch:
        """Values, advantages and value targets of a rollout, as samples."""
        params, carry = state.learner.params, state.acting.carry
        value, next_value = bootstrap.values(self.network, params, transitions, carry)
        advantage = advantages.gae(
            transitions.reward,
            value,
            next_value,
            transitions.terminated,
            transitions.truncated,
            gamma=hypers.advantage.gamma,
            lambda_=hypers.advantage.gae_lambda,
        )
        value_target = advantage + value
        if self.config.advantage.standardise == "batch":
            advantage = advantages.standardise(advantage)
        advantage = hypers.advantage.scale * advantage
        batch = Batch(
            observation=transitions.observation,
            reset=transitions.reset,
            carry=carry,
            action=transitions.action,
            log_prob_old=transitions.log_prob,
            distribution_old=transitions.distribution,
            value_old=value,
            advantage=advantage,
            value_target=value_target,
        )
        return rollout.as_sequences(batch) if self.network.recurrent else rollout.as_samples(batch)

    def score(
        self, params: Params, batch: Batch, *, hypers: Any, coefficients: dict[str, Array]
    ) -> Score:
        """The losses of one minibatch; an ascent differentiates those that it needs."""
        if self.network.recurrent:
            batch = rollout.as_sequences(batch)  # time first again
        pi, value, _ = self.network.unroll(params, batch.observation, batch.reset, batch.carry)
        log_prob = pi.log_prob(batch.action)
        surrogate = jnp.mean(self.surrogate(pi, log_prob, batch, coefficients))  # to maximise
        value_loss = jnp.mean(self.value_loss(value, batch, hypers.value_loss))
        entropy = jnp.mean(pi.entropy())
        info = {
            "policy_loss": -surrogate,
            "value_loss": value_loss,
            "entropy": entropy,
            **diagnostics.policy_shift(log_prob, batch.log_prob_old),
        }
        return Score(
            policy=-surrogate - hypers.ent_coef * entropy,
            value=hypers.value_loss.coef * value_loss,
            distribution=pi,
            kl=jnp.mean(batch.distribution_old.kl(pi)),
            info={**info, **inspection.of_minibatch(self, params, pi, batch, coefficients, info)},
        )

    def surrogate(
        self,
        pi: Distribution,
        log_prob: Array,
        batch: Batch,
        coefficients: dict[str, Array],
        objective: Objective | None = None,
    ) -> Array:
        """The objective per sample: it is handed what its signature asks for, by name."""
        objective, advantage = objective or self.objective, self.advantage(batch)
        available = {
            "log_prob": lambda: log_prob,
            "log_prob_old": lambda: batch.log_prob_old,
            "log_prob_prox": lambda: self.log_prob_prox(batch),
            "advantage": lambda: advantage,
            "kl_old_new": lambda: batch.distribution_old.kl(pi),
            "kl_new_old": lambda: pi.kl(batch.distribution_old),
        }
        asked = {name: available[name]() for name in objective.inputs}
        return objective.fn(**asked, **coefficients)

    def advantage(self, batch: Batch) -> Array:
        """The advantage as the objective sees it."""
        if self.config.advantage.standardise == "minibatch":
            return advantages.standardise(batch.advantage)
        return batch.advantage

    def log_prob_prox(self, batch: Batch) -> Array:
        """Log-probability under the proximal policy: the one that acted, unless another is kept."""
        if batch.proximal is None:
            return batch.log_prob_old
        pi, _, _ = self.network.unroll(batch.proximal, batch.observation, batch.reset, batch.carry)
        return pi.log_prob(batch.action)

    def value_loss(self, value: Array, batch: Batch, hypers: Any) -> Array:
        """The value loss per sample, units of return squared."""
        if self.config.value_loss.name == "squared_error":
            return value_losses.squared_error(value, batch.value_target)
        return value_losses.clipped_squared_error(
            value, batch.value_old, batch.value_target, epsilon=hypers.epsilon
        )

    def adapt(
        self, state: State, learner: Learner, info: Info, hypers: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """The coefficients of the next update, and what else moves, by what this one came to."""
        config, settings = self.config, self.config.adaptation
        if settings.name == "fixed":
            return state.coefficients, state.adapted
        seen = adaptation.Seen(
            kl=info["kl_old_new"],
            update=learner.update,
            num_updates=config.num_updates,
            num_samples=config.num_envs * config.num_steps,
            hypers=getattr(hypers, "adaptation", None),
        )
        rule, moved = adaptation.RULES[settings.name], (state.coefficients, state.adapted)
        return adaptation.adapt(rule, settings.coefficient, *moved, hypers, seen)

    def report(self, info: Info, learner: Learner, batch: Batch, transitions: Transition) -> Info:
        """What the reader of this update needs beside what the ascent measured."""
        steps = self.config.num_envs * self.config.num_steps
        return {
            **diagnostics.episodes(transitions),
            "explained_variance": diagnostics.explained_variance(
                batch.value_old, batch.value_target
            ),
            "env_steps": diagnostics.env_steps(learner.update, steps, self.config.num_updates),
            "finite": info["finite"] & diagnostics.all_finite(learner.params),
        }

    def acting_network(self, actor: Actor) -> Network:
        """The network for raw observations, behind the actor's statistics."""
        return normalisation.acting_network(self.network, actor.normaliser)

    def env_params(self, hypers: Any) -> Any:
        """The environment's parameters, with the traced numbers of the config's `env`."""
        return environments.with_params(self.env, hypers.env.params, hypers.env.sticky)


def make_train(config: Config, objective: Any = None, env: Any = None) -> Train:
    """`train(key, hypers) -> (state, metrics)`, pure; arguments and errors of `make_program`."""
    return make_program(config, objective, env).train


def make_program(config: Config, objective: Any = None, env: Any = None) -> Program:
    """Builds what the static part of `config` decides, and checks that its parts fit each other.

    Args:
      config: the run; its traced numbers are not read here, they come as `hypers`.
      objective: an `Objective` or a function instead of `config.objective.name`; coefficients are
        those of `config.objective`, by name, and its own defaults otherwise.
      env: a `types.Environment`, or a gymnax environment, instead of `config.env.name`.

    Raises:
      ValueError: parts that do not fit: an unknown input or coefficient, an action space without a
        policy, an environment parameter that does not exist.
    """
    chosen = assembly.make_objective(config, objective)
    env, params = assembly.make_environment(config, env)
    assembly.check_actions(chosen, environments.action_space(env, params))
    network = assembly.network_for(config, env, params)
    return Program(config, env, network, chosen, assembly.make_ascent(config))
