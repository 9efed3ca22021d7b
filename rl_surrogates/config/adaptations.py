"""What may an adaptation be told? One section per rule of `adaptation.RULES`."""

from typing import Annotated, Literal

from pydantic import Field

from rl_surrogates.config.fields import Section, Traced


class Fixed(Section):
    """Coefficients stay as they were given."""

    name: Literal["fixed"] = "fixed"


class AdaptiveKl(Section):
    """Doubles or halves a coefficient to keep the KL of an update near `target`."""

    name: Literal["adaptive_kl"] = "adaptive_kl"
    coefficient: str  # dotted path, such as objective.beta
    target: Annotated[Traced, Field(gt=0)]  # nats


class RllibKl(Section):
    """The same with RLlib's thresholds and factors."""

    name: Literal["rllib_kl"] = "rllib_kl"
    coefficient: str
    target: Annotated[Traced, Field(gt=0)]  # nats


class ProportionalKl(Section):
    """The same in proportion to the error, at most 20 % in `horizon` samples."""

    name: Literal["proportional_kl"] = "proportional_kl"
    coefficient: str
    target: Annotated[Traced, Field(gt=0)]  # nats
    horizon: Annotated[Traced, Field(gt=0)] = 10_000.0  # samples


class AdaptiveLearningRate(Section):
    """Moves the learning rate, in [1e-5, 1e-2], to keep the KL of an update near `target`."""

    name: Literal["adaptive_learning_rate"] = "adaptive_learning_rate"
    coefficient: Literal["ascent.learning_rate"] = "ascent.learning_rate"
    target: Annotated[Traced, Field(gt=0)]  # nats


class MdpoInverseStep(Section):
    """Multiplies a coefficient by 1 / (1 - update / num_updates)."""

    name: Literal["mdpo_inverse_step"] = "mdpo_inverse_step"
    coefficient: str = "objective.inverse_step"


class LinearAnneal(Section):
    """Multiplies a coefficient by 1 - update / num_updates."""

    name: Literal["linear_anneal"] = "linear_anneal"
    coefficient: str  # dotted path, such as objective.epsilon; or ent_coef, ascent.max_kl


ADAPTATIONS = (  # the first is taken where none is named
    Fixed,
    AdaptiveKl,
    RllibKl,
    ProportionalKl,
    AdaptiveLearningRate,
    MdpoInverseStep,
    LinearAnneal,
)
