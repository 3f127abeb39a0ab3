"""What is different about each pair of steps, and how much of the totals it accounts for.

Every step of both models appears once, so that the differences add up to that of the totals
whatever was paired with what; pairing well only makes them few.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve, field, frozen

from convbench.checks.explain.features import ACTIVATIONS, NORMALIZATIONS, POOLINGS, Features, Value
from convbench.checks.explain.matching import Pair, Side
from convbench.frameworks.trace import Held, Other


@frozen
class Counts:
    """Parameters, buffers and multiply-accumulates, or differences of them."""

    parameters: int = 0
    buffers: int = 0
    macs: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.parameters + other.parameters,
            self.buffers + other.buffers,
            self.macs + other.macs,
        )

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.parameters - other.parameters,
            self.buffers - other.buffers,
            self.macs - other.macs,
        )

    def __bool__(self) -> bool:
        return self != Counts()


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of some counts."""
    return sum(counts, Counts())


@frozen
class Difference:
    """One difference between two models, with all that it accounts for."""

    kind: str
    text: str
    """What is different, for a reader who knows at which layer: `5x5 instead of 3x3`."""
    delta: Counts
    ours: tuple[int, ...] = ()
    """Positions in our model."""
    theirs: tuple[int, ...] = ()
    """Positions in theirs."""
    settings: tuple[str, ...] = field(default=(), eq=False)
    """Which settings differ, where the steps are paired."""


@frozen
class Models:
    """Both models and what is paired."""

    ours: Side
    theirs: Side
    pairs: Sequence[Pair]

    def sides(self) -> tuple[tuple[Side, str, str], ...]:
        """Each side, the field of a difference that has its positions, and what is only there."""
        return (self.ours, "ours", MISSING), (self.theirs, "theirs", EXTRA)


def merged(parts: Sequence[Difference], kind: str, text: str) -> Difference:
    """One difference in the place of several."""
    return Difference(
        kind,
        text,
        total(part.delta for part in parts),
        tuple(dict.fromkeys(i for part in parts for i in part.ours)),
        tuple(dict.fromkeys(j for part in parts for j in part.theirs)),
        tuple(dict.fromkeys(name for part in parts for name in part.settings)),
    )


MISSING, EXTRA, FOLLOWS = "layer missing", "layer extra", "follows"

ARRAYS = ("bias", "scale", "running statistics")
"""Settings that say whether a step has an array of its own."""
CONSTANTS = ("epsilon", "momentum")
"""Settings that account for nothing, each a difference by itself."""
NAMES = {"multiplier": "channels", "rate": "dropout rate"}
"""Settings whose difference goes by another name."""


def held(tensors: Iterable[Held]) -> Counts:
    """What some arrays count."""
    arrays = list(tensors)
    return Counts(
        sum(t.size for t in arrays if t.trainable), sum(t.size for t in arrays if not t.trainable)
    )


def counts(side: Side, position: int) -> Counts:
    """What one step accounts for."""
    macs = Counts(macs=side.trace.steps[position].macs)
    return held(side.trace.owned[position]) + macs


def differences(pairs: Sequence[Pair], ours: Side, theirs: Side) -> list[Difference]:
    """Every difference of every pair, in order; their deltas add up to that of the steps."""
    found: list[Difference] = []
    for i, j in pairs:
        if j is None and i is not None:
            text = ours.seen[i].kind
            found.append(Difference(MISSING, text, Counts() - counts(ours, i), ours=(i,)))
        elif i is None and j is not None:
            found.append(Difference(EXTRA, theirs.seen[j].kind, counts(theirs, j), theirs=(j,)))
        elif i is not None and j is not None:
            at = Difference("", "", counts(theirs, j) - counts(ours, i), (i,), (j,))
            found += _of_pair(at, ours, theirs)
    return found


