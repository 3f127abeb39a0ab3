"""The two sides of a comparison: what base and head are, and how their processes start."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from convbench.gate.values import Role


@frozen(kw_only=True)
class Side:
    """One side: an interpreter, where it finds the user's modules, and what it changes of tasks."""

    role: Role
    given: str
    meaning: str
    python: str = sys.executable
    path: tuple[str, ...] = ()
    """Put before the Python path of its workers."""
    folder: Path | None = None
    """Where its processes run; None for where the gate was started."""
    changes: Mapping[str, str] = field(factory=dict)
    """What a configuration sets: framework, mode, dtype."""

    def same_interpreter(self, other: Side) -> bool:
        """Whether a template of one can serve the other as well."""
        mine, others = (
            (self.python, self.path, self.folder),
            (other.python, other.path, other.folder),
        )
        return mine == others
