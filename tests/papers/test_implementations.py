"""The implementations' own column: its file, what it is held against, and how it is shown."""

from __future__ import annotations

import json
import re

import pytest

from convbench.base.errors import TableError
from convbench.base.units import count
from convbench.front.cli import main, shared
from convbench.networks.zoo.names import ARCHITECTURES, architecture
from convbench.papers.implementations import FILE, compare, read_implementations
from convbench.papers.sources import tables_folder
from tests.conftest import ROOT

OURS = architecture("mobilenet_025")

ENTRY = f"""\
[[implementation]]
architecture = "mobilenet_025"
library = "keras"
version = "3.15.1"
model = "MobileNet"
arguments = {{ alpha = 0.25, weights = false }}
parameters = {OURS.parameters}
buffers = {OURS.buffers}
"""

PARAMETERS, BUFFERS = f"parameters = {OURS.parameters}", f"buffers = {OURS.buffers}"


@pytest.fixture
def folder(tmp_path):
    """A folder with one entry to break."""
    (tmp_path / FILE).write_text(ENTRY, encoding="utf-8")
    return tmp_path


def change(folder, old, new):
    content = (folder / FILE).read_text(encoding="utf-8")
    assert old in content
    (folder / FILE).write_text(content.replace(old, new, 1), encoding="utf-8")


def said(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main.main([*words])
    assert left.value.code == shared.OK
    return capsys.readouterr().out


def test_an_entry_is_read_as_it_stands(folder):
    (read,) = read_implementations(folder)
    assert (read.architecture, read.library, read.version) == ("mobilenet_025", "keras", "3.15.1")
    assert read.call == "MobileNet(alpha=0.25, weights=False)"
    assert (read.parameters, read.buffers) == (OURS.parameters, OURS.buffers)
    assert read.differs is None


# What is broken, and what is said of it.
BROKEN = {
    "not TOML": ("[[implementation]]", "[[implementation", "implementations.toml: wanted TOML"),
    "no entries": ("[[implementation]]", "[[model]]", "wanted the key 'implementation'"),
    "a key too few": ('version = "3.15.1"', "", "implementation 1: wanted the key 'version'"),
    "a key too many": ("buffers", "macs = 1\nbuffers", "wanted only the keys architecture"),
    "text for a count": (PARAMETERS, 'parameters = "470,072"', "parameters to be of type int"),
    "less than none": (BUFFERS, "buffers = -1", "wanted buffers to be 0 or more, found -1"),
    "an empty reason": (
        BUFFERS,
        f'{BUFFERS}\ndiffers = " "',
        "wanted differs to say something, found ' '",
    ),
    "no such architecture": ('"mobilenet_025"', '"mobilenet_02"', "such as mobilenet_025"),
    "nothing like it": ('"mobilenet_025"', '"xyz"', "wanted an architecture such as lenet"),
    "no such library": ('"keras"', '"tensorflow"', "library to be one of keras, timm, torchvision"),
    "a list for a value": ("0.25", "[0.25]", "wanted argument alpha as a number"),
}


@pytest.mark.parametrize(("old", "new", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_in_one_sentence(folder, old, new, sentence):
    change(folder, old, new)
    with pytest.raises(TableError) as caught:
        read_implementations(folder)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(FILE)


def test_a_model_stands_there_once(folder):
    (folder / FILE).write_text(ENTRY * 2, encoding="utf-8")
    with pytest.raises(TableError, match=r"implementation 2 \(keras MobileNet\): wanted each"):
        read_implementations(folder)
    change(folder, "alpha = 0.25", "alpha = 0.5")
    assert len(read_implementations(folder)) == 2


@pytest.mark.parametrize(
    ("old", "new", "more", "told"),
    [
        (PARAMETERS, f"parameters = {OURS.parameters + 1000}", (1000, 0), "+1,000 and 0"),
        (BUFFERS, f"buffers = {OURS.buffers - 7}", (0, -7), "0 and -7"),
    ],
)
def test_other_counts_need_a_reason(folder, old, new, more, told):
    change(folder, old, new)
    with pytest.raises(TableError, match=re.escape(f"differ from ours by {told}, found none")):
        compare(["mobilenet_025"], folder)
    change(folder, "parameters", 'differs = "For a reason."\nparameters')
    (row,) = compare(["mobilenet_025"], folder)
    assert (row["parameters_more"], row["buffers_more"]) == more
    assert row["differs"] == "For a reason."


def test_the_same_counts_need_no_reason(folder):
    (row,) = compare(["lenet5", "mobilenet_025"], folder)
    assert (row["parameters_more"], row["buffers_more"], row["differs"]) == (0, 0, None)


def test_every_difference_of_our_file_has_its_reason():
    rows = compare(ARCHITECTURES, tables_folder())
    assert len(rows) == len(read_implementations(tables_folder()))
    assert any(row["parameters_more"] for row in rows)
    for row in rows:
        assert row["differs"] is None or row["differs"].endswith(".")


def explained(more, sentence):
    """Whether a sentence holds a difference of totals, or two figures that it lies between."""
    found = re.findall(r"\d{1,3}(?:,\d{3})+", sentence)
    figures = [int(figure.replace(",", "")) for figure in found]
    return abs(more) in {abs(a - b) for a in figures for b in (*figures, 0)}


def test_a_difference_is_explained_to_the_last_parameter():
    differing = [row for row in compare(ARCHITECTURES, tables_folder()) if row["parameters_more"]]
    for row in differing:
        assert explained(row["parameters_more"], row["differs"]), row
        assert not explained(row["parameters_more"] + 1, row["differs"]), row


def test_the_versions_are_those_that_the_oracle_installs():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    measured = {f"{each.library}=={each.version}" for each in read_implementations(tables_folder())}
    assert measured <= set(pins)


def test_the_command_as_json_has_exact_numbers(capsys):
    rows = json.loads(said(capsys, "implementations", "resnet50", "lenet5", "--format", "json"))
    assert {row["library"] for row in rows} == {"keras", "timm", "torchvision"}
    keras = next(row for row in rows if row["library"] == "keras")
    assert keras["parameters_more"] == keras["parameters"] - architecture("resnet50").parameters
    assert keras["model"] == "ResNet50"


@pytest.mark.parametrize("form", ["table", "markdown"])
@pytest.mark.parametrize("words", [("implementations",), ("show",)])
def test_implementations_as_text_have_counts_and_reasons(capsys, words, form):
    text = said(capsys, *words, "resnet50", "--format", form)
    (keras,) = compare(["resnet50"], tables_folder())[:1]
    assert f"keras {keras['version']} ResNet50" in text
    assert count(keras["parameters"]) in text
    assert f"+{count(keras['parameters_more'])}" in text
    assert keras["differs"] in text
    assert ("Where they differ:" in text) == (form == "table")


def test_where_nothing_differs_no_reasons_are_announced(capsys):
    text = said(capsys, "implementations", "resnet18")
    assert "torchvision" in text
    assert "Where they differ:" not in text


def test_a_network_that_no_library_has_is_told_so(capsys):
    assert said(capsys, "implementations", "lenet5") == "No implementation is listed.\n"
    assert "Implementations:" not in said(capsys, "show", "lenet5")
