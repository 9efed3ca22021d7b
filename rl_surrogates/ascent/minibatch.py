"""Epochs of minibatch gradient steps on one rollout: the ascent of PPO, and of every objective that
reuses data.

    for each of E epochs: shuffle; for each of M minibatches: one step of Adam on the gradient,
    clipped by its global norm

as two `lax.scan`s. With E = M = 1 and `policy_gradient` this is A2C (with Adam). Adam's epsilon is
1e-5, as in the reference code of PPO; 1e-8 makes the first steps of a small gradient ten percent
longer.

Source: Schulman et al. 2017, arXiv:1707.06347, algorithm 1; Kingma & Ba 2015, arXiv:1412.6980.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from rl_surrogates import adaptation
from rl_surrogates.ascent import proximal, stopping
from rl_surrogates.types import Array, Ascent, Batch, Info, Learner, Loss, Params, Scalar

ADAM_EPSILON = 1e-5


def minibatch(
    *,
    num_epochs: int,
    num_minibatches: int,
    anneal: bool,
    num_updates: int,
    target_kl: bool = False,
    max_ratio_deviation: bool = False,
    ewma_decay: bool = False,
) -> Ascent:
    """The ascent that takes `num_epochs * num_minibatches` steps of Adam per update, or fewer.

    Args:
      num_epochs: passes over the batch, >= 1.
      num_minibatches: parts of one pass, >= 1; divides the leading axis of the batch.
      anneal: whether the learning rate falls linearly, once per update, to 0 after `num_updates`.
      num_updates: length of the training, in updates.
      target_kl: whether `hypers.target_kl` ends the steps of an update (`stopping`).
      max_ratio_deviation: whether `hypers.max_ratio_deviation` does.
      ewma_decay: whether the proximal policy is an average, with `hypers.ewma_decay` (`proximal`).
    """

    def init(params: Params) -> Learner:
        learner = Learner(params, optimiser(0.0, 0.0).init(params), jnp.zeros((), jnp.int32))
        return proximal.averaged(learner) if ewma_decay else learner

    def ascend(
        key: Array, loss: Loss, learner: Learner, batch: Batch, hypers: Any
    ) -> tuple[Learner, Info]:
        learning_rate = annealed(hypers.learning_rate, learner.update, num_updates, anneal)
        step = gradient_step(loss, optimiser(learning_rate, hypers.max_grad_norm))
        if ewma_decay:
            step = proximal.averaging(step, hypers.ewma_decay)
        sizes = (num_epochs, num_minibatches)
        if target_kl or max_ratio_deviation:
            kl = hypers.target_kl if target_kl else jnp.inf
            deviation = hypers.max_ratio_deviation if max_ratio_deviation else jnp.inf
            step = stopping.stopping(step, target_kl=kl, max_ratio_deviation=deviation)
            (learner, _), infos = passes(key, step, stopping.begin(learner), batch, *sizes)
        else:
            learner, infos = passes(key, step, learner, batch, *sizes)
        info = {**summarise(infos), "learning_rate": learning_rate}
        return learner._replace(update=learner.update + 1), info

    return Ascent(init, ascend)


def annealed(learning_rate: Scalar, update: Array, num_updates: int, anneal: bool) -> Array:
    """The learning rate of an update."""
    fraction = adaptation.linear_anneal(update, num_updates) if anneal else 1.0
    return jnp.asarray(learning_rate * fraction, jnp.float32)


def passes(
    key: Array, step: Callable, carry: Any, batch: Batch, num_epochs: int, num_minibatches: int
) -> tuple[Any, Info]:
    """`step` on every minibatch of every epoch: what it carries, and infos `[E, M]`.

    Consumes `key`.
    """

    def epoch(carry: Any, order: Array) -> tuple[Any, Info]:
        return jax.lax.scan(on, carry, order.reshape(num_minibatches, -1))

    def on(carry: Any, samples: Array) -> tuple[Any, Info]:
        return step(carry, deal(batch, samples))

    size = jax.tree.leaves(batch)[0].shape[0]
    return jax.lax.scan(epoch, carry, orders(key, num_epochs, size))


def optimiser(learning_rate: Scalar, max_grad_norm: Scalar) -> optax.GradientTransformation:
    """Adam on the gradient, after scaling it down to a global norm of at most `max_grad_norm`.

    Both see the gradient as one vector: a dozen small leaves would be a dozen small loops each.
    """
    return optax.flatten(
        optax.chain(
            optax.clip_by_global_norm(max_grad_norm), optax.adam(learning_rate, eps=ADAM_EPSILON)
        )
    )


def global_norm(gradient: Params) -> Array:
    """The norm of all leaves together, as the optimiser takes it: the compiler finds it once."""
    return optax.tree.norm(ravel_pytree(gradient)[0])


def gradient_step(loss: Loss, optimiser: optax.GradientTransformation) -> Callable:
    """One step on one minibatch, a scan's body: `(learner, minibatch) -> (learner, info)`."""

    def joint(params: Params, minibatch: Batch) -> tuple[Array, Info]:
        score = loss(params, minibatch)
        return score.total, score.info

    def step(learner: Learner, minibatch: Batch) -> tuple[Learner, Info]:
        (total, info), gradient = jax.value_and_grad(joint, has_aux=True)(learner.params, minibatch)
        updates, opt_state = optimiser.update(gradient, learner.opt_state, learner.params)
        params = optax.apply_updates(learner.params, updates)
        info = {**info, "grad_norm": global_norm(gradient), "finite": jnp.isfinite(total)}
        return learner._replace(params=params, opt_state=opt_state), info

    return step


