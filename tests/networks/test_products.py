"""A product that is written for speed is the product, and so are its derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.networks import products

INPUTS = jax.random.normal(jax.random.key(0), (5, 3, 4))
KERNEL = jax.random.normal(jax.random.key(1), (4, 2))
PRODUCTS = [products.narrow_input, products.narrow_output]

same = partial(jax.tree.map, partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6))


def loss(product, inputs, kernel):
    return jnp.sum(jnp.sin(product(inputs, kernel)))


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_value_and_gradients_are_those_of_the_plain_product(product, argnums):
    def both(product):
        return jax.value_and_grad(partial(loss, product), argnums=argnums)(INPUTS, KERNEL)

    same(both(product), both(jnp.matmul))


@pytest.mark.parametrize("product", PRODUCTS)
def test_so_is_a_hessian_vector_product_of_many_lanes(product):
    def curved(product, inputs, kernel):
        gradient = jax.grad(partial(loss, product, inputs))
        return jax.jvp(gradient, (kernel,), (jnp.ones_like(kernel),))[1]

    kernels = jnp.stack([KERNEL, -2.0 * KERNEL])
    same(*(jax.vmap(partial(curved, one, INPUTS))(kernels) for one in (product, jnp.matmul)))
