"""What may an ascent be told? One section per row of `ascent.ASCENTS`."""

from typing import Annotated, Literal

from pydantic import Field

from rl_surrogates.config import views
from rl_surrogates.config.fields import Count, Number, Section, Traced

NotNegative = Annotated[Number, Field(ge=0)]
Decay = Annotated[Number, Field(ge=0, lt=1)]


class Steps(Section):
    """Adam over shuffled minibatches, several epochs a rollout; what such ascents share."""

    name: str
    num_epochs: Count = 4
    num_minibatches: Count = 4
    learning_rate: Annotated[Traced, Field(gt=0)] = 1e-3
    anneal: Literal["linear", "none"] = "linear"
    max_grad_norm: Annotated[Traced, Field(gt=0)] = 0.5


class Minibatch(Steps):
    """Those steps on the objective as it is."""

    name: Literal["minibatch"] = "minibatch"
    learning_rate: Annotated[Traced, Field(gt=0)] = 2.5e-4
    # What ends an update's steps: a mean k3 beyond 1.5 target_kl, a mean |r - 1| beyond the other.
    target_kl: Annotated[NotNegative | None, views.TRACED] = None  # nats
    max_ratio_deviation: Annotated[NotNegative | None, views.TRACED] = None
    ewma_decay: Annotated[Decay | None, views.TRACED] = None  # of the proximal policy


class Vmpo(Steps):
    """Weighted likelihood of the better half of each minibatch, temperature and price learned."""

    name: Literal["vmpo"] = "vmpo"
    epsilon_eta: Annotated[Traced, Field(gt=0)] = 0.1  # nats, of the weights
    epsilon_alpha: Annotated[Traced, Field(gt=0)] = 0.003  # nats, KL(old || new)
    dual_learning_rate: Annotated[Traced, Field(gt=0)] = 1e-2


class Reps(Steps):
    """Weighted likelihood of all samples, at the temperature that solves the dual."""

    name: Literal["reps"] = "reps"
    epsilon_eta: Annotated[Traced, Field(gt=0)] = 0.1  # nats, of the weights


class NaturalGradient(Section):
    """One natural step of the policy per update, taken as it is; then the critic."""

    name: Literal["natural_gradient"] = "natural_gradient"
    max_kl: Annotated[Traced, Field(gt=0)] = 0.01  # nats, of the quadratic model
    cg_iterations: Count = 10
    damping: Annotated[Traced, Field(ge=0)] = 0.1
    fisher_every: Count = 1  # the Fisher matrix is averaged over every so-manyth sample
    critic_epochs: Count = 5
    critic_minibatches: Count = 4
    critic_learning_rate: Annotated[Traced, Field(gt=0)] = 1e-3


class TrustRegion(NaturalGradient):
    """The same natural step, backtracked until it is good; max_kl bounds the KL itself."""

    name: Literal["trust_region"] = "trust_region"
    backtrack: Annotated[Traced, Field(gt=0, lt=1)] = 0.8
    max_backtracks: Count = 10


ASCENTS = (
    Minibatch,
    TrustRegion,
    NaturalGradient,
    Vmpo,
    Reps,
)  # the first is taken where none is named
