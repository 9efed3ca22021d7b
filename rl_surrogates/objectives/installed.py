"""Objectives that other installed packages offer, as entry points.

An entry point names a function (see `from_function`) or an `Objective`. Text from a config is only
ever compared with the names of entry points; it is never imported.
"""

from importlib.metadata import EntryPoint, entry_points

from rl_surrogates.objectives.objective import Objective, from_function

GROUP = "rl_surrogates.objectives"


def offers() -> dict[str, EntryPoint]:
    """What installed packages offer, by name."""
    return {offer.name: offer for offer in entry_points(group=GROUP)}


def load(offer: EntryPoint) -> Objective:
    """Imports what an entry point names.

    Raises:
      ValueError: it does not load, or is neither a function nor an `Objective`.
    """
    try:
        loaded = offer.load()
    except Exception as error:  # another package's code: whatever it raises is that package's fault
        raise ValueError(
            f"objective {offer.name!r}: the entry point {offer.value} does not load ({error!r}); "
            "repair or uninstall the package that offers it"
        ) from error
    if isinstance(loaded, Objective):
        return loaded
    if not callable(loaded):
        raise ValueError(
            f"objective {offer.name!r}: the entry point {offer.value} is {loaded!r}; "
            "it must name a function or an Objective"
        )
    return from_function(loaded)