def orders(key: Array, num_epochs: int, size: int) -> Array:
    """`[E, N]` int32: for every epoch its own random order of the samples; consumes `key`.

    Sorts random bits that carry the index of their sample in the lowest places: one array of whole
    numbers, which sorts several times faster than keys with values beside them. Samples that draw
    equal bits, 32 less the places of the index, keep their order.
    """
    places = (size - 1).bit_length()
    low = jnp.uint32((1 << places) - 1)
    # In one row, as all that `rollout.chances` draws: it compiles faster than a table.
    bits = jax.random.bits(key, (num_epochs * size,)).reshape(num_epochs, size)
    tagged = (bits & ~low) | jnp.arange(size, dtype=jnp.uint32)
    return (jnp.sort(tagged, axis=-1) & low).astype(jnp.int32)


def deal(batch: Batch, samples: Array) -> Batch:
    """The minibatch `[n, ...]` of these samples `[n]`, all different, of a batch `[N, ...]`."""

    def dealt(leaf: Array) -> Array:
        return leaf.at[samples].get(mode="promise_in_bounds", unique_indices=True)

    return jax.tree.map(dealt, batch)


def summarise(infos: Info) -> Info:
    """`[E, M]` -> scalars: how far the policy moved in the last epoch, the mean of the rest.

    The mean is over the minibatches up to the one at which the update stopped. In later epochs the
    policy stays where it is, so that the last one measures it on the whole batch.
    """
    last_epoch = {name: jnp.mean(infos[name][-1]) for name in ("approx_kl", "clip_fraction")}
    seen = infos.get("seen")
    whole = {
        name: jnp.mean(infos[name], where=seen)
        for name in ("policy_loss", "value_loss", "entropy", "grad_norm")
    }
    return {
        **whole,
        **last_epoch,
        **by_epoch(infos),
        **on_the_way(infos),
        "first_ratio_error": infos["ratio_error"][0, 0],
        "optimiser_steps": jnp.sum(infos.get("taken", jnp.ones_like(infos["finite"]))),
        "finite": jnp.all(infos["finite"]),
    }


def by_epoch(infos: Info) -> Info:
    """Means over the minibatches of epochs 1, 2, 4, 8, ... and the last, where they are asked for.

    They are asked for by `gradient_cosine`, which only full diagnostics measure; each is one metric
    `<name>_epoch_<number>`.
    """
    if "gradient_cosine" not in infos or "by_epoch" in infos:  # which has every epoch
        return {}
    count = infos["gradient_cosine"].shape[0]
    epochs = sorted({2**k for k in range(count.bit_length())} | {count})
    return {
        f"{name}_epoch_{epoch}": jnp.mean(infos[name][epoch - 1])
        for name in ("gradient_cosine", "approx_kl", "clip_fraction")
        for epoch in epochs
    }


def on_the_way(infos: Info) -> Info:
    """The measures that are asked for per epoch, `<name>_epoch` `[E]`, or per minibatch,
    `<name>_minibatch` `[E, M]`; of those of an epoch the mean, or the extreme of an extreme.
    """
    steps = {name: infos[name] for name in ("grad_norm", "taken") if name in infos}
    each = {**infos["by_minibatch"], **steps} if "by_minibatch" in infos else {}
    means = {**infos["by_epoch"], **steps} if "by_epoch" in infos else {}
    extremes = {"ratio_min": jnp.min, "ratio_max": jnp.max, "ratio_error": jnp.max}
    return {
        **{f"{name}_minibatch": leaf for name, leaf in each.items()},
        **{
            f"{name}_epoch": extremes.get(name, jnp.mean)(leaf, axis=1)
            for name, leaf in means.items()
        },
    }
