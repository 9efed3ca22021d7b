"""HOW is the objective maximised? An ascent is `init(params) -> Learner` and `ascend(key, loss,
learner, batch, ...)`.

`ASCENTS` maps the name that a config uses to a function of the config's static numbers. optax is
imported here and nowhere else.
"""

from rl_surrogates.ascent.minibatch import Ascent, minibatch

__all__ = ["ASCENTS", "Ascent", "minibatch"]

ASCENTS = {"minibatch": minibatch}
