"""How much better than expected was what happened?

Time runs along axis 0 of every array; all other axes are batch. `next_value[t]` is V of the true
successor s_{t+1}, before any reset. `terminated` makes it worthless; `terminated | truncated` cuts
the trace, because row t + 1 belongs to another episode; where both are set, terminated wins.
`gamma` may be an array that broadcasts to `reward`.
"""

from rl_surrogates.advantages.off_policy import VTrace, retrace, vtrace
from rl_surrogates.advantages.returns import gae, lambda_return, n_step_return, upgo
from rl_surrogates.advantages.scaling import (
    balanced_signs,
    group_centre,
    group_standardise,
    leave_one_out,
    scale_only,
    standardise,
)

__all__ = [
    "VTrace",
    "balanced_signs",
    "gae",
    "group_centre",
    "group_standardise",
    "lambda_return",
    "leave_one_out",
    "n_step_return",
    "retrace",
    "scale_only",
    "standardise",
    "upgo",
    "vtrace",
]
