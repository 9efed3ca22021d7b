"""What did an update do to the policy, and how well did the value function fit?

Everything here is computed on the device and reduced to numbers per update, so that memory does not
grow with the length of training.

    distance   how far the ratio has moved, in which direction, and how many samples have let go
    direction  where the surrogate points, beside the policy gradient and every other surrogate
    update     all of the above that a run asks for, with its price
    progress   episodes, explained variance, steps, and whether all is finite
"""

from rl_surrogates.diagnostics.direction import (
    Policy,
    Shadow,
    cosine,
    gradient_cosine,
    gradients,
    improvement,
    shadow_metrics,
    shadow_objectives,
)
from rl_surrogates.diagnostics.distance import (
    CLIP_RANGE,
    Surrogate,
    movement,
    policy_shift,
    ratio_quantiles,
    zero_gradient_share,
)
from rl_surrogates.diagnostics.progress import all_finite, env_steps, episodes, explained_variance
from rl_surrogates.diagnostics.update import measure, moved

__all__ = [
    "CLIP_RANGE",
    "Policy",
    "Shadow",
    "Surrogate",
    "all_finite",
    "cosine",
    "env_steps",
    "episodes",
    "explained_variance",
    "gradient_cosine",
    "gradients",
    "improvement",
    "measure",
    "moved",
    "movement",
    "policy_shift",
    "ratio_quantiles",
    "shadow_metrics",
    "shadow_objectives",
    "zero_gradient_share",
]
