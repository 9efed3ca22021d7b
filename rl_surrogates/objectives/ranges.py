"""Which coefficients are legal? Intervals, and the rules that an interval cannot say.

Checked before anything is traced (`Objective.validate`), never inside an objective: there a
coefficient may be a tracer, and limits such as an infinite epsilon are how the rows are compared
with each other.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

Rule = Callable[[Mapping[str, float]], str | None]  # all coefficients -> "name: complaint", or None

CLIP = {"epsilon": "(0, 1)"}
WIDTH = {"epsilon": "(0, inf)"}
LOW_HIGH = {"epsilon_low": "(0, 1]", "epsilon_high": "(0, inf)"}
BETA = {"beta": "[0, inf)"}
DELTA = {"delta": "(0, inf)"}
ROLLBACK = {"alpha": "[0, inf)"}
INVERSE_STEP = {"inverse_step": "[0, inf)"}
MAX_RATIO = {"max_ratio": "[1, inf)"}

# Within these bounds the weight of `vespo` stays finite in float32 at any ratio in [e^-20, e^20].
VESPO = {
    "k_positive": "[0, 4]",
    "lambda_positive": "[0, 50]",
    "k_negative": "[0, 4]",
    "lambda_negative": "[0, 50]",
}


class Range(NamedTuple):
    """The legal values of a coefficient, read from text such as `(0, 1]` or `[0, inf)`."""

    text: str
    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Reads `[` and `]` as ends that belong to the interval, `(` and `)` as ends that do not.

        Raises:
          ValueError: the text is not an interval.
        """
        match = re.fullmatch(r"[(\[]\s*([^,\s]+)\s*,\s*([^,\s]+)\s*[)\]]", text)
        if match is None:
            raise ValueError(f"{text!r} is not an interval; write it like '(0, 1]' or '[0, inf)'")
        return cls(text, float(match[1]), float(match[2]))

    def __contains__(self, value: float) -> bool:
        """Whether a finite number lies in the interval."""
        above = value >= self.low if self.text[0] == "[" else value > self.low
        below = value <= self.high if self.text[-1] == "]" else value < self.high
        return above and below


def dual_above_clip(c: Mapping[str, float]) -> str | None:
    """A bad sample must enter the clipped range before it can leave it at the top."""
    least = 1.0 + c["epsilon"]
    if c["dual_epsilon"] > least:
        return None
    return (
        f"dual_epsilon: {c['dual_epsilon']} is not above 1 + epsilon = {least}; "
        "raise dual_epsilon or lower epsilon"
    )


def no_hole(c: Mapping[str, float]) -> str | None:
    """The alpha-divergence divides 0 by 0 at its two limits."""
    if c["alpha"] not in (0, 1):
        return None
    row = "k3_penalty" if c["alpha"] == 0 else "mdpo"
    return f"alpha: {c['alpha']} is excluded from [-1, 4], as 0 and 1 are; use {row} for that limit"


def held_by_kl(c: Mapping[str, float]) -> str | None:
    """Pushing bad samples away has no maximum unless a KL holds the policy."""
    if c["beta"] > 0.0 or c["alpha"] == 1:
        return None
    return f"beta: {c['beta']} is not positive while alpha < 1; make beta positive, or alpha 1"
