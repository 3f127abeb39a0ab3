"""What rows and errata mean, and that no wrong digit in a table goes unseen."""

from __future__ import annotations

import re

import pytest
from attrs import evolve

from convbench.base.errors import TableError
from convbench.checks.structure import check
from convbench.networks.ops import BatchNorm, Conv, MaxPool, Relu
from convbench.papers.printed import Printed
from convbench.papers.tables import Erratum, ReferenceTable, Row
from tests.support.builders import graph, observation, table, tiny

NORM = BatchNorm(eps=1e-5, decay=0.9)
NET = tiny(
    ("block1.conv1", Conv(4, 3, padding=1, bias=False)),
    ("block1.bn1", NORM),
    ("block2.conv1", Conv(8, (1, 3), padding=(0, 1))),
    ("block2.bn1", NORM),
    ("pool", MaxPool(3, stride=2, padding=(0, 1, 0, 1))),
)


def row(at, times=None, **values):
    addresses = (at,) if isinstance(at, str) else at
    return Row(addresses, times, values, "paper", "Table 1", "table 1 (Table 1), row 1")


def erratum(at, quantity, printed, should):
    return Erratum(at, quantity, printed, should, "paper", "A slip.", "erratum 1")


def printing(*rows, errata=()):
    return ReferenceTable("tiny", "paper", rows, tuple(errata), "tiny.toml")


def differing(*rows, errata=()):
    return {(f.at, f.quantity) for f in check(NET, printing(*rows, errata=errata)).differs}


CONV1, BLOCK1 = (3 * 9 + 1) * 4, 4 * 4 * 9 + 2 * 4
BLOCK2, FC = (4 * 3 + 1) * 8 + 2 * 8, (8 * 9 + 1) * 10

MEANINGS = [
    ("conv1", "output", (4, 6, 6)),
    ("conv1", "size", (6, 6)),
    ("conv1", "channels", 4),
    ("conv1", "kernel", (3, 3)),
    ("conv1", "stride", (1, 1)),
    ("conv1", "padding", (0, 0)),
    ("block2.conv1", "kernel", (1, 3)),
    ("block2.conv1", "padding", (0, 1)),
    ("pool", "stride", (2, 2)),
    ("pool", "output", (8, 3, 3)),
    ("fc", "output", (10,)),
    ("fc", "channels", 10),
    ("block1", "output", (4, 6, 6)),
    ("block2", "channels", 8),
    ("network", "output", (10,)),
    ("conv1", "parameters", CONV1),
    ("conv1", "weights", CONV1 - 4),
    ("conv1", "buffers", 0),
    ("relu1", "parameters", 0),
    ("block1", "parameters", BLOCK1),
    ("block1", "weights", BLOCK1 - 4),
    ("block1", "buffers", 2 * 4),
    ("block1", "total", BLOCK1 + 2 * 4),
    ("block2.bn1", "total", 4 * 8),
    ("network", "parameters", CONV1 + BLOCK1 + BLOCK2 + FC),
    ("network", "buffers", 2 * 4 + 2 * 8),
    ("network", "total", CONV1 + BLOCK1 + BLOCK2 + FC + 2 * 4 + 2 * 8),
    ("conv1", "macs", 3 * 9 * 4 * 36),
    ("conv1", "connections", CONV1 * 36),
    ("block1", "macs", 4 * 4 * 9 * 36),
    ("block1", "connections", 4 * 4 * 9 * 36),
    ("block2.conv1", "connections", (4 * 3 + 1) * 8 * 36),
    ("fc", "macs", 8 * 9 * 10),
    ("input", "neurons", 3 * 64),
    ("pool", "neurons", 8 * 9),
    ("block1.bn1", "neurons", 4 * 36),
    ("block2", "neurons", 8 * 36),
    ("network", "neurons", 4 * 36 + 4 * 36 + 8 * 36 + 10),
    ("conv1", "depth", 1),
    ("block1", "depth", 1),
    ("relu1", "depth", 0),
    ("network", "depth", 4),
]


@pytest.mark.parametrize(("at", "quantity", "value"), MEANINGS)
def test_what_a_quantity_means(at, quantity, value):
    printed = value if isinstance(value, tuple) else Printed(f"{value:,}")
    report = check(NET, printing(row(at, **{quantity: printed})), observation(NET))
    finding = report.findings[0]
    assert report.proven
    assert (finding.at, finding.quantity, finding.status) == (at, quantity, "agrees")
    assert (finding.source, finding.note, finding.printed) == ("paper", "Table 1", printed)
    assert finding.computed == value
    assert finding.observed in (finding.computed, None)
    assert (finding.observed is None) == (quantity in ("padding", "depth"))


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        ("conv1", {"conv1"}),
        ("block*", {"block1", "block2"}),
        ("block*.bn1", {"block1.bn1", "block2.bn1"}),
        ("block1.*", {"block1.conv1", "block1.bn1"}),
        ("*1", {"conv1", "relu1", "block1"}),
        ("*o*", {"network", "conv1", "block1", "block2", "pool", "softmax"}),
        (("conv1", "block*.conv1"), {"conv1", "block1.conv1", "block2.conv1"}),
    ],
)  # fmt: skip
def test_patterns_stay_within_one_name(pattern, want):
    report = check(NET, printing(row(pattern, times=len(want), channels=Printed("0"))))
    assert {f.at for f in report.findings if f.source == "paper"} == want


