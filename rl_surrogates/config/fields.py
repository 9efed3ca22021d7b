"""What the fields of a config are made of: numbers, sections, sections with variants.

The mark of a traced number is part of its type (see `views`); everything else is static.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from rl_surrogates.config import views, wording
from rl_surrogates.config.problems import show, suggest

INT32_MAX = 2**31 - 1
FLOAT32_MAX, FLOAT32_MIN = 3.4028234e38, 1.1754944e-38


def _fits_float32(value: float) -> float:
    """Refuses a number that the compiled program would see as infinity or as zero."""
    if value != 0.0 and not FLOAT32_MIN <= abs(value) <= FLOAT32_MAX:
        raise ValueError(f"expected a number that float32 can hold, got {show(value)}")
    return value


Number = Annotated[float, AfterValidator(_fits_float32)]
Traced = Annotated[Number, views.TRACED]
Count = Annotated[int, Field(ge=1, le=INT32_MAX)]


def error_detail(key: str, message: str, kind: str = "rule") -> InitErrorDetails:
    """One of the errors about a section that is being validated."""
    error = PydanticCustomError(kind, "{text}", {"text": message})
    return InitErrorDetails(type=error, loc=(key,), input=None)


def error_at(key: str, message: str) -> ValidationError:
    """An error about one key of the section that is being validated."""
    return ValidationError.from_exception_data("section", [error_detail(key, message)])


class Section(BaseModel):
    """A frozen group of fields: unknown keys refused, no conversion between types, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class OneOf:
    """Marks a section with variants; the first is taken where `name` is not given."""

    def __init__(self, *variants: type[Section]) -> None:
        """Keeps each variant under the name that it defaults to."""
        self.variants = {variant.model_fields["name"].default: variant for variant in variants}
        self.default = next(iter(self.variants))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Lets pydantic validate the section by `pick`."""
        return core_schema.no_info_plain_validator_function(self.pick)

    def pick(self, value: Any) -> Section:
        """Validates `value` as the variant that it names."""
        if isinstance(value, tuple(self.variants.values())):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("section", "{text}", {"text": wording.not_a_mapping(value)})
        name = value.get("name", self.default)
        if not isinstance(name, str):
            raise error_at("name", f"expected text, got {show(name)}")
        if name not in self.variants:
            raise error_at("name", f"unknown name {show(name)}{suggest(name, self.variants)}")
        return self.variants[name].model_validate(value)
