"""How is a linear system solved, or a step length found, when only products and values are given?

On pytrees, inside jit and vmap. A failure is a value in `info`, and no NaN leaves a solver. Every
loop is bounded: under vmap it runs as long as its slowest lane, and a lane that is done keeps what
it has. Nothing here knows of policies.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Info, Scalar

Tree = TypeVar("Tree")  # a pytree of float arrays
Measured = TypeVar("Measured")


class _Iterate(NamedTuple):
    """Where conjugate gradients stand."""

    x: Any
    residual: Any  # b - A x, by recurrence
    direction: Any
    residual_norm: Array  # [] |residual|^2
    largest: Array  # [] largest curvature p'Ap / p'p seen so far
    iterations: Array  # [] int32
    positive: Array  # [] bool: no direction without positive curvature so far
    running: Array  # [] bool


def conjugate_gradient(
    matvec: Callable[[Tree], Tree],
    b: Tree,
    *,
    num_iterations: int = 10,
    residual_tol: Scalar = 1e-10,
) -> tuple[Tree, Info]:
    """Solves `A x = b` for a symmetric positive semidefinite `A`, by conjugate gradients from 0.

        x += a p,   r -= a A p,   a = r'r / p'Ap,   then   p = r' + (|r'|^2 / |r|^2) p

    until `|r|^2 <= residual_tol |b|^2`. A direction counts as one of positive curvature if `p'Ap /
    p'p` exceeds the largest seen so far times the rounding error of float32; otherwise, or where a
    step would not be finite, the solver stops at the iterate before. A singular `A` with `b` in its
    range is solved.

    Args:
      matvec: `v -> A v` on trees like `b`.
      b: tree of arrays; all zero gives 0 without an iteration, and so does one that is not finite.
      num_iterations: at most so many products, >= 0; `n` suffice for `n` unknowns, up to rounding.
      residual_tol: bound on `|r|^2 / |b|^2`, dimensionless.

    Returns:
      `x`, finite, and `info`: `iterations` [] int32, `residual` [] = `|r|^2 / |b|^2`,
      `positive_curvature` [] bool, False where a direction without it was met.

    Source: Hestenes & Stiefel 1952, section 3.
    """
    b_norm = dot(b, b)
    usable = (b_norm > 0.0) & jnp.isfinite(b_norm)
    scale = jnp.where(usable, b_norm, 1.0)

    def running(at: _Iterate) -> Array:
        return at.running & (at.iterations < num_iterations)

    def iterate(at: _Iterate) -> _Iterate:
        return _next_iterate(at, matvec(at.direction), residual_tol * b_norm)

    zero = jax.tree.map(jnp.zeros_like, b)
    count = jnp.zeros((), jnp.int32)
    start = _Iterate(zero, b, b, scale, jnp.zeros_like(scale), count, jnp.ones_like(usable), usable)
    end = jax.lax.while_loop(running, iterate, start)
    return end.x, {
        "iterations": end.iterations,
        "residual": jnp.where(b_norm == 0.0, 0.0, end.residual_norm / scale),
        "positive_curvature": end.positive,
    }


def hessian_vector_product(fn: Callable[[Tree], Array], params: Tree, v: Tree) -> Tree:
    """`H v` with `H` the Hessian of the scalar `fn` at `params`, by forward over reverse mode.

    Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".
    """
    return jax.jvp(jax.grad(fn), (params,), (v,))[1]


def backtracking(
    measure: Callable[[Array], Measured],
    accept: Callable[[Measured], Array],
    at_zero: Measured,
    *,
    shrink: Scalar,
    num_tries: int,
) -> tuple[Array, Measured, Info]:
    """The first of the lengths `1, shrink, shrink^2, ...` that is accepted; 0 if none is.

    Args:
      measure: what is to be known about a step of this length.
      accept: whether that is good enough: `[]` bool; anything compared with NaN is not.
      at_zero: what `measure(0)` would be, with its shapes and types.
      shrink: in (0, 1). May be traced.
      num_tries: how many lengths are tried at most, >= 1.

    Returns:
      the length, what was measured at it (`at_zero` if none was accepted), and `info`: `accepted`
      [] bool, `backtracks` [] int32, how many lengths were refused.

    Source: Armijo 1966, with any test in place of his.
    """

    def searching(at: tuple) -> Array:
        tries, _, _, accepted = at
        return ~accepted & (tries < num_tries)

    def attempt(at: tuple) -> tuple:
        tries, length, _, _ = at
        measured = measure(length)
        accepted = accept(measured)
        kept = select(accepted, measured, at_zero)
        return tries + 1, jnp.where(accepted, length, length * shrink), kept, accepted

    start = (jnp.zeros((), jnp.int32), jnp.ones(()), at_zero, jnp.zeros((), bool))
    tries, length, measured, accepted = jax.lax.while_loop(searching, attempt, start)
    info = {"accepted": accepted, "backtracks": tries - accepted}
    return jnp.where(accepted, length, 0.0), measured, info


def dot(x: Tree, y: Tree) -> Array:
    """`[]` inner product over all leaves."""
    return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True))


def add(x: Tree, length: Scalar, direction: Tree) -> Tree:
    """`x + length direction`, leaf by leaf."""
    return jax.tree.map(lambda a, d: a + length * d, x, direction)


def select(condition: Array, x: Tree, y: Tree) -> Tree:
    """`x` where the condition holds, else `y`, bit for bit: what is not chosen may be NaN."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)


def _next_iterate(at: _Iterate, product: Any, enough: Scalar) -> _Iterate:
    """One step along the direction, whose product with `A` is given; or the same, stopped."""
    curvature = dot(at.direction, product)
    rayleigh = curvature / dot(at.direction, at.direction)
    largest = jnp.maximum(at.largest, rayleigh)
    positive = (curvature > 0.0) & (rayleigh > jnp.finfo(rayleigh.dtype).eps * largest)
    length = at.residual_norm / jnp.where(positive, curvature, 1.0)
    x = add(at.x, length, at.direction)
    residual = add(at.residual, -length, product)
    norm = dot(residual, residual)
    after = _Iterate(
        x=x,
        residual=residual,
        direction=add(residual, norm / at.residual_norm, at.direction),
        residual_norm=norm,
        largest=largest,
        iterations=at.iterations + 1,
        positive=at.positive,
        running=norm > enough,
    )
    good = positive & jnp.isfinite(norm) & jnp.isfinite(dot(x, x))
    stopped = at._replace(positive=jnp.zeros_like(positive), running=jnp.zeros_like(positive))
    return select(good, after, stopped)