def test_a_place_that_two_patterns_mean_is_one_place():
    report = check(NET, printing(row(("block*.bn1", "block1.*1"), times=3, channels=Printed("0"))))
    assert "times" not in {f.quantity for f in report.findings}


@pytest.mark.parametrize(
    "pattern", ["*o" * 30 + "x", "block1" + "*c" * 30 + "x", "[b]lock1", "conv?"]
)
def test_a_pattern_that_means_nothing_is_refused_at_once(pattern):
    deep = tiny(("o" * 60, Relu()), ("block1" + "c" * 60, Relu()))
    with pytest.raises(TableError, match="wanted an address of the network"):
        check(deep, printing(row(pattern, channels=Printed("4"))))


@pytest.mark.parametrize("times", [0, 1, 3])
def test_another_number_of_places_is_seen(times):
    report = check(NET, printing(row("block*.bn1", times=times, size=(6, 6))))
    (found,) = report.differs
    facts = f"block*.bn1: times: printed {times}, computed 2"
    assert str(found) == f"{facts}; Table 1: the network has another number of such places"


@pytest.mark.parametrize(
    ("at", "values", "wanted", "got"),
    [
        ("conv2", {"channels": Printed("4")}, "an address of the network", "conv2"),
        ("block3*", {"channels": Printed("4")}, "an address of the network", "block3*"),
        (("conv1", "conv2"), {"size": (6, 6)}, "an address of the network", "conv2"),
        ("conv", {"channels": Printed("4")}, "an address of the network", "conv"),
        ("fc", {"kernel": (3, 3)}, "a place with a kernel", "fc"),
        ("relu1", {"stride": (1, 1)}, "a place with a stride", "relu1"),
        ("block1", {"kernel": (3, 3)}, "a place with a kernel", "block1"),
        ("pool", {"padding": (0, 0)}, "a place with a padding", "pool"),
    ],
)
def test_a_row_that_asks_for_what_is_not_there_is_refused(at, values, wanted, got):
    with pytest.raises(TableError) as caught:
        check(NET, printing(row(at, **values)))
    place = "tiny.toml, table 1 (Table 1), row 1"
    sentence, remedy = str(caught.value).split("; ")
    assert sentence == f"{place}: wanted {wanted}, found {got}"
    assert remedy == {
        "an address of the network": "did you mean conv1?"
        if got.startswith("conv")
        else "did you mean block2 or block1?",
    }.get(wanted, "name one layer that has")


SLIP = row("conv1", kernel=(5, 5))
KERNEL = {("conv1", "kernel")}
RIGHT = row("fc", output=(10,))


@pytest.mark.parametrize(
    ("printed", "mended", "want"),
    [
        (SLIP, [], KERNEL),
        (SLIP, [erratum("conv1", "kernel", (5, 5), (3, 3))], set()),
        (SLIP, [erratum("conv1", "kernel", (5, 5), (4, 4))], KERNEL),
        (SLIP, [erratum("conv1", "kernel", (7, 7), (3, 3))], KERNEL),
        (SLIP, [erratum("conv1", "stride", (5, 5), (1, 1))], {*KERNEL, ("conv1", "stride")}),
        (row("conv1", kernel=(3, 3)), [erratum("conv1", "kernel", (3, 3), (3, 3))], KERNEL),
        (
            row("conv1", parameters=Printed("0.1K")),
            [erratum("conv1", "parameters", Printed("0.1K"), CONV1)],
            {("conv1", "parameters")},
        ),
        (
            row("block*", channels=Printed("4")),
            [erratum("block*", "channels", Printed("4"), 8)],
            set(),
        ),
        (
            row("block*", channels=Printed("4")),
            [erratum("block2", "channels", Printed("4"), 8)],
            {("block2", "channels")},
        ),
    ],
)  # fmt: skip
def test_an_erratum_mends_exactly_what_it_names(printed, mended, want):
    assert differing(printed, RIGHT, errata=mended) == want


def test_errata_alone_prove_nothing():
    mended = [erratum("conv1", "kernel", (5, 5), (3, 3))]
    (found,) = check(NET, printing(SLIP, errata=mended)).differs
    assert str(found) == (
        "network: agreement: ; tiny.toml has an erratum for every number: print one that agrees"
    )


