"""Findings of the soak's parts: how often each thing was done, what was lost or paid twice, and other violations."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What the program must never do, counted from the rows."""

    double_payments: int = 0
    lost_cents: int = 0
    lost_messages: int = 0

    def __add__(self, other: "Losses") -> "Losses":
        """Add up two counts."""
        return Losses(
            double_payments=self.double_payments + other.double_payments,
            lost_cents=self.lost_cents + other.lost_cents,
            lost_messages=self.lost_messages + other.lost_messages,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """One part of the soak: (what, how often), the losses, and each violation in a line with how to repeat it."""

    part: str
    seconds: float
    figures: tuple[tuple[str, int], ...]
    losses: Losses = field(default_factory=Losses)
    violations: tuple[str, ...] = ()


def all_losses(parts: Iterable[Findings]) -> Losses:
    """Add up the losses of all parts."""
    return sum((part.losses for part in parts), Losses())
