"""How do many runs become one program?

A lane is one run: a key, its hypers, its state. `Lanes` compiles a `training.Program` over a
leading axis `L` of lanes, which `spread` brings to the devices. No value crosses lanes, so one that
diverges changes no bit of its neighbours.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from rl_surrogates import evaluation, objectives, training
from rl_surrogates.config import Config
from rl_surrogates.evaluation import Episodes
from rl_surrogates.objectives import choice
from rl_surrogates.sweep.plan import ProgramPlan
from rl_surrogates.sweep.spread import LANES, SHARED, over_lanes, sharding
from rl_surrogates.types import Actor, Array, Info, State

ROWS = 32  # updates that one call can record: what bounds the memory of the metrics


class Lanes:
    """The compiled functions of one program; each is compiled when it is first called, once."""

    def __init__(self, plan: ProgramPlan) -> None:
        """Prepares the program that holds the plan's objectives."""
        self.config = plan.config
        self.objectives = {name: objectives.find(name) for name in plan.objectives}
        self.program = training.make_program(plan.config, choice.one_of(self.objectives))
        self._init = over_lanes(self._start, (LANES, LANES))
        self._advance = advance_over_lanes(self.program)
        self._evaluate = over_lanes(self._episodes, (LANES, SHARED, LANES, LANES))

    def hypers(self, configs: list[Config]) -> Any:
        """The traced numbers of each lane's config, `[L]` leaves."""
        stacked = [self._with_choice(config) for config in configs]
        return jax.tree.map(lambda *leaves: np.stack([np.float32(x) for x in leaves]), *stacked)

    def init(self, seeds: np.ndarray, hypers: Any) -> State:
        """States before the first update, from seeds `[L]`."""
        return self._init(seeds, hypers)

    def place(self, state: State) -> State:
        """Spreads the lanes of a state over the devices."""
        return jax.device_put(state, sharding())

    def advance(self, state: State, hypers: Any, num_updates: int) -> tuple[State, Info]:
        """At most `ROWS` updates: metrics `[L, ROWS]`, first ones valid. `state` is consumed."""
        return self._advance(state, hypers, np.int32(num_updates))

    def evaluate(
        self, seeds: np.ndarray, update: int, actor: Actor, hypers: Any
    ) -> dict[str, Episodes]:
        """Greedy and sampled episodes of the current policies, `[L, episodes]`."""
        return self._evaluate(seeds, np.int32(update), actor, hypers)

    def shapes(self, seeds: np.ndarray, hypers: Any) -> tuple[Any, Any, Any]:
        """Shapes and types of the state, of the metrics `[L, ROWS]`, and of an evaluation."""
        # Spread as they will be, so that jax traces them once, for the shapes and for the program.
        spread = partial(jax.ShapeDtypeStruct, sharding=sharding())
        state = jax.eval_shape(self._init, seeds, hypers)
        state = jax.tree.map(lambda leaf: spread(leaf.shape, leaf.dtype), state)
        zero = np.int32(0)
        metrics = jax.eval_shape(self._advance, state, hypers, zero)[1]
        scores = jax.eval_shape(self._evaluate, seeds, zero, state.actor, hypers)
        return state, metrics, scores

    def _with_choice(self, config: Config) -> Any:
        own = config.objective
        chosen = choice.choose(self.objectives, own.name, own.coefficients)
        return config.hypers()._replace(objective=chosen)

    def _start(self, seed: Array, hypers: Any) -> State:
        return self.program.init(jax.random.key(seed), hypers)

    def _episodes(
        self, seed: Array, update: Array, actor: Actor, hypers: Any
    ) -> dict[str, Episodes]:
        return evaluation.evaluate(
            evaluation.evaluation_key(seed, update),
            self.program.env,
            self.program.env_params(hypers),
            self.program.acting_network(actor),
            actor.params,
            episodes=self.config.evaluation.episodes,
        )


def advance_over_lanes(program: training.Program) -> Callable:
    """`program.advance` of lanes `[L]`, at most `ROWS` updates; the state is consumed."""
    return over_lanes(partial(program.advance, rows=ROWS), (LANES, LANES, SHARED), donate=(0,))
