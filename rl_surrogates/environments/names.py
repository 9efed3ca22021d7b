"""The names that `env.name` may take, known without importing gymnax (which takes seconds)."""

from importlib.metadata import entry_points

GROUP = "rl_surrogates.environments"
PREFIX = "gymnax:"

# What gymnax 1.0.1 registers; a test compares it with the installed package.
ENVIRONMENT_NAMES = (
    "CartPole-v1",
    "Pendulum-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Asterix-MinAtar",
    "Breakout-MinAtar",
    "Freeway-MinAtar",
    "Seaquest-MinAtar",
    "SpaceInvaders-MinAtar",
    "Catch-bsuite",
    "DeepSea-bsuite",
    "MemoryChain-bsuite",
    "UmbrellaChain-bsuite",
    "DiscountingChain-bsuite",
    "MNISTBandit-bsuite",
    "SimpleBandit-bsuite",
    "FourRooms-misc",
    "MetaMaze-misc",
    "PointRobot-misc",
    "BernoulliBandit-misc",
    "GaussianBandit-misc",
    "Reacher-misc",
    "Swimmer-misc",
    "Pong-misc",
    "FrozenLake-misc",
)

# Those whose float32 observations are zeros and ones; a test plays each of them.
BINARY = (
    "Asterix-MinAtar",
    "Breakout-MinAtar",
    "Freeway-MinAtar",
    "Seaquest-MinAtar",
    "SpaceInvaders-MinAtar",
    "DeepSea-bsuite",
)


def names() -> tuple[str, ...]:
    """Every name that `environments.make` accepts: gymnax's, then the installed entry points."""
    return ENVIRONMENT_NAMES + tuple(entry.name for entry in entry_points(group=GROUP))


def known(name: str) -> bool:
    """Whether `name` can be made; `gymnax:` before a gymnax name is allowed."""
    return name.removeprefix(PREFIX) in ENVIRONMENT_NAMES or name in names()
