"""What a run may be told: every field, its range, its default, and whether it is static or traced.

A *static* field decides the compiled program, a *traced* one only its input; each is marked once,
here, by its type. `views` derives from these marks the pytree of traced numbers, the static part
that programs are grouped by, and the columns of the runs table. A section with variants (an ascent,
a value loss, ...) is told apart by its `name`: adding a variant is writing its class and adding it
to the section's `OneOf`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from rl_surrogates import environments, objectives
from rl_surrogates.config import rules, views, wording
from rl_surrogates.config.adaptations import ADAPTATIONS
from rl_surrogates.config.ascents import ASCENTS
from rl_surrogates.config.fields import (
    INT32_MAX,
    Count,
    Number,
    OneOf,
    Section,
    Traced,
    error_detail,
)
from rl_surrogates.config.problems import ConfigError, show, suggest

CUSTOM = "custom"  # the name of an objective that `make_train(config, objective=fn)` brings along


def _environment(name: str) -> str:
    if not environments.known(name):
        nearest = suggest(name, environments.names())
        raise ValueError(f"unknown environment {show(name)}{nearest}")
    return name


def _objective(name: str) -> str:
    if name != CUSTOM:
        objectives.find(name)  # its ValueError gives the nearest names
    return name


def _row(name: str) -> str:
    if name not in objectives.OBJECTIVES:
        nearest = suggest(name, objectives.OBJECTIVES)
        raise ValueError(f"unknown objective {show(name)}{nearest}")
    return name


def _identifier(key: str) -> str:
    if not key.isidentifier():
        raise ValueError(f"expected a name such as max_steps_in_episode, got {show(key)}")
    return key


Identifier = Annotated[str, AfterValidator(_identifier)]


Probability = Annotated[Number, Field(ge=0, le=1)]


def _coefficient_errors(name: str, given: dict[str, float]) -> list[InitErrorDetails]:
    if name == CUSTOM or not given:
        return []
    objective = objectives.find(name)
    return [
        error_detail(
            key, complaint, "rule" if key in objective.coefficients else wording.UNKNOWN_KEY
        )
        for key, complaint in objective.problems(**given).items()
    ]


class Env(Section):
    """Which environment, and its numbers."""

    name: Annotated[str, AfterValidator(_environment)] = "CartPole-v1"
    params: Annotated[dict[Identifier, Number], views.TRACED] = {}  # the keys are static
    kwargs: dict[Identifier, bool | int | Number | str] = {}  # with which it is made, as {size: 20}
    # What stands around it: null is nothing. A limit can only shorten the environment's own.
    max_steps: Count | None = None  # of an episode, then it is truncated
    frame_stack: Annotated[int, Field(ge=1, le=64)] = 1  # observations shown side by side
    sticky: Annotated[Probability | None, views.TRACED] = None  # of repeating the last action


class Network(Section):
    """The torso, the head of the policy, and how their parameters begin."""

    torso: Literal["mlp", "cnn", "gru"] = "mlp"
    hidden: Annotated[tuple[Count, ...], Field(strict=False)] = (64, 64)  # units per layer
    channels: Annotated[tuple[Count, ...], Field(strict=False)] = (16,)  # per convolution of a cnn
    activation: Literal["tanh", "relu", "swish", "gelu", "elu", "leaky_relu"] = "tanh"
    shared: bool = False  # one torso for policy and value function, not one each
    initialisation: Literal["orthogonal", "lecun"] = "orthogonal"
    dtype: Literal["float32", "bfloat16"] = "float32"  # what a torso computes in
    # auto: the first that fits the environment's actions
    head: Literal["auto", "categorical", "multi_categorical", "gaussian", "tanh_gaussian"] = "auto"
    scale: Literal["state_independent", "state_dependent"] = "state_independent"  # of a Gaussian
    initial_std: Annotated[Number, Field(gt=0)] = 1.0  # of a Gaussian, in half-ranges of the action


class ObjectiveChoice(Section):
    """A row of the objectives table and its coefficients, all of them traced."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    name: Annotated[str, AfterValidator(_objective)] = "ppo_clip"

    @property
    def given(self) -> dict[str, float]:
        """The coefficients that were set explicitly."""
        return dict(self.__pydantic_extra__)

    @property
    def coefficients(self) -> dict[str, float]:
        """Every coefficient, the paper's default where none was given."""
        if self.name == CUSTOM:
            return self.given
        defaults = objectives.find(self.name).coefficients
        return {key: float(value) for key, value in {**defaults, **self.given}.items()}

    @model_validator(mode="wrap")
    @classmethod
    def _coefficients_exist(cls, data: Any, handler: Any) -> "ObjectiveChoice":
        """Adds what the objective says about its coefficients to what their types say."""
        errors, choice = [], None
        try:
            choice = handler(data)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        wrong = {key for detail in errors for key in detail["loc"]}
        if isinstance(data, Mapping) and "name" not in wrong:
            given = {k: v for k, v in data.items() if k != "name" and k not in wrong}
            errors += _coefficient_errors(data.get("name", cls.model_fields["name"].default), given)
        if errors:
            raise ValidationError.from_exception_data("objective", errors)
        return choice


