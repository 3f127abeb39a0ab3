"""What there is to run: which architectures in which frameworks, in which of their modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Literal, TypeAlias, TypeVar

from attrs import evolve, frozen

from convbench.base.errors import UnknownName, Unsupported
from convbench.frameworks.modes import DEFAULT, MODES, SINGLE, concerns, offers, parts, variant
from convbench.frameworks.registry import FRAMEWORKS, known
from convbench.networks.passes import PASSES, Pass
from convbench.networks.zoo.names import architecture

Item = TypeVar("Item")
Batch: TypeAlias = int | Literal["max"] | None
"""Images in a batch: so many, as many as fit, or what suits the device."""
LARGEST: Literal["max"] = "max"


@frozen
class Case:
    """One network in one framework, in one of its modes."""

    architecture: str
    framework: str
    mode: str
    dtype: str = SINGLE

    @property
    def variant(self) -> str:
        """The framework, with its mode and precision where they are not the usual ones."""
        return variant(self.framework, self.mode, self.dtype)

    @property
    def exact(self) -> Case:
        """The case as parity looks at it, whose precision is its own."""
        return evolve(self, dtype=SINGLE)

    @property
    def id(self) -> str:
        """The case as the name of a test has it."""
        return f"{self.architecture}-{self.variant.replace(' ', '-')}"


def cases(
    names: Sequence[str],
    frameworks: Sequence[str],
    modes: Sequence[str],
    dtypes: Sequence[str] = (SINGLE,),
) -> list[Case]:
    """Each architecture in each framework, in each mode that changes something; modes adjoin.

    Raises UnknownName or Unsupported for a mode that no framework offers, and for modes that no
    network needs.
    """
    modes = tuple(dict.fromkeys("+".join(parts(mode)) for mode in modes))
    for mode in modes:
        _refuse_unoffered(mode, frameworks)
    found = [
        Case(name, framework, mode, dtype)
        for name in names
        for framework in frameworks
        for mode in modes
        for dtype in dtypes
        if offers(known(framework).modes, mode) and _concerns(mode, name)
    ]
    if names and not found:
        why = "it changes none of the networks that were chosen"
        remedy = "choose others, such as resnext50_32x4d"
        raise Unsupported(f"mode {' and '.join(modes)}", why, remedy)
    return found


@frozen
class Timed:
    """What one test times: a case with one batch, in one of the processes that repeat it."""

    case: Case
    batch: Batch = None
    process: int = 1


def timed(
    chosen: Sequence[Case], pass_: Pass, batches: Sequence[Batch], processes: int
) -> dict[str, Timed]:
    """What there is to time, by the name of its test: each case with each batch in each process.

    Cases whose framework does not have the pass are left out, and `predict` in modes that it does
    not know.
    """
    found = {}
    for case in chosen:
        if pass_ not in known(case.framework).passes:
            continue
        if not PASSES[pass_].everywhere and case.mode != DEFAULT:
            continue
        for batch in batches:
            for process in range(1, processes + 1):
                name = case.id + (f"-batch{batch}" if len(batches) > 1 else "")
                name += f"-process{process}" if processes > 1 else ""
                found[name] = Timed(case, batch, process)
    return found


def shuffled(
    items: Sequence[Item], key: Callable[[Item], tuple[Timed, str]], seed: int
) -> list[Item]:
    """Tests in blocks, one process of each task in each, in an order by chance within the block.

    Whatever slows the machine for a while then meets all tasks alike. The sides of a ratio stay
    neighbours, in an order by chance as well. `key` tells what a test times, and its pass.
    """
    chance = Random(seed)
    ranks: dict[tuple[object, ...], float] = {}

    def rank(*of: object) -> float:
        return ranks.setdefault(of, chance.random())

    def place(item: Item) -> tuple[float, ...]:
        what, pass_ = key(item)
        group = (what.process, what.case.architecture, what.batch, pass_)
        return what.process, rank(*group), rank(*group, what.case)

    return sorted(items, key=place)


def compared(chosen: Sequence[Case]) -> list[tuple[Case, Case]]:
    """The cases between which a report states a ratio: they must compute the same function.

    Frameworks in the same mode one after the other, and each mode with its framework's default.
    """
    found: list[tuple[Case, Case]] = []
    exact = [*dict.fromkeys(case.exact for case in chosen)]
    for name in dict.fromkeys(case.architecture for case in exact):
        own = [case for case in exact if case.architecture == name]
        for mode in dict.fromkeys(case.mode for case in own):
            found += pairwise(case for case in own if case.mode == mode)
        defaults = {case.framework: case for case in own if case.mode == DEFAULT}
        found += [
            (defaults[case.framework], case)
            for case in own
            if case.mode != DEFAULT and case.framework in defaults
        ]
    return found


def _refuse_unoffered(mode: str, frameworks: Sequence[str]) -> None:
    if any(offers(known(framework).modes, mode) for framework in frameworks):
        return
    for part in parts(mode):
        if not any(offers(place.modes, part) for place in FRAMEWORKS.values()):
            raise UnknownName("mode", part, tuple(MODES))
    others = [name for name, place in FRAMEWORKS.items() if offers(place.modes, mode)]
    if not others:
        raise Unsupported(f"mode {mode}", "no framework runs in all of it at once", "name fewer")
    why = f"{' and '.join(frameworks)} cannot run in it"
    raise Unsupported(f"mode {mode}", why, f"choose {' or '.join(others)}")


def _concerns(mode: str, name: str) -> bool:
    # No session of pytest, whatever its project, is to wait for graphs that nobody asked for.
    return mode == DEFAULT or concerns(mode, architecture(name))
