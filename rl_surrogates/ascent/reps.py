"""REPS: weigh every sample by its advantage, as far as a bound on the weights allows.

    eta: KL(psi || uniform) = epsilon_eta,    psi_i ~ exp(A_i / eta)    on the whole rollout
    then minibatches of     - sum_i psi_i l_i,    l is any row of the table

Once per update the temperature is the exact minimum of its convex dual; then the weights are data,
and the minibatch ascent is handed N psi in the place of the advantages. With `policy_gradient` the
row is log pi, a weighted maximum likelihood. Nothing bounds the policy itself: what does are the
number of steps, or the row.

The paper finds the value function by the same dual; here it is the critic, and A its advantage.

Source: Peters et al. 2010, "Relative entropy policy search", AAAI, eq. 5-8.
"""

from typing import Any

import jax.numpy as jnp

from rl_surrogates.ascent import duals
from rl_surrogates.ascent.minibatch import minibatch
from rl_surrogates.types import Array, Ascent, Batch, Info, Learner, Loss


def reps(*, num_epochs: int, num_minibatches: int, anneal: bool, num_updates: int) -> Ascent:
    """The ascent of relative entropy policy search; arguments as of `minibatch`.

    `hypers` are learning_rate, max_grad_norm, and epsilon_eta (nats).
    """
    init, steps = minibatch(
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
        anneal=anneal,
        num_updates=num_updates,
    )

    def ascend(
        key: Array, loss: Loss, learner: Learner, batch: Batch, hypers: Any
    ) -> tuple[Learner, Info]:
        every = jnp.ones_like(batch.advantage, bool)
        eta = duals.solve_temperature(batch.advantage, every, epsilon=hypers.epsilon_eta)
        psi = duals.weights(batch.advantage, eta, every)
        weighted = batch._replace(advantage=psi.size * psi)
        learner, info = steps(key, loss, learner, weighted, hypers)
        return learner, {**info, "eta": eta, "weights_kl": duals.weights_kl(psi, every)}

    return Ascent(init, ascend)
