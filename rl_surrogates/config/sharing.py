"""How are many points validated? Each section once for each of its values, each point as a whole.

The points of a large space repeat the same few sections. A section that was found valid is kept and
handed to the next config that has it, so that a million configs hold some dozen sections. What is
left of each point are the fields outside sections, and every rule about several fields. Where
something is wrong, the point is validated again from its plain data: the problems are the same.
"""

from rl_surrogates.config.fields import Section
from rl_surrogates.config.problems import ConfigError
from rl_surrogates.config.schema import Config
from rl_surrogates.config.space import Point, Space

Key = tuple[str, ...]


class Configs:
    """The configs of a space's points."""

    def __init__(self, space: Space) -> None:
        """Nothing is validated yet."""
        self.space = space
        self._own = {name: (name,) for name, data in space.plain.items() if isinstance(data, dict)}
        self._known: dict[Key, Section] = {}  # section and its values at a point -> validated

    def at(self, point: Point) -> Config:
        """The config at a point.

        Raises:
          ConfigError: with every problem of the point.
        """
        keys, data = dict(self._own), dict(self.space.plain)
        for path, value in point.items():
            section, _, field = path.partition(".")
            if field:  # 1, 1.0 and true are equal, and not equally valid
                keys[section] = (*keys.get(section, (section,)), path, repr(value))
            else:
                data[path] = value
        known = {name: self._known[key] for name, key in keys.items() if key in self._known}
        if len(known) < len(keys):
            data = self.space.data(point)
        try:
            config = Config(**(data | known))
        except ConfigError:
            config = Config(**self.space.data(point))  # the problems are told of the plain data
        for name in keys.keys() - known.keys():
            self._known[keys[name]] = getattr(config, name)
        return config
