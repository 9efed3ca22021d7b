"""HOW is the objective maximised? An ascent is `init(params) -> Learner` and `ascend(key, loss,
learner, batch, hypers) -> (Learner, info)`; `loss(params, batch)` gives every loss it may need.

`ASCENTS` maps the name that a config uses to a function of the config's static numbers. optax is
imported here and nowhere else.
"""

from rl_surrogates.ascent.minibatch import minibatch
from rl_surrogates.types import Ascent

__all__ = ["ASCENTS", "Ascent", "minibatch"]

ASCENTS = {"minibatch": minibatch}
