"""V-MPO: imitate the better half of the samples, within a bound on how far, and learn both prices.

    loss = - sum_i psi_i l_i + sg(alpha) KL(old || new)     the policy; l is any row of the table
           + eta (epsilon_eta + log mean_top exp(A / eta))  the temperature of the weights psi
           + alpha (epsilon_alpha - sg(KL(old || new)))     the price of moving
           + the value loss - the entropy bonus

all lowered together, minibatch by minibatch; top, psi and the means are those of the minibatch. The
row is handed N psi in the place of the advantage: with `policy_gradient` it is log pi, which is
V-MPO; another one keeps its ratio, its clip or its penalty on top of the weights.

eta and alpha are softplus of free numbers, hence positive, and have an Adam of their own, whose
rate does not fall. The paper keeps `old` for a number of updates and bounds mean and deviation of a
Gaussian apart; here `old` is the policy that acted, and the bound is on the whole KL. Stoix
projects both multipliers onto the positive numbers instead.

Source: Song et al. 2020, arXiv:1909.12238, section 4.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rl_surrogates.ascent import duals
from rl_surrogates.ascent.minibatch import annealed, global_norm, optimiser, passes, summarise
from rl_surrogates.types import Array, Ascent, Batch, Info, Learner, Loss, Params, Scalar

INITIAL_ETA, INITIAL_ALPHA = 1.0, 5.0  # of the paper
SMALLEST = 1e-8  # floor of both, where softplus has no digits left


class Multipliers(NamedTuple):
    """The two prices, before `positive`."""

    eta: Array  # [] temperature, in units of the advantage
    alpha: Array  # [] price of a nat


class VmpoState(NamedTuple):
    """What the ascent keeps beside the parameters."""

    optimiser: Any  # of the parameters
    multipliers: Multipliers
    dual_optimiser: Any  # of the multipliers


def vmpo(*, num_epochs: int, num_minibatches: int, anneal: bool, num_updates: int) -> Ascent:
    """The ascent of V-MPO; arguments as of `minibatch`.

    `hypers` are learning_rate, max_grad_norm, epsilon_eta, epsilon_alpha (nats), and
    dual_learning_rate.
    """

    def init(params: Params) -> Learner:
        free = Multipliers(*(jnp.log(jnp.expm1(jnp.float32(x))) for x in _INITIAL))
        state = VmpoState(optimiser(0.0, 0.0).init(params), free, optax.adam(0.0).init(free))
        return Learner(params, state, jnp.zeros((), jnp.int32))

    def ascend(
        key: Array, loss: Loss, learner: Learner, batch: Batch, hypers: Any
    ) -> tuple[Learner, Info]:
        learning_rate = annealed(hypers.learning_rate, learner.update, num_updates, anneal)
        step = weighted_step(
            loss,
            optimiser(learning_rate, hypers.max_grad_norm),
            optax.adam(hypers.dual_learning_rate),
            epsilon_eta=hypers.epsilon_eta,
            epsilon_alpha=hypers.epsilon_alpha,
        )
        learner, infos = passes(key, step, learner, batch, num_epochs, num_minibatches)
        after = positive(learner.opt_state.multipliers)
        info = summarise(infos) | {"eta": after.eta, "alpha": after.alpha}
        info |= {"weights_kl": jnp.mean(infos["weights_kl"]), "learning_rate": learning_rate}
        return learner._replace(update=learner.update + 1), info

    return Ascent(init, ascend)


def weighted_step(
    loss: Loss,
    optimiser: optax.GradientTransformation,
    dual_optimiser: optax.GradientTransformation,
    *,
    epsilon_eta: Scalar,
    epsilon_alpha: Scalar,
) -> Callable:
    """One step of parameters and multipliers: `(learner, minibatch) -> (learner, info)`."""

    def total(params: Params, free: Multipliers, minibatch: Batch) -> tuple[Array, Info]:
        advantage, (eta, alpha) = minibatch.advantage, positive(free)
        top = duals.top_half(advantage)
        psi = duals.weights(advantage, eta, top)
        score = loss(params, minibatch._replace(advantage=psi.size * psi))
        value = score.total + jax.lax.stop_gradient(alpha) * score.kl
        value += duals.temperature_loss(advantage, eta, top, epsilon=epsilon_eta)
        value += duals.multiplier_loss(alpha, score.kl, epsilon=epsilon_alpha)
        return value, {**score.info, "weights_kl": duals.weights_kl(psi, top)}

    def step(learner: Learner, minibatch: Batch) -> tuple[Learner, Info]:
        params, state = learner.params, learner.opt_state
        slopes = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
        (value, info), (gradient, dual) = slopes(params, state.multipliers, minibatch)
        update, kept = optimiser.update(gradient, state.optimiser, params)
        dual_update, dual_kept = dual_optimiser.update(dual, state.dual_optimiser)
        free = optax.apply_updates(state.multipliers, dual_update)
        info |= {"grad_norm": global_norm(gradient), "finite": jnp.isfinite(value)}
        after = VmpoState(kept, free, dual_kept)
        return learner._replace(params=optax.apply_updates(params, update), opt_state=after), info

    return step


def positive(free: Multipliers) -> Multipliers:
    """The multipliers themselves."""
    return jax.tree.map(lambda x: jax.nn.softplus(x) + SMALLEST, free)


_INITIAL = (INITIAL_ETA, INITIAL_ALPHA)
