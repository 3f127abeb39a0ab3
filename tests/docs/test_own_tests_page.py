"""The examples of docs/own_tests.md run, and print what the page says, but for the figures."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tests.support.benches import text

PAGE = (ROOT / "docs" / "own_tests.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = dict(re.match(r"# (\S+)\n(.*)", b, re.DOTALL).groups() for kind, b in BLOCKS if kind)
PRINTED = [block for kind, block in BLOCKS if not kind]

FIGURE = r"(?<![\w(=])[\d.,]+( [mµ]?s\b| [KMG]iB|%)?(?!\w)"
UNCERTAIN = r"(?<=± )more than 100%"
"""How much of a figure its uncertainty is, where the machine was so busy that it tells nothing."""

MARKS = r" \((\d+ rounds|unstable|no steady state|, )+\)"


def without_figures(printed: str) -> list[str]:
    """Its lines without figures, versions, marks and the widths of columns."""
    plain = re.sub(r"torch \S+,", "torch,", re.sub(MARKS, "", printed))
    plain = re.sub(FIGURE, "#", re.sub(UNCERTAIN, "#", plain))
    lines = (" ".join(re.sub(r"-+", "-", line).split()) for line in plain.splitlines())
    return [line for line in lines if line]


def test_figures_differ_and_words_do_not():
    assert without_figures("--  ---\na  12.5 ± 1.0% (2 rounds, unstable)  3 ms  1.5 MiB\n") == [
        "- -",
        "a # ± # # #",
    ]
    assert without_figures("a  12.5 ± more than 100% (unstable)") == ["a # ± #"]
    assert without_figures("a  more than 100% of it") == ["a more than # of it"]
    assert without_figures("small(width=4) 2 x 3x64x64") == ["small(width=4) # x 3x64x64"]


def test_the_page_has_examples():
    speed = ["my_models.py", "test_speed.py", "test_lambda.py"]
    assert list(FILES) == [*speed, "my_vgg.py", "test_my_vgg.py"]
    assert len(PRINTED) == 4


@pytest.mark.pytorch
@pytest.mark.processes
def test_the_examples_print_what_the_page_says(pytester, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")  # the page's own width
    for name, content in FILES.items():
        anyhow = re.sub(r"(assert .*) [<>] ", r"\1 != ", content)  # whatever this machine does
        (pytester.path / name).write_text(anyhow, encoding="utf-8")
    options = ("--bench-device=cpu", "--bench-seconds=0.01", "-rP")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)
    result.assert_outcomes(passed=4, failed=2)
    said = without_figures(text(result))
    for printed in PRINTED:
        missing = [line for line in without_figures(printed) if line not in said]
        assert not missing
