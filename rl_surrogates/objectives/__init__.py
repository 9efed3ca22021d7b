"""What is maximised, per sample: the catalogue of policy surrogates.

An objective maps arrays `[...]` to an array `[...]`, to be maximised and not yet averaged. Its
positional parameters name the arrays it asks for, its keyword-only parameters with the papers'
defaults are its coefficients. `OBJECTIVES` is the table; a row declares two properties that the
contract tests assert: `first_order` (the slope at ratio 1 is the advantage) and `scale_free` (the
objective is homogeneous in the advantage).
"""

from collections.abc import Mapping

from rl_surrogates.objectives import installed, trajectory
from rl_surrogates.objectives.clipped import (
    ce_gppo,
    decoupled_clip,
    dual_clip,
    geppo_clip,
    ppo_clip,
    ppo_clip_asymmetric,
    ppo_rollback,
    strict_clip,
)
from rl_surrogates.objectives.drift import dpo, simple_quadratic, spo
from rl_surrogates.objectives.importance import (
    cispo,
    importance_ratio,
    importance_sampled,
    topr,
    truncated_importance_sampled,
    vespo,
)
from rl_surrogates.objectives.inputs import INPUTS
from rl_surrogates.objectives.kl_clipped import (
    ppo_clip_kl_penalty,
    tr_ppo,
    tr_ppo_rollback,
    trgppo,
    truly_ppo,
)
from rl_surrogates.objectives.log_likelihood import log_clip, policy_gradient, smdpo, sppo
from rl_surrogates.objectives.objective import Objective, from_function, nearest
from rl_surrogates.objectives.penalised import (
    alpha_divergence_penalty,
    chi_square_penalty,
    hellinger_penalty,
    k2_penalty,
    k3_penalty,
    kl_penalty,
    mdpo,
    pop3d,
)
from rl_surrogates.objectives.ranges import (
    BETA,
    CLIP,
    DELTA,
    INVERSE_STEP,
    LOW_HIGH,
    MAX_RATIO,
    ROLLBACK,
    VESPO,
    WIDTH,
    dual_above_clip,
    held_by_kl,
    no_hole,
)
from rl_surrogates.objectives.soft import sapo, scopic
from rl_surrogates.objectives.weighted import awr, crr_binary, pmpo, self_imitation

