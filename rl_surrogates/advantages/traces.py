"""The one recursion behind all advantages, and the two ways in which an episode ends.

x_t = term_t + keep_t x_{t+1}
"""

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Scalar


def accumulate(term: Array, keep: Array) -> Array:
    """Solves x_t = term_t + keep_t x_{t+1} backwards from x_T = 0; `[T, ...]`.

    A CPU goes row by row. An accelerator would wait for every row: it takes all of them together,
    log2 T times, and gives the same to rounding.

    Source: Blelloch 1990, "Prefix sums and their applications", section 1.4.
    """
    keep = jnp.broadcast_to(keep, term.shape)
    if jax.default_backend() != "cpu":
        return jax.lax.associative_scan(_composed, (keep, term), reverse=True)[1]
    return jax.lax.scan(_step_back, jnp.zeros_like(term[0]), (term, keep), reverse=True)[1]


def discount(gamma: Scalar, stop: Array) -> Array:
    """gamma, and 0 where `stop` is set; `[T, ...]`."""
    return gamma * (1.0 - stop)


def last_or(stop: Array) -> Array:
    """`[T, ...]` bool: row t + 1 does not continue row t, by a stop or the end of the rollout."""
    return jnp.asarray(stop).at[-1].set(True)


def next_row(x: Array) -> Array:
    """`[T, ...]` row t + 1 in row t; the last row repeats itself, to be masked with `last_or`."""
    return jnp.concatenate([x[1:], x[-1:]])


def _step_back(later: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
    # At module level, so that calls outside jit share one compilation.
    term, keep = row
    now = term + keep * later
    return now, now


def _composed(later: tuple[Array, Array], sooner: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two maps x -> term + keep x as one."""
    (later_keep, later_term), (keep, term) = later, sooner
    return keep * later_keep, term + keep * later_term
