"""Pairs that a noisy machine might have given, to try the statistics on before any real run.

The sizes are those of a shared virtual machine with two cores: medians of processes vary by 12%
over half an hour, rounds within a process by 4%, neighbours among them correlate with 0.4, and the
log ratios of pairs spread by 2% to 7%. What both sides of a pair meet at the same time (drift,
other jobs) is common to them; what a process draws at its start (how its memory lies, say) is its
own.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from attrs import evolve, field, frozen
from attrs.validators import ge, gt, lt

from convbench.base.units import Second
from convbench.gate.values import Pair, Sample

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

SHARE = [ge(0.0), lt(1.0)]


@frozen(kw_only=True)
class Machine:
    """How uneven a machine is: all sizes are standard deviations or shifts of log seconds."""

    step_s: Second = field(default=0.01, validator=gt(0.0))
    """Seconds of a step where nothing disturbs it."""
    rounds: int = field(default=24, validator=ge(1))
    """Rounds of each side in a pair."""
    pair_s: Second = field(default=1.5, validator=gt(0.0))
    """Seconds that a pair takes, with building both sides."""
    drift: float = field(default=0.11, validator=ge(0.0))
    """How the whole machine wanders from pair to pair."""
    persistence: float = field(default=0.9, validator=SHARE)
    """How much of its state a machine keeps until the next pair."""
    process: float = field(default=0.015, validator=ge(0.0))
    """What each process draws at its start, and keeps."""
    slow_process: float = field(default=0.1, validator=SHARE)
    """The chance that a process runs in its slower way, where there are two."""
    slower_by: float = field(default=0.04, validator=ge(0.0))
    """How much slower that is."""
    moment: float = field(default=0.03, validator=ge(0.0))
    """What a round meets that both sides meet."""
    correlation: float = field(default=0.6, validator=SHARE)
    """Of that, from one round to the next."""
    own: float = field(default=0.025, validator=ge(0.0))
    """What a round meets alone."""
    burst: float = field(default=0.02, validator=SHARE)
    """The chance that another job begins in a round; it takes six rounds, more or less."""
    burst_by: float = field(default=0.5, validator=ge(0.0))
    """How much slower both sides are meanwhile."""
    outlier: float = field(default=0.03, validator=SHARE)
    """The chance of a round that is slow by itself, with a tail as heavy as a Pareto's."""
    second: float = 0.01
    """How much slower the side is that was opened second."""


QUIET = Machine(drift=0.02, process=0.008, slow_process=0.0, burst=0.002, outlier=0.005)
"""A machine of one's own."""
SHARED = Machine()
"""Two virtual cores beside other people's jobs."""
WILD = evolve(SHARED, process=0.04, slow_process=0.25, slower_by=0.08, burst=0.06, outlier=0.08)
"""The same on a bad day."""


def rounds(machine: Machine, pairs: int, slowdown: float, chance: np.random.Generator) -> Array:
    """Seconds of a step: pairs x sides x rounds, where the head is slower by a share.

    Side 0 is the base. Who was opened second is drawn anew for each pair.
    """
    shape = (pairs, 2, machine.rounds)
    log_s = np.log(machine.step_s) + np.zeros(shape)
    log_s += _wandering(machine.drift, machine.persistence, (1, pairs), chance)[0][:, None, None]
    log_s += machine.process * chance.standard_normal((pairs, 2, 1))
    log_s += machine.slower_by * (chance.random((pairs, 2, 1)) < machine.slow_process)
    log_s += machine.second * (np.arange(2) == chance.integers(2, size=(pairs, 1)))[:, :, None]
    moments = (pairs, machine.rounds)
    log_s += _wandering(machine.moment, machine.correlation, moments, chance)[:, None]
    log_s += machine.own * chance.standard_normal(shape)
    log_s += machine.burst_by * _bursts(machine, pairs, chance)
    slow = chance.random(shape) < machine.outlier
    log_s += np.where(slow, np.log1p(chance.pareto(1.5, shape)), 0.0)
    log_s[:, 1] += np.log1p(slowdown)
    taken: Array = np.exp(log_s)
    return taken


def _wandering(
    size: float, kept: float, shape: tuple[int, int], chance: np.random.Generator
) -> Array:
    """First-order autoregressive series along the last axis, each of the given size."""
    news = size * chance.standard_normal(shape)
    news[:, 1:] *= np.sqrt(1 - kept**2)
    for i in range(1, shape[1]):
        news[:, i] += kept * news[:, i - 1]
    return news


def _bursts(machine: Machine, pairs: int, chance: np.random.Generator) -> Array:
    """1 where another job runs: what begins in a round meets one side of it first, by chance."""
    at = (chance.random((pairs, machine.rounds)) < machine.burst).astype(float)
    length = chance.geometric(1 / 6, (pairs, machine.rounds))
    running = np.zeros((pairs, 2, machine.rounds))
    for pair, begin in zip(*np.nonzero(at), strict=True):
        end = begin + length[pair, begin]
        spared = chance.integers(2)
        running[pair, spared, begin + 1 : end] = 1.0
        running[pair, 1 - spared, begin:end] = 1.0
    return running


def pairs_of(machine: Machine, taken: Array, subject: str = "simulated") -> list[Pair]:
    """Such rounds as pairs."""
    pairs = []
    for number, sides in enumerate(taken, start=1):
        base, head = (Sample(rounds_s=tuple(side.tolist())) for side in sides)
        pairs.append(
            Pair(subject=subject, number=number, base=base, head=head, taken_s=machine.pair_s)
        )
    return pairs


def log_ratios(taken: Array) -> Array:
    """What `Pair.log_ratio` says of the step time of each of these pairs, all at once."""
    logs = np.log(taken)
    ratios: Array = np.median(logs[:, 1] - logs[:, 0], axis=-1)
    return ratios