class Gae(Section):
    """Generalised advantage estimation."""

    name: Literal["gae"] = "gae"
    gamma: Annotated[Traced, Field(ge=0, le=1)] = 0.99
    gae_lambda: Annotated[Traced, Field(ge=0, le=1)] = 0.95
    standardise: Literal["minibatch", "batch", "none"] = "minibatch"
    scale: Annotated[Traced, Field(gt=0)] = 1.0  # times the advantage, after `standardise: batch`


class SquaredError(Section):
    """The value function's squared error, weighted by `coef`."""

    name: Literal["squared_error"] = "squared_error"
    coef: Annotated[Traced, Field(ge=0)] = 0.5


class ClippedSquaredError(Section):
    """The same, pessimistic about predictions that moved further than `epsilon`."""

    name: Literal["clipped_squared_error"] = "clipped_squared_error"
    coef: Annotated[Traced, Field(ge=0)] = 0.5
    epsilon: Annotated[Traced, Field(gt=0)] = 0.2


class Evaluation(Section):
    """Fixed episodes per evaluation; `every` counts updates, and 0 means at the end only."""

    episodes: Count = 128
    every: Annotated[int, Field(ge=0, le=INT32_MAX)] = 0
    untrained: bool = False  # also before the first update: what returns are to be measured from


class Diagnostics(Section):
    """What is measured of every update; the price is in `diagnostics.measure`.

    `full` adds what needs more passes over the batch. `per: epoch` and `per: minibatch` measure on
    the way as well, before every step. `shadow` names objectives whose gradients are compared with
    that of the one being trained.
    """

    level: Literal["basic", "full"] = "basic"
    per: Literal["update", "epoch", "minibatch"] = "update"
    shadow: Annotated[tuple[Annotated[str, AfterValidator(_row)], ...], Field(strict=False)] = ()


class Normalise(Section):
    """Which of the two are brought to unit scale by running statistics."""

    observations: bool = False
    rewards: bool = False


class Fields(Section):
    """The fields of a run, each valid on its own."""

    env: Env = Env()
    network: Network = Network()
    num_envs: Count = 4
    num_steps: Count = 128
    total_timesteps: Annotated[int, Field(ge=1, le=2**62)] = 500_000
    objective: ObjectiveChoice = ObjectiveChoice()
    ascent: Annotated[Section, OneOf(*ASCENTS)] = ASCENTS[0]()
    advantage: Annotated[Gae, OneOf(Gae)] = Gae()
    value_loss: Annotated[
        ClippedSquaredError | SquaredError, OneOf(ClippedSquaredError, SquaredError)
    ] = ClippedSquaredError()
    adaptation: Annotated[Section, OneOf(*ADAPTATIONS)] = ADAPTATIONS[0]()
    ent_coef: Annotated[Traced, Field(ge=0)] = 0.01
    normalise: Normalise = Normalise()
    evaluation: Evaluation = Evaluation()
    diagnostics: Diagnostics = Diagnostics()

    @property
    def num_updates(self) -> int:
        """Whole updates within `total_timesteps`."""
        return self.total_timesteps // (self.num_envs * self.num_steps)


class Config(Fields):
    """One run, valid as a whole.

    Written by hand, `Config(num_envs=8, objective={"name": "spo"})`, or read by `load_config`.

    Raises:
      ConfigError: with every problem, each by the dotted path of its field.
    """

    def __init__(self, /, **data: Any) -> None:
        """Checks every field, then the rules that concern several."""
        try:
            super().__init__(**data)
        except ValidationError as error:
            problems = wording.problems_of(error, Fields, data)
            raise ConfigError(
                problems + rules.broken_in_what_is_valid(Fields, data, problems)
            ) from None
        if broken := rules.broken(self):
            raise ConfigError(broken)

    def hypers(self) -> Any:
        """The traced numbers, a pytree of float32 scalars: every leaf may be vmapped."""
        return views.hypers(self)

    def static(self) -> dict[str, Any]:
        """What decides the program, except which objectives it holds."""
        return views.static(self)

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted path, objective coefficients with their defaults filled in."""
        return views.flat(self)

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> "Config":
        """The config whose `flat` these values are."""
        return cls(**views.nested(values))
