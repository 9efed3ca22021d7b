"""HOW is the objective maximised? An ascent is `init(params) -> Learner` and `ascend(key, loss,
learner, batch, hypers) -> (Learner, info)`; `loss(params, batch)` gives every loss it may need.

`ASCENTS` maps the name that a config uses to a function of the config's static numbers. optax is
imported here and nowhere else.
"""

from rl_surrogates.ascent.minibatch import minibatch
from rl_surrogates.ascent.reps import reps
from rl_surrogates.ascent.trust_region import natural_gradient, trust_region
from rl_surrogates.ascent.vmpo import vmpo
from rl_surrogates.types import Ascent

__all__ = [
    "ASCENTS",
    "Ascent",
    "minibatch",
    "natural_gradient",
    "reps",
    "trust_region",
    "vmpo",
]

ASCENTS = {
    "minibatch": minibatch,
    "trust_region": trust_region,
    "natural_gradient": natural_gradient,
    "vmpo": vmpo,
    "reps": reps,
}
