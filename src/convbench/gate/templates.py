"""The template processes of both sides, from which each pair gets its fresh processes.

Two templates of the same interpreter are not alike: what their import left where in memory differs,
and every child inherits that. So where both sides can be served by either of two templates, chance
decides anew for each pair; where they cannot, each pair gets templates of its own. Pairs that share
a template would share its luck, and then their signs are no longer coins of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TypeAlias

from attrs import define, field

from convbench.frameworks.registry import Variables
from convbench.gate.pairs import Open
from convbench.gate.sides import Side
from convbench.gate.values import ROLES, Role
from convbench.measure.worker.launcher import Child, Launcher

Served: TypeAlias = tuple[str, Variables]
"""A framework, and what its template's environment must have besides the side's."""

Start: TypeAlias = Callable[[Side, str, Variables], Launcher]
"""A template of a side's interpreter for a framework, which starts when it is first used."""


@define
class Templates:
    """Both sides' templates of every framework that was asked for."""

    sides: Mapping[Role, Side]
    start: Start
    chance: Random
    _kept: dict[tuple[Served, Served], list[Launcher]] = field(factory=dict)

    def for_pair(self, served: Mapping[Role, Served], label: str) -> Open:
        """What opens the two processes of the next pair of these frameworks."""
        key = (served["base"], served["head"])
        swapped = key[0] == key[1] and self._alike
        if not swapped:
            _close(self._kept.pop(key, []))
        if key not in self._kept:
            self._kept[key] = [self.start(self.sides[r], *served[r]) for r in ROLES]
        launchers = self.chance.sample(self._kept[key], 2) if swapped else self._kept[key]
        by_role = dict(zip(ROLES, launchers, strict=True))

        def open_(role: Role) -> Child:
            return by_role[role].open(f"{label} ({role})")

        return open_

    @property
    def _alike(self) -> bool:
        """Whether a template of one side can serve the other as well."""
        return self.sides["base"].interpreter == self.sides["head"].interpreter

    def close(self) -> None:
        """Ends every template."""
        for launchers in self._kept.values():
            _close(launchers)
        self._kept.clear()


def _close(launchers: list[Launcher]) -> None:
    for launcher in launchers:
        launcher.close()
