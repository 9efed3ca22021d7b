"""What is wrong with an input, where, and which name was probably meant.

Every error of a file is collected before any is raised: one pass, one `ConfigError`, one line per
problem, `file:line:column: field: message`, the message with the value received and the rule that
it breaks.
"""

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

DOCUMENT = "(document)"  # the field of what belongs to none: syntax, encoding, a missing file


class Problem(NamedTuple):
    """One thing to change in an input."""

    file: str  # as the user named it; "" where the config came from Python
    line: int  # from 1; 0 where there is no file
    column: int  # from 1, in characters
    field: str  # dotted path
    message: str
    related: tuple[str, ...] = ()  # fields to point at where `field` itself is not in the file
    at_key: bool = False  # the key is wrong, not its value

    def __str__(self) -> str:
        """One line, `file:line:column: field: message`."""
        where = f"{self.file}:{self.line}:{self.column}: " if self.file else ""
        return _on_one_line(f"{where}{self.field}: {self.message}")


class ConfigError(ValueError):
    """Everything that is wrong with one input, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keeps each problem once."""
        self.problems = tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem[:3]))
        super().__init__(self.problems)

    def __str__(self) -> str:
        """One line per problem."""
        return "\n".join(str(problem) for problem in self.problems)


def suggest(name: str, options: Iterable[str], kind: str = "names") -> str:
    """The end of a message about an unknown name: the nearest option, or all if they are few."""
    options = list(options)
    by_case = {option.casefold(): option for option in options}
    text = name[:100].casefold()
    longer = [option for option in by_case if len(text) > 3 and option.startswith(text)]
    match = longer or difflib.get_close_matches(text, by_case, n=1, cutoff=0.6)
    if match:
        return f"; did you mean {by_case[match[0]]}?"
    if not options:
        return ""
    if len(options) > 12:
        nearest = difflib.get_close_matches(text, by_case, n=1, cutoff=0.0)
        return f"; the nearest is {by_case[nearest[0]]}"
    return f"; the {kind} are {', '.join(options)}"


def show(value: Any) -> str:
    """A received value as a message quotes it: text in quotes, YAML's own words, never long."""
    words = {True: "true", False: "false", None: "nothing"}
    if value is None or isinstance(value, bool):
        return words[value]
    text = repr(value) if not isinstance(value, int) else _digits(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _digits(value: int) -> str:
    # Python refuses to print an integer of thousands of digits.
    return str(value) if value.bit_length() < 1000 else f"an integer of {value.bit_length()} bits"


def _on_one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
