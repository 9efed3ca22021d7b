"""Records that cross `scan` and `vmap`, and the protocols that tie the layers together.

Axis letters, the same everywhere: `T` time, `B` environments, `N = T*B` samples, `A` action, `S`
seeds, `H` settings, `U` updates. A record is a NamedTuple: a pytree without registration, whose
fields say their shape.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax

Array = jax.Array
Scalar = jax.Array | float  # a number that may be traced
Params = Mapping[str, Any]  # {"policy": ..., "value": ...}
Info = dict[str, Array]  # what only the reader needs; stacked over updates it is called metrics


class Distribution(Protocol):
    """A policy's distribution over actions at a batch of states; a pytree."""

    def sample(self, key: Array) -> Array:
        """Draws one action per state, `perturbed(noise(key))`; consumes `key`."""

    def noise(self, key: Array) -> Any:
        """The random numbers of a sample; reads the shapes of the parameters only."""

    def perturbed(self, noise: Any) -> Array:
        """The sample that comes of this noise."""

    def log_prob(self, action: Array) -> Array:
        """`[...]` log-probability (or density) of `action`, nats."""

    def entropy(self) -> Array:
        """`[...]` exact entropy, nats."""

    def kl(self, other: "Distribution") -> Array:
        """`[...]` exact KL(self || other), nats; exactly 0 where the two are equal."""

    def mode(self) -> Array:
        """The most probable action."""

    def action(self, sample: Array) -> Array:
        """What a sample does in the units of the policy; the sample itself, mostly."""


class Environment(Protocol):
    """One environment, without a batch axis: the six-value step of gymnax 1.0, which resets by
    itself.

    `step` returns `(observation, state, reward, terminated, truncated, info)`. Where the episode
    ended, `observation` and `state` already belong to the next one; `info["final_observation"]` is
    the true successor, present on every step. A user's own environment with discrete actions may
    have `num_actions` instead of `action_space`. Its observation may have a part `action_mask`:
    which actions the state allows (`spaces.split_mask`).
    """

    default_params: Any

    def action_space(self, params: Any) -> Any:
        """What actions it takes: one of `spaces`, or one of gymnax's."""

    def reset(self, key: Array, params: Any) -> tuple[Array, Any]:
        """Starts an episode: `(observation, state)`."""

    def step(
        self, key: Array, state: Any, action: Array, params: Any
    ) -> tuple[Array, Any, Array, Array, Array, dict[str, Any]]:
        """Acts once; starts the next episode where this one ended."""


class Network(Protocol):
    """Policy and value function behind one call, recurrent or not.

    A feed-forward network has the empty carry `()` and ignores `reset`.
    """

    recurrent: bool

    def init(self, key: Array, observation: Array) -> Params:
        """Parameters `{"policy": ..., "value": ...}`, and what the two share, if they do."""

    def initial_carry(self, num_envs: int) -> Any:
        """The carry at the start of an episode, `[B, ...]`."""

    def __call__(
        self, params: Params, observation: Array, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """One step of `[B]` environments; `reset` True zeroes the carry first."""

    def unroll(
        self, params: Params, observation: Array, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """A sequence `[T, B]` from `carry` `[B]`; the carries are those before any reset."""


class Transition(NamedTuple):
    """One step of every environment; `[T, B, ...]` after a rollout."""

    observation: Array  # [T, B, ...] s_t
    reset: Array  # [T, B] bool: s_t is the first of an episode
    action: Array  # [T, B, ...] a_t
    log_prob: Array  # [T, B] log pi(a_t | s_t) of the policy that acted, nats
    distribution: Distribution  # [T, B] pi(. | s_t) of the policy that acted
    reward: Array  # [T, B] r_{t+1}, as the learner sees it
    terminated: Array  # [T, B] bool: s_{t+1} is absorbing
    truncated: Array  # [T, B] bool: a time limit ended the episode at s_{t+1}
    next_observation: Array  # [T, B, ...] s_{t+1} before any reset: what V is bootstrapped from
    episode_return: Array  # [T, B] raw reward of the episode so far, r_{t+1} included
    episode_length: Array  # [T, B] int32 steps of the episode so far


class Batch(NamedTuple):
    """What the losses see: samples `[N, ...]`, or sequences where the network is recurrent."""

    observation: Array  # [N, ...]
    reset: Array  # [N] bool
    carry: Any  # [B, ...] at the start of each sequence; () where the network has no memory
    action: Array  # [N, ...]
    log_prob_old: Array  # [N] nats
    distribution_old: Distribution  # [N]
    value_old: Array  # [N] V(s) before the update, units of return
    advantage: Array  # [N] units of return, or standardised
    value_target: Array  # [N] units of return
    proximal: Params | None = None  # parameters of the proximal policy; None: the one that acted


class Learner(NamedTuple):
    """What an ascent improves."""

    params: Params
    opt_state: Any
    update: Array  # [] int32: updates done, what annealing counts


class Score(NamedTuple):
    """What an ascent may minimise on some samples, and what it may watch.

    One pass gives all of it. What an ascent does not use, the compiler drops.
    """

    policy: Array  # [] -(mean objective + ent_coef * mean entropy): reads the policy's parameters
    value: Array  # [] value_loss.coef * mean value loss: reads those of the value function
    distribution: Distribution  # pi at every sample
    kl: Array  # [] mean KL(old || pi), exact, nats
    info: Info  # scalars

    @property
    def total(self) -> Array:
        """`[]` both losses, for an ascent that lowers them together."""
        return self.policy + self.value


Loss = Callable[[Params, Batch], Score]


class Ascent(NamedTuple):
    """How a learner is improved on one rollout: a pair of pure functions."""

    init: Callable[[Params], Learner]
    ascend: Callable[..., tuple[Learner, Info]]  # (key, loss, learner, batch, hypers)


class Acting(NamedTuple):
    """Where the environments stand between two rollouts."""

    env_state: Any  # [B, ...]
    observation: Array  # [B, ...] s_t, after any reset, as a rollout keeps it
    reset: Array  # [B] bool: s_t is the first of an episode
    carry: Any  # [B, ...] of a recurrent network; () otherwise
    episode_return: Array  # [B] raw reward of the running episode
    episode_length: Array  # [B] int32


class Actor(NamedTuple):
    """What it takes to act as a training does."""

    params: Params
    normaliser: Any  # the statistics behind which the network sees observations


class State(NamedTuple):
    """Everything that the next update needs, and nothing else."""

    key: Array  # [] typed
    acting: Acting
    learner: Learner
    coefficients: dict[str, Array]  # of the objective, as adapted so far
    adapted: dict[str, Array]  # what else an adaptation moves, by its dotted path among the hypers
    normaliser: Any  # statistics of observations and rewards

    @property
    def actor(self) -> Actor:
        """The part that an evaluation needs, and an export keeps."""
        return Actor(self.learner.params, self.normaliser)
