"""What is trained, and how many floating-point operations does it take?

Only products of matrices are counted, a multiplication and an addition as two. With `P` and `V` the
weights of the policy's and the value function's matrices, `P1` and `V1` those of their first ones,
an update on `N = T*B` samples takes

    act       2 P N         the policy on every observation
    judge     2 V N         the value of every state; successors are states, but for a few
    ascend    E N (6 (P + V) - 2 (P1 + V1))     forward, gradient in the weights, gradient in the
                            inputs; nobody asks for the gradient in the observations
    inspect   2 P N         the new policy on the whole batch

The bias, the activations, Adam, the environments and random numbers are work as well, and are not
counted: they are what keeps training from the rate of the products.
"""

from typing import Any, NamedTuple


class Work(NamedTuple):
    """A task of the benchmark."""

    env: str  # as gymnax calls it
    observation: int  # numbers of one observation
    actions: int
    num_envs: int
    num_steps: int
    num_minibatches: int
    activation: str
    learning_rate: float
    num_epochs: int = 4
    hidden: tuple[int, ...] = (64, 64)

    @property
    def samples(self) -> int:
        """`N`, of one update."""
        return self.num_envs * self.num_steps


WORKS = {
    "cartpole": Work("CartPole-v1", 4, 2, 4, 128, 4, "tanh", 2.5e-4),
    "breakout": Work("Breakout-MinAtar", 400, 3, 64, 128, 8, "relu", 5e-3),
    "trpo": Work("CartPole-v1", 4, 2, 2, 512, 2, "tanh", 1e-3, num_epochs=20),
}


class Spec(NamedTuple):
    """One contender on one work: what a worker is told."""

    contender: str  # a name in `worker.MODULES`
    work: str = "cartpole"
    lanes: int = 1
    steps: int = 0  # of each lane's environments, in one run
    changes: dict[str, Any] = {}  # of the work's fields

    def sizes(self) -> Work:
        """The work, as changed."""
        return WORKS[self.work]._replace(**self.changes)

    def updates(self) -> int:
        """Whole rollouts in `steps`."""
        return max(1, self.steps // self.sizes().samples)


def layers(work: Work, outputs: int) -> list[tuple[int, int]]:
    """Inputs and outputs of every matrix of a network with so many outputs."""
    widths = [work.observation, *work.hidden, outputs]
    return list(zip(widths[:-1], widths[1:], strict=True))


def weights(work: Work) -> tuple[int, int, int]:
    """`P`, `V`, and `P1 + V1`."""
    policy, value = layers(work, work.actions), layers(work, 1)
    first = policy[0][0] * policy[0][1] + value[0][0] * value[0][1]
    return sum(a * b for a, b in policy), sum(a * b for a, b in value), first


def ascent_flops(work: Work) -> int:
    """Of all minibatches of all epochs of one update of one lane."""
    policy, value, first = weights(work)
    return work.num_epochs * work.samples * (6 * (policy + value) - 2 * first)


def update_flops(work: Work) -> int:
    """Of one whole update of one lane."""
    policy, value, _ = weights(work)
    return work.samples * (4 * policy + 2 * value) + ascent_flops(work)
