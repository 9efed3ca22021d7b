"""Fixtures that several test folders share."""

import os

import jax
import jax.numpy as jnp
import pytest

# Some accelerators round the factors of a product to ten bits, unless they are told not to.
PRECISION = "jax_default_matmul_precision"
jax.config.update(PRECISION, "highest")
os.environ[PRECISION.upper()] = "highest"  # of the processes that a test starts


@pytest.fixture
def samples():
    """One value of every input an objective may ask for, away from every kink; both signs of A."""
    ratio = jnp.array([0.5, 0.72, 0.85, 0.95, 1.05, 1.15, 1.5, 2.5])
    log_prob_old = jnp.linspace(-2.3, -0.4, 8)
    return {
        "log_prob": log_prob_old + jnp.log(ratio),
        "log_prob_old": log_prob_old,
        "advantage": jnp.array([0.7, -1.3, 2.0, -0.4, 0.9, -0.6, 1.1, -2.2]),
        "kl_old_new": jnp.array([0.05, 0.07, 0.01, 0.002, 0.004, 0.06, 0.08, 0.09]),
        "kl_new_old": jnp.array([0.06, 0.05, 0.02, 0.001, 0.003, 0.07, 0.09, 0.1]),
        "log_prob_prox": log_prob_old + 0.1,
    }
