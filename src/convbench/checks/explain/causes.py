"""Puts differences together that have one cause, so that a reader sees the cause.

Each rule takes differences off the list and puts one in their place, with the sum of their deltas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from attrs import evolve

from convbench.checks.explain.connections import ORDER
from convbench.checks.explain.differences import (
    ARRAYS,
    CONSTANTS,
    EXTRA,
    FOLLOWS,
    MISSING,
    Difference,
    Models,
    merged,
    total,
    word,
)
from convbench.checks.explain.matching import Side
from convbench.checks.explain.order import ancestors, main_output

Rule = Callable[[list[Difference], Models], list[Difference]]


def auxiliary(found: list[Difference], models: Models) -> list[Difference]:
    """A whole branch that leads to an answer which the other model does not give."""
    for side, field, kind in models.sides():
        trace = side.trace
        upstream = ancestors(trace)
        main = upstream[main_output(trace)]
        single = {getattr(d, field)[0]: d for d in found if d.kind == kind}
        for end in trace.outputs:
            head = [i for i in range(len(trace.steps)) if upstream[end] & ~main & 1 << i]
            if head and all(i in single for i in head):
                parts = [single.pop(i) for i in head]
                found = [d for d in found if d not in parts]
                what = "added" if kind == EXTRA else "missing"
                found.append(merged(parts, f"auxiliary head {what}", f"{len(parts)} layers"))
    return found


def norm_for_bias(found: list[Difference], models: Models) -> list[Difference]:
    """A convolution that has batch normalization where the other has a bias."""
    for bias, norm, reads, kind in (
        ("bias missing", EXTRA, "theirs", "batch norm in place of bias"),
        ("bias added", MISSING, "ours", "bias in place of batch norm"),
    ):
        side = models.theirs if reads == "theirs" else models.ours
        for one in [d for d in found if d.kind == bias]:
            at = getattr(one, reads)[0]
            for other in found:
                if other.kind != norm or other.text != "batch norm":
                    continue
                if side.trace.steps[getattr(other, reads)[0]].inputs == (at,):
                    found = [d for d in found if d not in (one, other)]
                    found.append(merged([one, other], kind, kind))
                    break
    return found


def follows(found: list[Difference], models: Models) -> list[Difference]:
    """What only reads another shape belongs to the difference before it that shapes it."""
    cause = _causes(found, models)
    behind: dict[int, list[Difference]] = {}
    for one in [d for d in found if d.kind == FOLLOWS]:
        at = cause.get(one.theirs[0])
        if at is not None:
            behind.setdefault(id(at), []).append(one)
    result = []
    for one in found:
        if id(one) in behind:
            layers = behind[id(one)]
            text = f"{one.text}; {len(layers)} layer{'s' * (len(layers) > 1)} behind it follow"
            parts = total(d.delta for d in (one, *layers))
            result.append(evolve(one, text=text + "s" * (len(layers) == 1), delta=parts))
        elif not any(one in layers for layers in behind.values()):
            result.append(one)
    return result


def _causes(found: Sequence[Difference], models: Models) -> dict[int, Difference]:
    """For each step of theirs the difference that its shape comes from, if it has another one."""
    ours, theirs = models.ours.trace.steps, models.theirs.trace.steps
    shaping = [d for d in found if _shapes(d)]
    at_ours = {i: d for d in shaping for i in d.ours}
    at_theirs = {j: d for d in shaping for j in d.theirs}
    partner = {j: i for i, j in models.pairs if j is not None}
    cause: dict[int, Difference] = {}
    for j, step in enumerate(theirs):
        before = [cause[k] for k in step.inputs if k in cause]
        own = [at_theirs[j]] if j in at_theirs else []
        i = partner.get(j)
        if i is not None:
            if ours[i].output == step.output and not _reads_other(i, j, models):
                continue
            before += [at_ours[k] for k in ours[i].inputs if k in at_ours]
        elif step.inputs and step.output == theirs[step.inputs[0]].output:
            own = []
        if before and own and own[0].settings == ("padding",):
            own = []  # a grid that is shifted has not made the image another size
        if own or before:
            cause[j] = (own or before)[0]
    return cause


def _shapes(one: Difference) -> bool:
    """Whether a difference may give what comes after it another shape."""
    plain = one.settings and set(one.settings) <= {*ARRAYS, *CONSTANTS}
    return one.kind not in (FOLLOWS, ORDER) and not plain


def _reads_other(i: int, j: int, models: Models) -> bool:
    return models.ours.seen[i].inherited != models.theirs.seen[j].inherited


def runs(found: list[Difference], models: Models) -> list[Difference]:
    """Layers one after the other that only one model has are one difference."""
    for _, field, kind in models.sides():
        single = {getattr(d, field)[0]: d for d in found if d.kind == kind}
        run: list[Difference] = []
        at = 0 if field == "ours" else 1
        for pair in [*models.pairs, (0, 0)]:
            position = pair[at]
            if position in single and pair[1 - at] is None:
                run.append(single[position])
                continue
            if len(run) > 1:
                found = [d for d in found if d not in run]
                found.append(merged(run, kind.replace("layer", "layers"), _listed(run)))
            run = []
    return found


def _listed(run: Sequence[Difference]) -> str:
    """What a run consists of, in the order of execution, or counted if it is long."""
    if len(run) <= 4:
        return ", ".join(d.text for d in run)
    kinds = Counter(d.text for d in run)
    return ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in kinds.items())


POSITION = "stride position"


def moved_strides(found: list[Difference], models: Models) -> list[Difference]:
    """One difference for each part of the network that images reach before or after a stride.

    Such a part consists of connected steps whose images have another size than their partners'.
    Strides differ where it begins and where it ends; if they only differ where it begins, then the
    stride did not move: there is one more, or one less.
    """
    for region in _regions(models):
        inside = [d for d in found if _touches(d, region, models)]
        begins = [d for d in inside if _within(d, region)]
        ends = [d for d in inside if d not in begins]
        paired = [side for side in (begins, ends) if any(d.ours and d.theirs for d in side)]
        if len(paired) == 2 and _opposed(begins, ends, models):
            found = [d for d in found if d not in inside]
            found.append(merged([*begins, *ends], POSITION, _text(inside, models)))
    return found


def _regions(models: Models) -> list[set[int]]:
    """Connected steps of theirs whose images have another size than their partners'."""
    partner = {j: i for i, j in models.pairs if j is not None}
    ours, theirs = models.ours.trace.steps, models.theirs.trace.steps
    regions: list[set[int]] = []
    for j, step in enumerate(theirs):
        i = partner.get(j)
        # What only one model has is no evidence, but connects.
        other = step.output[1:] != ours[i].output[1:] if i is not None else False
        if not other or not step.inputs:
            continue
        near = [region for region in regions if region & _sources(j, models.theirs, partner)]
        joined = {j}.union(*near)
        regions = [region for region in regions if region not in near] + [joined]
    return regions


