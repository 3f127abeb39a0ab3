"""What docs/gate.md says of the gate on itself is what the kept runs came to."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd
import pytest

from convbench.gate.self_check import other_tools
from tests.conftest import ROOT

KEPT = ROOT / "reports" / "gates" / "self-test"
OURS = "the gate"


def steps(name: str) -> pd.DataFrame:
    """One row for each step time of each run."""
    rows = pd.read_csv(KEPT / f"{name}.csv", keep_default_na=False)
    return rows[rows.quantity == "step time"]


def slower(rows: pd.DataFrame, rule: str) -> pd.Series:
    """Whether a rule says so of each."""
    return rows.outcome == "worse" if rule == OURS else rows[rule] == "slower"


def counts(rule: str) -> Iterator[tuple[int, int]]:
    unchanged = steps("unchanged")
    said = slower(unchanged, rule)
    yield int(said.groupby(unchanged.run).any().sum()), unchanged.run.nunique()
    yield int(said.sum()), len(said)
    for name in ("five-percent", "ten-percent"):
        found = slower(steps(name), rule)
        yield int(found.sum()), len(found)


def printed(rule: str) -> list[tuple[int, int]]:
    text = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    (row,) = re.findall(
        rf"^\| {re.escape(rule)}(?: pairs)? \|(.* of .*)\|$", _bare(text), re.MULTILINE
    )
    return [(int(k), int(n)) for k, n in re.findall(r"(\d+) of (\d+)", row)]


def _bare(text: str) -> str:
    return re.sub(r"[*`]", "", text)


@pytest.mark.parametrize("rule", [OURS, *other_tools.RULES])
def test_the_table_of_rules_counts_what_is_kept(rule):
    assert printed(rule) == [*counts(rule)]


def test_enough_runs_were_made_and_none_called_anything_worse_where_nothing_changed():
    rows = pd.read_csv(KEPT / "unchanged.csv", keep_default_na=False)
    assert rows.run.nunique() >= 100
    assert set(rows.outcome) == {"not worse", "cannot tell"}


@pytest.mark.parametrize("name", ["five-percent", "ten-percent"])
def test_what_was_slower_was_found_within_three_minutes(name):
    rows = steps(name)
    assert set(rows.outcome) == {"worse"}
    assert rows["seconds until decided"].max() < 180
