"""From features to a distribution over actions, or to a value.

A head is a flax module whose call returns a `types.Distribution` (a policy) or `[...]` values. Its
parameters lie beside those of the torso, so their names must differ from a torso's: the linear
layer is called `HEAD`, which is also how it is told from the hidden layers when it is initialised.
"""

import flax.linen as nn

from rl_surrogates.distributions import Categorical
from rl_surrogates.types import Array

HEAD = "head"  # the last, linear layer


class CategoricalHead(nn.Module):
    """Logits of one action out of `num_actions`, linear in the features."""

    num_actions: int

    @nn.compact
    def __call__(self, features: Array) -> Categorical:
        """`[..., F]` -> a distribution `[...]` over `num_actions` actions."""
        return Categorical(nn.Dense(self.num_actions, name=HEAD)(features))


class ValueHead(nn.Module):
    """A state value, linear in the features."""

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """`[..., F]` -> `[...]` state value, units of return."""
        return nn.Dense(1, name=HEAD)(features)[..., 0]
