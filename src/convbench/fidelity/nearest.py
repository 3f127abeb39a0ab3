"""Which other network of the canon a model is nearer to, for those who named the wrong one."""

from __future__ import annotations

from contextlib import suppress

from convbench.architectures import ARCHITECTURES, architecture
from convbench.errors import ConvbenchError
from convbench.fidelity.explanation import LONGEST, grouped
from convbench.fidelity.ledger import Ledger, ledger
from convbench.trace import Trace, described

WITHIN = 0.02
"""How far parameters may be apart for a network to be looked at, relative to the model's."""


def nearer(theirs: Trace, than: Ledger, name: str) -> str | None:
    """A sentence that names the network, if fewer kinds of differences part the model from it.

    None is looked for where a reader can see all differences from the one that was named.
    """
    differences = len(grouped(than.entries))
    if differences <= LONGEST:
        return None
    found = {}
    for other in ARCHITECTURES:
        with suppress(ConvbenchError):  # a network of the user's own may not be what it should
            graph = architecture(other)
            if (
                other != name
                and abs(graph.parameters - theirs.parameters) <= WITHIN * theirs.parameters
            ):
                found[other] = len(grouped(ledger(described(graph), theirs).entries))
    nearest = min(found, key=lambda other: found[other], default=None)
    if nearest is None or found[nearest] >= differences:
        return None
    return (
        f"It is nearer to {nearest}: {found[nearest]} kinds of differences instead of "
        f"{differences}; see --as {nearest}."
    )
