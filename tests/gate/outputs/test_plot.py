"""The plot of ratios: a row for each question, readable without colour, the same to the byte."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from convbench.base.errors import ConvbenchError
from convbench.gate.outputs import json_file, plot
from tests.support import gate_samples as samples
from tests.support.gate_samples import LENET, RESNET, RESULTS, verdict

VERDICTS = (samples.SLOWER, samples.FINE, samples.FASTER, samples.UNKNOWN, samples.LARGER)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws verdicts, and gives the axis back as it was when it was saved."""

    def draw(*verdicts):
        seen = []

        def savefig(figure, file, **_):
            figure.canvas.draw()
            seen.append(figure)
            file.touch()

        with monkeypatch.context() as patch:
            patch.setattr(plot.Figure, "savefig", savefig)
            plot.ratios(samples.result(*verdicts), tmp_path / "never.png")
        ((axis,),) = [figure.axes for figure in seen]
        return axis

    return draw


def texts(axis) -> list[str]:
    return [text.get_text() for text in axis.texts]


def names(axis) -> list[str]:
    return [label.get_text() for label in axis.get_yticklabels()]


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_xticklabels()]


def size_of(file: Path) -> tuple[int, int]:
    header = file.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", header[16:])
    return width, height


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_verdicts_give_the_same_bytes_in_any_process(tmp_path, suffix):
    first, second, third = (tmp_path / f"{name}{suffix}" for name in "abc")
    plot.ratios(RESULTS["larger"], first)
    plot.ratios(RESULTS["larger"], second)
    json_file.write(tmp_path / "result.json", RESULTS["larger"])
    code = "import sys, pathlib; from convbench.gate.outputs import json_file, plot"
    code += "\na, b = map(pathlib.Path, sys.argv[1:])"
    code += "\nplot.ratios(json_file.parse(a.read_bytes(), 'it'), b)"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    command = [sys.executable, "-c", code, str(tmp_path / "result.json"), str(third)]
    subprocess.run(command, check=True, env=environment)
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()


def test_it_grows_with_the_questions_and_not_in_width(tmp_path):
    sizes = []
    for count in (1, 18, 60):
        plot.ratios(samples.result(*[samples.SLOWER] * count), tmp_path / "plot.png")
        sizes.append(size_of(tmp_path / "plot.png"))
    assert [width for width, _ in sizes] == [sizes[0][0]] * 3
    assert sizes[0][1] > 150
    each = (sizes[2][1] - sizes[1][1]) / 42
    assert each == pytest.approx((sizes[1][1] - sizes[0][1]) / 17, rel=0.02)
    assert each > 25, "pixels of a row"


def test_a_verdict_can_be_told_by_its_form_and_its_word_alone(drawn):
    forms = {(mark.sign, mark.full) for mark in plot.MARKS.values()}
    assert len(forms) == len(plot.MARKS)
    assert texts(drawn(*VERDICTS)) == [
        *("+6.3%  slower", "+0.4%  not slower", "-7.7%  faster", "+2.1%  cannot tell"),
        "+13%  larger",
    ]


def points(axis, row):
    """What stands in a row: horizontal lines by their ends, and the mark."""
    lines = [line for line in axis.lines if len(line.get_xdata())]
    own = [line for line in lines if set(line.get_ydata()) == {row}]
    return [(line.get_marker(), list(line.get_xdata()), line.get_linestyle()) for line in own]


def test_a_row_has_its_ratio_and_its_interval(drawn):
    left, right, mark = points(drawn(samples.SLOWER), 0)
    assert (left[1], right[1]) == ([1.041, 1.063], [1.063, 1.088])
    assert left[2] == right[2] == "-"
    assert (mark[0], mark[1]) == (">", [1.063])


def test_an_end_that_nobody_knows_runs_dotted_to_the_border(drawn):
    axis = drawn(samples.SLOWER_TO_FIRST)
    left, right, _ = points(axis, 0)
    assert right[1] == [1.52, axis.get_xlim()[1]]
    assert left[2] == "-"
    assert right[2] != "-"


def test_each_question_has_its_own_tolerance_marked(drawn):
    wide = evolve(samples.FINE, question=evolve(samples.FINE.question, tolerance=0.2))
    axis = drawn(samples.SLOWER, wide)
    marked = {
        tuple(line.get_xdata())
        for line in axis.lines
        if list(line.get_ydata())[1:] in ([0.5], [1.5])
    }
    assert marked == {(1.03, 1.03), (1.2, 1.2)}


def test_what_was_not_measured_says_so(drawn):
    axis = drawn(verdict(LENET, "cannot tell", None, pairs=0))
    assert texts(axis) == ["not measured"]
    assert points(axis, 0) == []


def test_all_that_was_found_is_inside_the_axis(drawn):
    for verdicts in (VERDICTS, (samples.SLOWER,), (verdict(LENET, "worse", 30.0, 20.0, 50.0),)):
        low, high = drawn(*verdicts).get_xlim()
        ends = [end for v in verdicts for end in (v.ratio, v.low, v.high) if end is not None]
        assert low < min(ends)
        assert high > max(ends)


def test_an_interval_that_says_nothing_yet_does_not_squeeze_the_others(drawn):
    vague = evolve(samples.UNKNOWN, low=0.001, high=1000.0)
    low, high = drawn(samples.SLOWER, vague).get_xlim()
    assert 0.7 < low < high < 1.5


def test_far_ratios_make_the_axis_logarithmic_with_changes_on_it(drawn):
    near, far = drawn(samples.SLOWER), drawn(samples.SLOWER, samples.SLOWER_TO_FIRST)
    assert (near.get_xscale(), far.get_xscale()) == ("linear", "log")
    assert "+2%" in ticks(near)
    assert {"0", "+50%"} <= set(ticks(far))


def test_a_subject_is_named_once_and_its_quantities_each(drawn):
    first = evolve(samples.SLOWER_TO_FIRST)
    assert names(drawn(samples.SLOWER, first, samples.FINE)) == [
        *(f"{LENET}  step time", "  first result", f"{RESNET}  step time")
    ]
    assert names(drawn(samples.SLOWER, samples.FINE)) == [LENET, RESNET]


def test_a_long_name_keeps_both_its_ends(drawn):
    subject = "bench/test_forward_of_everything.py::test_forward[resnet50-keras-jax-train]"
    (name,) = names(drawn(verdict(subject, "worse", 1.2, 1.1, 1.3)))
    assert len(name) <= plot.MOST_SIGNS
    assert name.startswith("bench/test")
    assert name.endswith("jax-train]")


@pytest.mark.parametrize("name", ["$\\frac$", "a$b$c", "\\", "\udc80", "a\nb", "\x1b[31m"])
def test_a_name_is_drawn_as_it_is(tmp_path, name):
    file = tmp_path / "plot.png"
    plot.ratios(samples.result(verdict(name, "worse", 1.2, 1.1, 1.3)), file)
    assert size_of(file)[0] > 600


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_can_be_drawn(tmp_path, name):
    plot.ratios(RESULTS[name], tmp_path / "plot.png")
    assert [file.name for file in tmp_path.iterdir()] == ["plot.png"]


def test_a_result_without_questions_has_an_empty_plot(tmp_path):
    plot.ratios(samples.result(), tmp_path / "plot.png")
    assert size_of(tmp_path / "plot.png")


def test_what_is_no_picture_is_refused(tmp_path):
    with pytest.raises(ConvbenchError, match=r"name a file that ends in \.png or \.svg or \.pdf$"):
        plot.ratios(RESULTS["slower"], tmp_path / "plot.txt")
