"""Printed ratios between networks, and rows that nobody has held against their source."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.base.errors import TableError
from convbench.checks.structure import check
from convbench.checks.values import PrintedTimes, Times
from convbench.papers.printed import Printed
from convbench.papers.tables import Claim, read_table
from tests.support.builders import graph, table

HEAD = """
name = "net"
paper = "paper"

[[table]]
source = "paper"
place = "Table 1"
rows = [{ at = "network", parameters = "138M" }]
"""

CLAIM = """
[[claim]]
source = "paper"
place = "section 1"
quantity = "parameters"
than = "alexnet"
factor = "2.3"
more = true
"""

SOURCE = """
[paper]
title = "A Paper"
authors = "A. Uthor"
year = 2020
where = "arXiv"
"""


def claim(factor, *, than="alexnet", more=True, should=None, quantity="parameters"):
    return Claim(
        quantity=quantity,
        than=than,
        factor=Printed(factor),
        more=more,
        should=Printed(should) if should else None,
        why="the ratio is another one" if should else None,
        source="vgg-2014",
        place="section 1",
        where="claim 1",
    )


def finding(claimed):
    """What becomes of one claim in VGG-16's table: 138,357,544 of 60,965,224 is 2.2694."""
    report = check(graph("vgg16"), evolve(table("vgg16"), claims=(claimed,)), others=graph)
    return next(f for f in report.findings if " against " in f.quantity)


@pytest.mark.parametrize(
    ("claimed", "status", "computed"),
    [
        (claim("2.3"), "agrees", 2.269),
        (claim("2.2"), "agrees", 2.269),
        (claim("2"), "agrees", 2.269),
        (claim("3"), "differs", 2.269),
        (claim("2.3", more=False), "differs", 0.4406),
        (claim("2.3", than="vgg19"), "differs", 0.963),
        (claim("21", quantity="macs"), "agrees", 21.36),
        (claim("2", quantity="depth"), "agrees", 2),
        (claim("3", should="2.27"), "erratum", 2.269),
        (claim("3", should="2.4"), "differs", 2.269),
        (claim("2.3", should="2.27"), "differs", 2.269),
    ],
)
def test_a_claim_is_held_against_the_exact_ratio(claimed, status, computed):
    found = finding(claimed)
    assert found.status == status
    assert isinstance(found.computed, Times)
    assert found.computed.factor == pytest.approx(computed, rel=1e-3)
    assert found.computed.more == claimed.more
    assert found.quantity == f"{claimed.quantity} against {claimed.than}"
    assert found.printed == PrintedTimes(claimed.factor, claimed.more)


def test_a_claim_needs_the_network_that_it_speaks_of():
    with pytest.raises(TableError, match="the network that it compares with, found alexnet"):
        check(graph("vgg16"), evolve(table("vgg16"), claims=(claim("2.3"),)))


@pytest.mark.parametrize(
    ("claimed", "wanted"),
    [
        (claim("2", than="vgg17"), "wanted than as an architecture, found unknown architecture"),
        (claim("1", than="vgg16"), "wanted another network to compare with"),
        (claim("2", quantity="buffers"), "wanted buffers of vgg16 and alexnet, and more than none"),
        (claim("2", quantity="buffers", than="resnet50", more=False), "found 0 and 53,120"),
    ],
)
def test_a_claim_that_says_nothing_is_refused_with_its_place(claimed, wanted):
    with pytest.raises(TableError, match=rf"vgg16.toml, claim 1: .*{wanted}|{wanted}"):
        finding(claimed)


@pytest.fixture
def read(tmp_path):
    """Reads a table from its text."""

    def read(text):
        (tmp_path / "sources.toml").write_text(SOURCE, encoding="utf-8")
        (tmp_path / "net.toml").write_text(text, encoding="utf-8")
        return read_table("net", tmp_path)

    return read


def test_claims_are_read_with_their_digits(read):
    (claimed,) = read(HEAD + CLAIM).claims
    assert (claimed.factor.text, claimed.than, claimed.more) == ("2.3", "alexnet", True)
    assert (claimed.should, claimed.why, claimed.unverified) == (None, None, None)
    (claimed,) = read(HEAD + CLAIM + 'printed = "2.3"\nshould = "2.27"\nwhy = "Biases."').claims
    assert (claimed.should, claimed.why) == (Printed("2.27"), "Biases.")


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('"2.3"', "2.3", "claim 1: wanted factor to be of type str"),
        ('"2.3"', '"some"', "claim 1: wanted parameters as a printed number"),
        ('"parameters"', '"output"', "claim 1: wanted quantity to be one of parameters"),
        ("more = true", "", "claim 1: wanted the key 'more'"),
        (
            "more = true",
            'more = true\nwhy = "x"',
            "claim 1: wanted printed, should and why together",
        ),
        (
            '"2.3"',
            '"2.3"\nprinted = "2.4"\nshould = "2.2"\nwhy = "x"',
            "printed to repeat the factor",
        ),
        ('"2.3"', '"0.0"', "claim 1: wanted factor to be more than nothing"),
        ('"parameters"', '"channels"', "claim 1: wanted quantity to be one of parameters"),
        ('"paper"', '"other"', "claim 1: wanted a source that is a key of sources.toml"),
    ],
)
def test_a_malformed_claim_is_refused(read, old, new, wanted):
    with pytest.raises(TableError, match=wanted):
        read(HEAD + CLAIM.replace(old, new))


def test_unverified_rows_are_counted_apart():
    rows = table("vgg16").rows
    unverified = tuple(evolve(row, unverified="seen once") for row in rows)
    counts = [
        check(graph("vgg16"), evolve(table("vgg16"), rows=rows_), others=graph).counts
        for rows_ in (rows, unverified)
    ]
    claims = sum(claim.why is None for claim in table("vgg16").claims)
    assert counts[0]["agree"] > 100
    assert counts[0]["unverified"] == 0
    assert counts[1]["unverified"] == counts[0]["agree"] - claims
    assert counts[1]["agree"] == claims
    assert counts[1]["errata"] == counts[0]["errata"]


def test_an_unverified_row_that_disagrees_still_differs():
    first = table("vgg16").rows[0]
    wrong = evolve(first, values={"parameters": Printed("1M")}, unverified="seen once")
    report = check(graph("vgg16"), evolve(table("vgg16"), rows=(wrong,), errata=(), claims=()))
    assert report.counts["differ"] == 1
    assert not report.proven


def test_unverified_says_why(read):
    text = HEAD.replace('place = "Table 1"', 'place = "Table 1"\nunverified = "seen once"')
    assert read(text).rows[0].unverified == "seen once"
    with pytest.raises(TableError, match="wanted unverified to be of type str"):
        read(HEAD.replace('place = "Table 1"', 'place = "Table 1"\nunverified = true'))