@pytest.mark.parametrize(
    ("printed", "should", "sentence"),
    [
        ((5, 5), (4, 4), "computed 3x3; erratum 1 does not apply: it says 4x4, and the arithmetic"),
        ((3, 3), (4, 4), "computed 3x3; erratum 1 does not apply: the source agrees with"),
        ((3, 3), (3, 3), "computed 3x3; erratum 1 does not apply: the source agrees with"),
    ],
)
def test_an_erratum_that_does_not_apply_is_told_from_what_is_computed(printed, should, sentence):
    wrong = erratum("conv1", "kernel", printed, should)
    report = check(NET, printing(row("conv1", kernel=printed), errata=[wrong]))
    assert sentence in str(report.differs[-1])


@pytest.mark.parametrize(
    ("should", "statuses"), [((3, 3), ["erratum"]), ((4, 4), ["differs", "differs"])]
)
def test_an_erratum_says_why(should, statuses):
    wrong = erratum("conv1", "kernel", (5, 5), should)
    report = check(NET, printing(SLIP, RIGHT, errata=[wrong]))
    found = [f for f in report.findings if f.status not in ("unstated", "agrees")]
    assert [f.status for f in found] == statuses
    last = "A slip." if statuses == ["erratum"] else "erratum 1 does not apply: "
    assert found[-1].note.startswith(last)


def test_an_erratum_of_another_source_mends_nothing():
    foreign = evolve(erratum("conv1", "kernel", (5, 5), (3, 3)), source="notes")
    assert len(check(NET, printing(SLIP, errata=[foreign])).differs) == 2


def bumped(value, by):
    """The printed value with another last digit, beyond what rounding and truncation allow."""
    if isinstance(value, tuple):
        return (*value[:-1], value[-1] + by)
    number = re.match(r"[\d,.]*\d", value.text)[0]
    decimals = len(number.partition(".")[2])
    digits = str(abs(value.digits + by * (1 if value.unit == 1 else 2))).zfill(decimals + 1)
    point = len(digits) - decimals
    text = f"{digits[:point]}.{digits[point:]}" if decimals else digits
    return Printed(value.text.replace(number, text, 1), value.kilo)


def reprinted(of, index, **changes):
    """`of` with one row changed."""
    rows = list(of.rows)
    rows[index] = evolve(rows[index], **changes)
    return evolve(of, rows=tuple(rows))


DIGITS = [
    (name, i, quantity)
    for name in ("lenet5", "vgg16", "resnet50", "resnet20_cifar")
    for i, printed in enumerate(table(name).rows)
    for quantity in printed.values
]


@pytest.mark.parametrize(("name", "index", "quantity"), DIGITS)
def test_one_wrong_digit_in_any_printed_value_is_seen(name, index, quantity):
    right = table(name).rows[index]
    for by in (1, -1):
        values = {**right.values, quantity: bumped(right.values[quantity], by)}
        report = check(graph(name), reprinted(table(name), index, values=values), others=graph)
        assert quantity in {f.quantity for f in report.differs if f.source == right.source}


@pytest.mark.parametrize(
    ("text", "by", "want"),
    [
        ("0", 1, "1"),
        ("0", -1, "1"),
        ("340,908", 1, "340909"),
        ("10", -1, "9"),
        ("138M", 1, "140M"),
        ("0.27M", -1, "0.25M"),
        ("9.9×10^9", 1, "10.1×10^9"),
        ("15.3 billion", 1, "15.5 billion"),
    ],
)
def test_bumped(text, by, want):
    exact = int(Printed(text).digits * Printed(text).unit)
    assert bumped(Printed(text), by).text == want
    assert not Printed(want).agrees(exact)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("lenet5", "c1", "c3"), ("lenet5", "s2", "s4"), ("vgg16", "conv1_2", "conv2_1")],
)
def test_two_rows_in_each_others_place_are_seen(name, one, other):
    indices = {r.at[0]: i for i, r in enumerate(table(name).rows) if "parameters" in r.values}
    swapped = reprinted(table(name), indices[one], at=(other,))
    swapped = reprinted(swapped, indices[other], at=(one,))
    found = {(f.at, f.quantity) for f in check(graph(name), swapped, others=graph).differs}
    assert {(one, "parameters"), (other, "parameters")} <= found


@pytest.mark.parametrize(
    ("described", "printed", "want"),
    [
        ("vgg19", "vgg16", {("network", "depth"), ("network", "parameters")}),
        ("alexnet_single", "alexnet", {("network", "parameters")}),
        ("resnet101", "resnet50", {("network", "depth"), ("conv4_*.conv1", "times")}),
        ("resnet56_cifar", "resnet20_cifar", {("network", "depth"), ("conv4_*.sum", "times")}),
    ],
)
def test_another_network_is_not_the_papers(described, printed, want):
    found = {
        (f.at, f.quantity) for f in check(graph(described), table(printed), others=graph).differs
    }
    assert want <= found