def _of_pair(whole: Difference, ours: Side, theirs: Side) -> Iterator[Difference]:
    """Splits what a pair accounts for among its differences: exactly for arrays of their own."""
    (i,), (j,) = whole.ours, whole.theirs
    a, b = ours.seen[i], theirs.seen[j]
    if a.kind != b.kind:
        yield evolve(whole, kind=_replaced(a, b), text=f"{b.kind} instead of {a.kind}")
        return
    names = apart(a, b) or _size_apart(i, j, ours, theirs)
    rest = whole.delta
    for name in names:
        if name in ARRAYS:
            part = _array_delta(name, theirs, j) - _array_delta(name, ours, i)
            rest -= part
            kind, text = _presence(a.kind, name, bool(b.own[name]))
            yield evolve(whole, kind=kind, text=text, delta=part, settings=(name,))
        elif name in CONSTANTS:
            text = instead(_value(name, ours, i), _value(name, theirs, j))
            yield evolve(whole, kind=name, text=text, delta=Counts(), settings=(name,))
    names = [name for name in names if name not in (*ARRAYS, *CONSTANTS)]
    if names:
        texts = [instead(_value(name, ours, i), _value(name, theirs, j)) for name in names]
        text = ", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
        if len(names) == 1:
            text = texts[0]
        if names == ["padding"]:
            text = instead(_padding(ours, i), _padding(theirs, j))
        kind = " and ".join(dict.fromkeys(NAMES.get(name, name) for name in _causal(names)))
        # On an image of another size a grid that is shifted is not what makes the difference.
        shifted = names == ["padding"] and a.inherited != b.inherited
        delta = Counts() if shifted else rest
        yield evolve(whole, kind=kind, text=text, delta=delta, settings=tuple(names))
        rest -= delta
    if rest:
        text = ", ".join(
            f"{name} {instead(value, b.inherited.get(name))}"
            for name, value in a.inherited.items()
            if value != b.inherited.get(name)
        )
        yield evolve(whole, kind=FOLLOWS, text=text, delta=rest)


def _causal(names: Sequence[str]) -> list[str]:
    """Padding that goes with another kernel or stride is not a difference by itself."""
    others = [name for name in names if name != "padding"]
    return others if {"kernel size", "stride"} & {*others} else [*names]


def _value(name: str, side: Side, position: int) -> Value:
    """A setting as a sentence has it: of a layer without a word in `ops`, as its author wrote it.

    Nobody knows what such a setting means: `(0, 2, 3, 1)` are axes and no window of `0x2x3x1`.
    """
    layer = side.trace.steps[position].layer
    if isinstance(layer, Other) and name in layer.settings:
        return str(layer.settings[name])
    return side.seen[position].own.get(name)


def _padding(side: Side, position: int) -> Value:
    """All four sides, where they are not the same."""
    layer = side.trace.steps[position].layer
    if isinstance(layer, Other):
        return _value("padding", side, position)
    padding: tuple[int, ...] = getattr(layer, "padding", ())
    if len(set(padding)) == 1:
        return padding[0]
    sides = zip(("top", "bottom", "left", "right"), padding, strict=True)
    return " ".join(f"{side} {n}" for side, n in sides)


def apart(one: Features, other: Features) -> list[str]:
    """The settings of their own in which two steps of a kind differ."""
    names = dict.fromkeys((*one.own, *other.own))
    return [name for name in names if not _equal(one.own.get(name), other.own.get(name))]


def _equal(one: Value, other: Value) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def _size_apart(i: int, j: int, ours: Side, theirs: Side) -> list[str]:
    """Padding at the far ends differs where equal windows on equal images leave other sizes."""
    a, b = ours.seen[i], theirs.seen[j]
    sizes = [side.trace.steps[k].output[1:] for side, k in ((ours, i), (theirs, j))]
    windowed = "padding" in a.own and a.inherited.get("size") == b.inherited.get("size")
    return ["padding"] if windowed and sizes[0] != sizes[1] else []


def _array_delta(name: str, side: Side, position: int) -> Counts:
    roles = {"bias": ("bias",), "scale": ("weight",)}.get(name, ("running_mean", "running_var"))
    return held(t for t in side.trace.owned[position] if t.name in roles)


def _presence(kind: str, name: str, there: bool) -> tuple[str, str]:
    """Kind and text of an array that only one of two steps has."""
    if name == "bias" and kind != "batch norm":
        text = "bias added" if there else "bias missing"
        return text, text
    part = "shift" if name == "bias" else name
    text = f"{kind} {'with' if there else 'without'} {part}"
    return text, text


def _replaced(a: Features, b: Features) -> str:
    for members, word in (
        (ACTIVATIONS, "activation"),
        (POOLINGS, "pooling"),
        (NORMALIZATIONS, "normalization"),
    ):
        if a.kind in members and b.kind in members:
            return word
    return "layer replaced"


def instead(ours: Value, theirs: Value) -> str:
    """Which value stands for which."""
    return f"{word(theirs)} instead of {word(ours)}"


def word(value: Value) -> str:
    """A setting as people write it.

    >>> word((3, 3)), word(1.001e-05), word(True), word(None), word(1000)
    ('3x3', '1.001e-05', 'yes', 'none', '1,000')
    """
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return "x".join(map(str, value))
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case _:
            return value
