"""The names that `env.name` may take, known without importing gymnax (which takes seconds)."""

from importlib.metadata import entry_points

GROUP = "rl_surrogates.environments"
PREFIX = "gymnax:"

# What gymnax 1.0.1 registers, and what for; a test compares the names with the package.
PURPOSES = {
    "CartPole-v1": "does anything learn at all; solved at 500",
    "Pendulum-v1": "continuous torque, dense cost; about -150 when solved",
    "Acrobot-v1": "sparse goal that chance finds; about -80 when solved",
    "MountainCar-v0": "sparse goal that chance hardly finds; -200 means it was never reached",
    "MountainCarContinuous-v0": "the same with a price on force: doing nothing is a trap at 0",
    "Asterix-MinAtar": "small Atari-like image, moving enemies",
    "Breakout-MinAtar": "small Atari-like image, the one to begin with",
    "Freeway-MinAtar": "small Atari-like image, long episodes that only time ends",
    "Seaquest-MinAtar": "small Atari-like image, several goals at once",
    "SpaceInvaders-MinAtar": "small Atari-like image, a difficulty that rises",
    "Catch-bsuite": "credit over ten steps; solved at 1",
    "DeepSea-bsuite": "exploration: one path in 2^8 pays",
    "MemoryChain-bsuite": "memory: a cue at the start decides at the end",
    "UmbrellaChain-bsuite": "memory and credit among distracting rewards",
    "DiscountingChain-bsuite": "what discount the agent acts by",
    "MNISTBandit-bsuite": "contextual bandit on images, which must be there already",
    "SimpleBandit-bsuite": "eleven arms without a state",
    "FourRooms-misc": "sparse goal in a grid of rooms",
    "MetaMaze-misc": "a new maze each episode: memory",
    "PointRobot-misc": "a goal that is not shown, continuous: memory",
    "BernoulliBandit-misc": "new arms each episode: memory, exploration",
    "GaussianBandit-misc": "the same with normal rewards",
    "Reacher-misc": "continuous control of an arm, dense reward",
    "Swimmer-misc": "continuous control of a chain, dense reward",
    "Pong-misc": "images of 30 x 40, an opponent",
    "FrozenLake-misc": "one of 16 fields, slippery; tabular",
}
ENVIRONMENT_NAMES = tuple(PURPOSES)


# Those whose float32 observations are zeros and ones; a test plays each of them.
BINARY = (
    "Asterix-MinAtar",
    "Breakout-MinAtar",
    "Freeway-MinAtar",
    "Seaquest-MinAtar",
    "SpaceInvaders-MinAtar",
    "DeepSea-bsuite",
)

# Those of which gymnax's visualizer has a picture.
DRAWN = (
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
    "FourRooms-misc",
    "MetaMaze-misc",
    "PointRobot-misc",
    "Pong-misc",
)


def names() -> tuple[str, ...]:
    """Every name that `environments.make` accepts: gymnax's, then the installed entry points."""
    return ENVIRONMENT_NAMES + tuple(entry.name for entry in entry_points(group=GROUP))


def known(name: str) -> bool:
    """Whether `name` can be made; `gymnax:` before a gymnax name is allowed."""
    return name.removeprefix(PREFIX) in ENVIRONMENT_NAMES or name in names()
