"""The largest batch that fits: by doubling, then by halving what lies between.

It knows nothing of memory: what fits is for a callable to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import TypeAlias

from attrs import frozen

from convbench.base.units import Second, clock, count

MOST = 2**16
"""No larger batch is tried."""
GRAIN = 16
"""The search ends when what does not fit is within 1/16 of what does."""
TIME: Second = 600
"""No further batch is tried after so long."""

WhyNot: TypeAlias = Callable[[int], str | None]
"""The reason why a batch does not fit; None if it does."""


@frozen
class Found:
    """What a search came to."""

    batch: int | None
    """The largest batch that was seen to fit; None if there is none."""
    stopped: str
    """Why no larger one is known to fit, in one sentence."""


def largest(
    why_not: WhyNot,
    *,
    first: int = 1,
    most: int = MOST,
    time_s: Second = TIME,
    now: Callable[[], Second] = monotonic,
) -> Found:
    """The largest batch from `first` to `most` that fits, to within 1/16 of it.

    If one fits, so should all that are smaller. Where that is not so, what it says of the two
    batches that it names holds all the same: the one was seen to fit, the other not to.
    """
    began, fits = now(), 0
    does_not: int | None = None
    reason = ""
    while does_not is None or does_not - fits > max(1, fits // GRAIN):
        over = now() - began > time_s
        if fits and over and does_not is None:
            return Found(fits, f"batch {count(fits)} fits, and after {clock(time_s)} it was enough")
        if fits and over:
            reason += f"; after {clock(time_s)} no more were tried"
            break
        batch = min(max(first, 2 * fits), most) if does_not is None else (fits + does_not) // 2
        why = why_not(batch)
        if why is None:
            fits = batch
        elif not fits:
            return Found(None, f"batch {count(batch)} does not fit: {why}")
        else:
            does_not, reason = batch, why
        if fits == most:
            return Found(most, f"batch {count(most)} fits, and is the largest that is tried")
    return Found(fits, f"batch {count(fits)} fits, {count(does_not or 0)} does not: {reason}")


def smaller_than(batch: int) -> Iterator[int]:
    """Batches each a sixteenth smaller than the one before.

    >>> list(smaller_than(5)), next(smaller_than(160))
    ([4, 3, 2, 1], 150)
    """
    while batch > 1:
        batch -= max(1, batch // GRAIN)
        yield batch
