"""A product that is written for speed is the product, and so are its derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.networks import products
from tests.jaxprs import shapes_of_products

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


# Products that share their inputs: of kernels of different widths.

KERNELS = [KERNEL, jax.random.normal(jax.random.key(2), (4, 3))]


def apart(inputs, kernels):
    return [inputs @ kernel for kernel in kernels]


def both_losses(product, inputs, kernels):
    first, second = product(inputs, kernels)
    return jnp.sum(jnp.sin(first)) + jnp.sum(jnp.cos(second))


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_products_of_shared_inputs_and_their_gradients_are_those_of_each(argnums):
    def both(product):
        return jax.value_and_grad(partial(both_losses, product), argnums)(INPUTS, KERNELS)

    same(both(products.of_shared_inputs), both(apart))


def test_so_is_a_hessian_vector_product_of_shared_inputs():
    def curved(product, kernels):
        gradient = jax.grad(partial(both_losses, product, INPUTS))
        return jax.jvp(gradient, (kernels,), (jax.tree.map(jnp.ones_like, kernels),))[1]

    lanes = jax.tree.map(lambda kernel: jnp.stack([kernel, -2.0 * kernel]), KERNELS)
    found = (jax.vmap(partial(curved, one))(lanes) for one in (products.of_shared_inputs, apart))
    same(*found)


def test_the_gradient_in_all_kernels_is_one_product():
    gradient = jax.grad(partial(both_losses, products.of_shared_inputs, INPUTS))
    assert shapes_of_products(gradient, KERNELS) == [(2 + 3, 4)]


def test_a_kernel_that_stays_is_not_in_that_product():
    def of_first(kernel):
        return both_losses(products.of_shared_inputs, INPUTS, [kernel, KERNELS[1]])

    assert shapes_of_products(jax.grad(of_first), KERNEL) == [(2, 4)]