def _sources(position: int, side: Side, partner: dict[int, int | None]) -> set[int]:
    """The steps that one reads, past those that only this model has."""
    found: set[int] = set()
    waiting = list(side.trace.steps[position].inputs)
    while waiting:
        at = waiting.pop()
        if partner.get(at) is None:
            waiting += (k for k in side.trace.steps[at].inputs if k not in found)
        found.add(at)
    return found


def _touches(one: Difference, region: set[int], models: Models) -> bool:
    """Whether a difference of strides begins or ends a region."""
    if "stride" in one.settings:
        j = one.theirs[0]
        return j in region or bool(region & {*models.theirs.trace.steps[j].inputs})
    partner = {i: j for i, j in models.pairs if i is not None and j is not None}
    if one.kind == EXTRA and _strided(models.theirs, one.theirs[0]):
        j = one.theirs[0]
        readers = (k for k, s in enumerate(models.theirs.trace.steps) if j in s.inputs)
        return bool(region & {*models.theirs.trace.steps[j].inputs, *readers})
    if one.kind == MISSING and _strided(models.ours, one.ours[0]):
        i = one.ours[0]
        readers = (k for k, s in enumerate(models.ours.trace.steps) if i in s.inputs)
        near = (*models.ours.trace.steps[i].inputs, *readers)
        return bool(region & {partner[k] for k in near if k in partner})
    return False


def _within(one: Difference, region: set[int]) -> bool:
    return bool(one.theirs) and one.theirs[0] in region


def _strided(side: Side, position: int) -> bool:
    return side.seen[position].own.get("stride", (1, 1)) != (1, 1)


def _opposed(begins: Iterable[Difference], ends: Iterable[Difference], models: Models) -> bool:
    """Whether what is strided more where a region begins is strided less where it ends."""

    def more(differences: Iterable[Difference]) -> set[bool]:
        return {_strided(models.theirs, d.theirs[0]) for d in differences if d.ours and d.theirs}

    return len(more(begins)) == len(more(ends)) == 1 and more(begins) != more(ends)


def _text(inside: Iterable[Difference], models: Models) -> str:
    """Which stride, and whether it is taken earlier or later."""
    upstream = ancestors(models.theirs.trace)
    paired = [d for d in inside if d.ours and d.theirs]
    theirs = next(d.theirs[0] for d in paired if _strided(models.theirs, d.theirs[0]))
    ours = next(d for d in paired if _strided(models.ours, d.ours[0]))
    later = upstream[theirs] >> ours.theirs[0] & 1
    stride = word(models.ours.seen[ours.ours[0]].own["stride"])
    return f"{stride} taken {'later' if later else 'earlier'} than in the paper's"


RULES: tuple[Rule, ...] = (auxiliary, norm_for_bias, moved_strides, follows, runs)


def with_causes(found: list[Difference], models: Models) -> list[Difference]:
    """The differences by cause, in the order of the models."""
    for rule in RULES:
        found = rule(found, models)
    place = {("ours", i): n for n, (i, _) in enumerate(models.pairs)}
    place |= {("theirs", j): n for n, (_, j) in enumerate(models.pairs)}

    def order(one: Difference) -> int:
        places = [place["ours", i] for i in one.ours] + [place["theirs", j] for j in one.theirs]
        return min(places)

    return sorted(found, key=order)