OBJECTIVES: Mapping[str, Objective] = {
    # log_likelihood
    "policy_gradient": Objective(
        policy_gradient, first_order=True, scale_free=True, source="Williams 1992"
    ),
    "log_clip": Objective(
        log_clip, first_order=True, scale_free=True, source="arXiv:1707.06347 sec. 6.1", ranges=CLIP
    ),
    "sppo": Objective(
        sppo, first_order=True, scale_free=True, source="arXiv:2108.05828", ranges=WIDTH
    ),
    "smdpo": Objective(
        smdpo, first_order=True, scale_free=False, source="arXiv:2108.05828", ranges=INVERSE_STEP
    ),
    # importance
    "importance_sampled": Objective(
        importance_sampled, first_order=True, scale_free=True, source="arXiv:1707.06347 eq. 6"
    ),
    "truncated_importance_sampled": Objective(
        truncated_importance_sampled,
        first_order=True,
        scale_free=True,
        source="arXiv:1802.01561 sec. 4.2",
        ranges=MAX_RATIO,
    ),
    "cispo": Objective(
        cispo, first_order=True, scale_free=True, source="arXiv:2506.13585", ranges=LOW_HIGH
    ),
    "topr": Objective(
        topr, first_order=True, scale_free=True, source="arXiv:2503.14286", ranges=MAX_RATIO
    ),
    "vespo": Objective(
        vespo, first_order=True, scale_free=True, source="arXiv:2602.10693", ranges=VESPO
    ),
    # clipped
    "ppo_clip": Objective(
        ppo_clip, first_order=True, scale_free=True, source="arXiv:1707.06347 eq. 7", ranges=CLIP
    ),
    "ppo_clip_asymmetric": Objective(
        ppo_clip_asymmetric,
        first_order=True,
        scale_free=True,
        source="arXiv:2503.14476",
        ranges=LOW_HIGH,
    ),
    "dual_clip": Objective(
        dual_clip,
        first_order=True,
        scale_free=True,
        source="arXiv:1912.09729",
        ranges=CLIP | {"dual_epsilon": "(1, inf)"},
        rules=(dual_above_clip,),
    ),
    "strict_clip": Objective(
        strict_clip, first_order=True, scale_free=True, source="arXiv:1903.07940", ranges=CLIP
    ),
    "ppo_rollback": Objective(
        ppo_rollback,
        first_order=True,
        scale_free=True,
        source="arXiv:1903.07940 eq. 10-12",
        ranges=CLIP | ROLLBACK,
    ),
    "decoupled_clip": Objective(
        decoupled_clip, first_order=True, scale_free=True, source="arXiv:2110.00641", ranges=CLIP
    ),
    "geppo_clip": Objective(
        geppo_clip, first_order=True, scale_free=True, source="arXiv:2111.00072", ranges=CLIP
    ),
    "ce_gppo": Objective(
        ce_gppo,
        first_order=True,
        scale_free=True,
        source="arXiv:2509.20712",
        ranges=LOW_HIGH | {"beta_low": "[0, inf)", "beta_high": "[0, inf)"},
    ),
    # kl_clipped
    "tr_ppo": Objective(
        tr_ppo, first_order=True, scale_free=True, source="arXiv:1903.07940 eq. 15", ranges=DELTA
    ),
    "tr_ppo_rollback": Objective(
        tr_ppo_rollback,
        first_order=True,
        scale_free=True,
        source="arXiv:1903.07940 eq. 16",
        ranges=DELTA | ROLLBACK,
    ),
    "truly_ppo": Objective(
        truly_ppo,
        first_order=True,
        scale_free=False,
        source="code of arXiv:1903.07940",
        ranges=DELTA | ROLLBACK,
    ),
    "ppo_clip_kl_penalty": Objective(
        ppo_clip_kl_penalty,
        first_order=True,
        scale_free=False,
        source="arXiv:2402.03300 eq. 3",
        ranges=CLIP | BETA,
    ),
    "trgppo": Objective(
        trgppo,
        first_order=True,
        scale_free=True,
        source="arXiv:1901.10314",
        actions="discrete",
        ranges=CLIP | {"delta": "[0, inf)"},
        dear=True,  # eighty halvings per sample
    ),
    # penalised
    "kl_penalty": Objective(
        kl_penalty, first_order=True, scale_free=False, source="arXiv:1707.06347 eq. 8", ranges=BETA
    ),
    "mdpo": Objective(
        mdpo, first_order=True, scale_free=False, source="arXiv:2005.09814", ranges=INVERSE_STEP
    ),
    "k3_penalty": Objective(
        k3_penalty, first_order=True, scale_free=False, source="arXiv:2402.03300 eq. 4", ranges=BETA
    ),
    "k2_penalty": Objective(
        k2_penalty, first_order=True, scale_free=False, source="arXiv:2110.00641", ranges=BETA
    ),
    "chi_square_penalty": Objective(
        chi_square_penalty,
        first_order=True,
        scale_free=False,
        source="arXiv:1801.00056",
        ranges=BETA,
    ),
    "alpha_divergence_penalty": Objective(
        alpha_divergence_penalty,
        first_order=True,
        scale_free=False,
        source="arXiv:1801.00056",
        ranges=BETA | {"alpha": "[-1, 4]"},
        rules=(no_hole,),
    ),
    "hellinger_penalty": Objective(
        hellinger_penalty,
        first_order=True,
        scale_free=False,
        source="arXiv:1801.00056",
        ranges=BETA,
    ),
    "pop3d": Objective(
        pop3d,
        first_order=True,
        scale_free=False,
        source="arXiv:1807.00442",
        actions="discrete",
        ranges=BETA,
    ),
    # soft
    "scopic": Objective(
        scopic,
        first_order=True,
        scale_free=False,
        source="arXiv:2205.10047",
        ranges=BETA | {"tau": "(0, inf)"},
    ),
    "sapo": Objective(
        sapo,
        first_order=True,
        scale_free=True,
        source="arXiv:2511.20347",
        ranges={"tau_positive": "(0, inf)", "tau_negative": "(0, inf)"},
    ),
    # drift
    "spo": Objective(
        spo, first_order=True, scale_free=True, source="arXiv:2401.16025 alg. 1", ranges=WIDTH
    ),
    "dpo": Objective(
        dpo,
        first_order=True,
        scale_free=False,
        source="arXiv:2210.05639",
        ranges={"alpha": "(0, inf)", "beta": "(0, inf)"},
    ),
    "simple_quadratic": Objective(
        simple_quadratic,
        first_order=False,
        scale_free=False,
        source="arXiv:2401.16025 sec. 5.1",
        ranges=WIDTH,
    ),
    # weighted
    "awr": Objective(
        awr,
        first_order=False,
        scale_free=False,
        source="arXiv:1910.00177",
        ranges={"beta": "(0, inf)", "max_weight": "(0, inf)"},
    ),
    "crr_binary": Objective(
        crr_binary, first_order=False, scale_free=False, source="arXiv:2006.15134"
    ),
    "self_imitation": Objective(
        self_imitation, first_order=False, scale_free=True, source="arXiv:1806.05635"
    ),
    "pmpo": Objective(
        pmpo,
        first_order=False,
        scale_free=False,
        source="arXiv:2410.04166",
        ranges=BETA | {"alpha": "[0, 1]"},
        rules=(held_by_kl,),
    ),
}


def names() -> tuple[str, ...]:
    """Names of all objectives: the rows of the table, then what installed packages offer."""
    return tuple(dict.fromkeys([*OBJECTIVES, *installed.offers()]))


def find(name: str) -> Objective:
    """The objective of that name: a row of the table, or else one that an installed package offers.

    Raises:
      ValueError: no such name, or what the package offers is not an objective.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    offers = installed.offers()
    if name in offers:
        return installed.load(offers[name])
    raise ValueError(f"objective {name!r} does not exist; {nearest(name, names())}")


__all__ = [*OBJECTIVES, "INPUTS", "OBJECTIVES", "Objective", "find", "from_function", "names"]
__all__ += ["importance_ratio", "trajectory"]
