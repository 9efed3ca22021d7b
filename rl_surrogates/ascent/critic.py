"""How is the value function fitted where the policy takes a step of its own kind? By Adam, on the
value loss alone, over minibatches of the same rollout.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from rl_surrogates.ascent.minibatch import ADAM_EPSILON, orders
from rl_surrogates.types import Array, Batch, Info, Learner, Loss, Params, Scalar


def fit_critic(
    key: Array,
    loss: Loss,
    learner: Learner,
    batch: Batch,
    *,
    learning_rate: Scalar,
    num_epochs: int,
    num_minibatches: int,
) -> tuple[Learner, Info]:
    """Adam on the value loss alone, `num_epochs` passes over minibatches; consumes `key`."""
    optimiser = adam(learning_rate)

    def value_loss(value: Params, samples: Batch) -> tuple[Array, Info]:
        score = loss({**learner.params, "value": value}, samples)
        return score.value, score.info["value_loss"]

    def step(at: tuple[Params, Any], index: Array) -> tuple[tuple[Params, Any], Array]:
        value, opt_state = at
        # The samples are looked up here: what the value loss does not read is then never moved.
        samples = jax.tree.map(lambda leaf: leaf[index], batch)
        gradient, lost = jax.grad(value_loss, has_aux=True)(value, samples)
        updates, opt_state = optimiser.update(gradient, opt_state, value)
        return (optax.apply_updates(value, updates), opt_state), lost

    size = batch.advantage.shape[0]
    index = orders(key, num_epochs, size).reshape(num_epochs * num_minibatches, -1)
    start = (learner.params["value"], learner.opt_state)
    (value, opt_state), losses = jax.lax.scan(step, start, index)
    learner = learner._replace(params={**learner.params, "value": value}, opt_state=opt_state)
    return learner, {
        "value_loss": jnp.mean(losses),
        "learning_rate": jnp.asarray(learning_rate, jnp.float32),
    }


def adam(learning_rate: Scalar) -> optax.GradientTransformation:
    """The optimiser of the value function."""
    return optax.adam(learning_rate, eps=ADAM_EPSILON)
