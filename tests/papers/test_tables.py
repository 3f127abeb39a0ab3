"""Printed numbers keep their digits; a table that breaks the form is refused where it does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.base.errors import TableError
from convbench.networks.zoo.names import ARCHITECTURES
from convbench.papers.printed import Printed, show
from convbench.papers.sources import read_sources, tables_folder
from convbench.papers.tables import Erratum, ReferenceTable, Row, read_table
from convbench.papers.toml import load
from tests.support.builders import alike, table

SOURCES = """
[paper-2020]
title = "A Paper"
authors = "A. Uthor"
year = 2020
where = "arXiv"

[notes-2021]
title = "Notes"
authors = "not stated"
year = 2021
where = "a lecture"
"""

HEAD = 'name = "net"\npaper = "paper-2020"\n'

ROWS = """
[[table]]
source = "paper-2020"
place = "Table 1"
rows = [
  { at = "network", parameters = "138M" },
  { at = ["conv1", "conv2"], times = 2, kernel = [3, 3], channels = "64" },
]
"""

ERRATUM = """
[[erratum]]
at = "conv2"
quantity = "kernel"
source = "paper-2020"
printed = [3, 3]
should = [5, 5]
why = "A slip."
"""

TABLE = HEAD + ROWS + ERRATUM


@pytest.fixture
def folder(tmp_path):
    """A folder of tables with a bibliography; `net.toml` is left to the test."""
    (tmp_path / "sources.toml").write_text(SOURCES, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kilo", "digits", "unit"),
    [
        ("60,000", 1000, 60_000, 1),
        ("122304", 1000, 122_304, 1),
        ("0", 1000, 0, 1),
        ("138M", 1000, 138, 10**6),
        ("0.27M", 1000, 27, 10**4),
        ("62.3 million", 1000, 623, 10**5),
        ("15.3 billion", 1000, 153, 10**8),
        ("1.5B", 1000, 15, 10**8),
        ("34K", 1000, 34, 10**3),
        ("34k", 1024, 34, 2**10),
        ("5 thousand", 1000, 5, 10**3),
        ("1M", 1024, 1, 2**20),
        ("3.8×10^9", 1000, 38, 10**8),
        ("3.8x10^9", 1024, 38, 10**8),
        ("3.8 ×10^9", 1000, 38, 10**8),
        ("1,024.50", 1000, 102_450, 0.01),
    ],
)
def test_printed_keeps_digits_and_unit(text, kilo, digits, unit):
    number = Printed(text, kilo)
    assert number.digits == digits
    assert float(number.unit) == unit
    assert str(number) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "many",
        "-3",
        "1.",
        ".5",
        "12 Q",
        "1e9",
        "3×10",
        "3*10^9",
        "~60",
        "1 2",
        "Ms",
        ",",
        "1,,000",
        "12,34,567",
        "1000,000",
        "1,00",
        ",100",
        "٣٤",
        "１２M",
        "3×10^٩",
        "1×10^999999999",
    ],
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="not a number"):
        Printed(text)


@pytest.mark.parametrize(
    ("text", "exact", "agrees"),
    [
        ("138M", 138_357_544, True),
        ("138M", 137_500_000, True),
        ("138M", 137_499_999, False),
        ("138M", 138_999_999, True),
        ("138M", 139_000_000, False),
        ("139M", 138_500_000, True),
        ("139M", 138_499_999, False),
        ("138.3M", 138_357_544, True),
        ("138.4M", 138_357_544, True),
        ("138.36M", 138_357_544, True),
        ("138.1M", 138_357_544, False),
        ("62.3 million", 62_378_344, True),
        ("60,000", 60_000, True),
        ("60,000", 60_001, False),
        ("60,000", 59_999, False),
        ("0", 0, True),
        ("0", 1, False),
        ("3.8×10^9", 3_857_973_248, True),
        ("3.9×10^9", 3_857_973_248, True),
        ("3.7×10^9", 3_857_973_248, False),
        ("15.3 billion", 15_470_264_320, False),
        ("15.3 billion", 15_346_630_656, True),
    ],
)
def test_printed_agrees_with_what_rounds_or_truncates_to_it(text, exact, agrees):
    assert Printed(text).agrees(exact) is agrees


@pytest.mark.parametrize(
    ("kilo", "exact", "agrees"), [(1024, 2764, True), (1024, 2650, False), (1000, 2650, True)]
)
def test_a_tables_own_k_counts(kilo, exact, agrees):
    assert Printed("2.7K", kilo).agrees(exact) is agrees


@alike
@given(st.integers(0, 10**12), st.integers(0, 3))
def test_every_number_agrees_with_its_own_roundings(exact, thousands):
    suffix, unit = ("", "K", "M", "B")[thousands], 1000**thousands
    for digits in (exact // unit, (exact + unit // 2) // unit):
        assert Printed(f"{digits:,}{suffix}").agrees(exact)
    assert not Printed(f"{exact // unit + 2}{suffix}").agrees(exact)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), (34_944, "34,944"), (Printed("138M"), "138M"), ((96, 55, 55), "96x55x55")],
)
def test_show(value, text):
    assert show(value) == text


def test_a_table_is_read_as_it_is_printed(folder):
    (folder / "net.toml").write_text(TABLE, encoding="utf-8")
    read = read_table("net", folder)
    first, second = read.rows
    assert (read.name, read.paper, read.file) == ("net", "paper-2020", "net.toml")
    assert first.values == {"parameters": Printed("138M")}
    assert second.at == ("conv1", "conv2")
    assert second.times == 2
    assert second.values == {"kernel": (3, 3), "channels": Printed("64")}
    assert second.where == "table 1 (Table 1), row 2"
    assert read.errata[0].should == (5, 5)


def test_kilo_belongs_to_its_table(folder):
    text = TABLE.replace('place = "Table 1"', 'place = "Table 1"\nkilo = 1024')
    (folder / "net.toml").write_text(text, encoding="utf-8")
    assert read_table("net", folder).rows[0].values["parameters"] == Printed("138M", 1024)


QUANTITIES = (
    "output, size, kernel, stride, padding, channels, parameters, weights, buffers, total, "
    "macs, connections, neurons, depth"
)
ADDRESSES = "at as an address or a list of addresses"
DIMENSIONS = "kernel as a list of whole numbers"
SOURCE = 'source = "paper-2020"\n'
CITED = "a source that is a key of sources.toml"

BREAKS = {  # where the error is: what is replaced, what by, what the error wanted and found
    "": [
        ('name = "net"\n', "", "the key 'name'", "['erratum', 'paper', 'table']"),
        ('name = "net"', "name = 5", "name to be of type str", "5"),
        (HEAD, HEAD + "x = 1\n", "only the keys name, paper, table, erratum, claim", "'x'"),
    ],
    "name": [('name = "net"', 'name = "ten"', "'net', the name of the file", "'ten'")],
    "paper": [('paper = "paper-2020"', 'paper = "x"', CITED, "'x'")],
    "table 1": [
        (ROWS, 'table = ["x"]\n', "a table with source, place, rows", "'x'"),
        (SOURCE + "place", "place", "the key 'source'", "['place', 'rows']"),
        ('place = "Table 1"', "place = 1", "place to be of type str", "1"),
        ('place = "Table 1"', 'place = ""', "place to say something", "''"),
        ('place = "Table 1"', 'page = "1"', "the key 'place'", "['page', 'rows', 'source']"),
        ("rows = [", "kilo = true\nrows = [", "kilo to be of type int", "True"),
        (
            "rows = [",
            "x = 1\nrows = [",
            "only the keys source, place, rows, kilo, unverified",
            "'x'",
        ),
    ],
    "table 1 (Table 1), row 1": [
        (SOURCE + "place", 'source = "x"\nplace', CITED, "'x'"),
        ('at = "network", ', "", "the key 'at'", "['parameters']"),
        ('at = "network"', "at = 7", ADDRESSES, "7"),
        ('at = "network"', "at = true", ADDRESSES, "True"),
        (', parameters = "138M"', "", f"at least one of {QUANTITIES}", "{'at': 'network'}"),
        ('"138M"', "138", "parameters to be of type str", "138"),
        ('"138M"', '"lots"', "parameters as a printed number such as '138M'", "'lots'"),
        ("parameters =", "params =", f"only the keys at, {QUANTITIES}, times", "'params'"),
    ],
    "table 1 (Table 1), row 2": [
        ('"conv1", "conv2"', '"conv1", 2', ADDRESSES, "['conv1', 2]"),
        ('"conv1", "conv2"', "", ADDRESSES, "[]"),
        ('"conv1", "conv2"', '"conv1", "conv1"', "each address once", "['conv1', 'conv1']"),
        ("times = 2", "times = true", "times to be of type int", "True"),
        ("kernel = [3, 3]", 'kernel = "3x3"', "kernel to be of type list", "'3x3'"),
        ("kernel = [3, 3]", "kernel = [3.0, 3]", DIMENSIONS, "[3.0, 3]"),
        ("kernel = [3, 3]", "kernel = [true]", DIMENSIONS, "[True]"),
        ("kernel = [3, 3]", "kernel = []", DIMENSIONS, "[]"),
    ],
    "erratum 1": [
        (SOURCE + "printed", 'source = "x"\nprinted', CITED, "'x'"),
        (
            SOURCE + "printed",
            "printed",
            "the key 'source'",
            "['at', 'printed', 'quantity', 'should', 'why']",
        ),
        ("why", "x", "the key 'why'", "['at', 'printed', 'quantity', 'should', 'source', 'x']"),
        ('at = "conv2"', "at = 2", "at to be of type str", "2"),
        ('"A slip."', '" "', "why to say something", "' '"),
        ('"kernel"', '"size of it"', f"quantity to be one of {QUANTITIES}", "'size of it'"),
        ("should = [5, 5]", "should = 5", "should as the exact value", "5"),
        ("should = [5, 5]", 'should = "5"', "should as the exact value", "'5'"),
        ("should = [5, 5]", "should = true", "should as the exact value", "True"),
        ("should = [5, 5]", "should = [5.5]", DIMENSIONS, "[5.5]"),
        ("printed = [3, 3]", 'printed = "3"', DIMENSIONS, "'3'"),
        (
            "printed = [3, 3]",
            "printed = [7, 7]",
            "a row at 'conv2' of 'paper-2020' that prints kernel 7x7",
            "none",
        ),
        (
            'at = "conv2"',
            'at = "conv3"',
            "a row at 'conv3' of 'paper-2020' that prints kernel 3x3",
            "one at conv1 and conv2 in table 1 (Table 1), row 2",
        ),
        (
            SOURCE + "printed",
            'source = "notes-2021"\nprinted',
            "a row at 'conv2' of 'notes-2021' that prints kernel 3x3",
            "none",
        ),
    ],
    "erratum 2": [
        (
            ERRATUM,
            ERRATUM * 2,
            "one erratum for one place",
            "a second: ('conv2', 'kernel', 'paper-2020', '3x3')",
        ),
        (ERRATUM, f"{ERRATUM}[[erratum]]\n", "the key 'at'", "[]"),
    ],
}
CASES = [(where, *case) for where, cases in BREAKS.items() for case in cases]


def refusal(folder):
    with pytest.raises(TableError) as caught:
        read_table("net", folder)
    return str(caught.value)


@pytest.mark.parametrize(("where", "old", "new", "wanted", "got"), CASES)
def test_a_malformed_table_is_refused(folder, where, old, new, wanted, got):
    assert TABLE.count(old) >= 1
    (folder / "net.toml").write_text(TABLE.replace(old, new, 1), encoding="utf-8")
    place = f"net.toml, {where}" if where else "net.toml"
    sentence, remedy = refusal(folder).rsplit("; ", 1)
    assert sentence == f"{place}: wanted {wanted}, found {got}"
    assert remedy


def test_toml_that_cannot_be_read_is_refused_with_its_line(folder):
    (folder / "net.toml").write_text(TABLE.replace("times = 2,", "times = ,"), encoding="utf-8")
    sentence = refusal(folder)
    assert sentence.startswith("net.toml: wanted TOML, found ")
    assert "at line 9, column 38" in sentence


def test_a_file_that_is_not_utf_8_is_refused_with_its_byte(folder):
    (folder / "net.toml").write_bytes(TABLE.replace("A slip.", "é").encode("latin-1"))
    place = TABLE.index("A slip.")
    assert (
        refusal(folder)
        == f"net.toml, byte {place}: wanted UTF-8 text, found other bytes; save it so"
    )


def test_a_byte_order_mark_is_nothing(folder):
    (folder / "net.toml").write_text(TABLE, encoding="utf-8-sig")
    assert read_table("net", folder).name == "net"


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5000])
def test_toml_that_is_too_much_for_its_reader_is_refused(folder, value):
    (folder / "net.toml").write_text(f"{TABLE}x = {value}\n", encoding="utf-8")
    assert refusal(folder).startswith("net.toml: wanted TOML, found ")


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ("parameters =", "parametres =", "did you mean parameters?"),
        ('"138M"', "138", "write it in quotes"),
        (SOURCE + "place", 'source = "paper2020"\nplace', "did you mean paper-2020?"),
        (SOURCE + "place", 'source = "x"\nplace', "add it there"),
        ("kernel = [3, 3]", 'kernel = "3x3"', "reference_tables/README.md has the form"),
        ('"conv1", "conv2"', '"conv1", "convv2"', "mend whichever address is misspelt"),
    ],
)
def test_a_refusal_says_what_to_do(folder, old, new, remedy):
    (folder / "net.toml").write_text(TABLE.replace(old, new, 1), encoding="utf-8")
    assert refusal(folder).endswith(f"; {remedy}")


@pytest.mark.parametrize("missing", ["net.toml", "sources.toml"])
def test_a_missing_file_is_refused(folder, missing):
    (folder / "net.toml").write_text(TABLE, encoding="utf-8")
    (folder / missing).unlink()
    assert refusal(folder).startswith(f"{missing}: wanted a file in {folder}, found none; ")


@pytest.mark.parametrize(
    ("old", "new", "where", "wanted", "got"),
    [
        ("year", "y", "[paper-2020]", "the key 'year'", "['authors', 'title', 'where', 'y']"),
        ("2020\n", '"2020"\n', "[paper-2020]", "year to be of type int", "'2020'"),
        (
            '"arXiv"',
            '"?"\nx = 1',
            "[paper-2020]",
            "only the keys title, authors, year, where",
            "'x'",
        ),
        ("[paper", "x = 1\n[paper", "[x]", "a table with title, authors, year, where", "1"),
    ],
)
def test_a_malformed_bibliography_is_refused(folder, old, new, where, wanted, got):
    (folder / "sources.toml").write_text(SOURCES.replace(old, new), encoding="utf-8")
    with pytest.raises(TableError) as caught:
        read_sources(folder)
    assert str(caught.value).startswith(f"sources.toml, {where}: wanted {wanted}, found {got}; ")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_table_can_be_read(name):
    read = table(name)
    assert read.rows
    assert any(row.source == read.paper for row in read.rows)


def test_every_table_belongs_to_an_architecture():
    files = {file.stem for file in tables_folder().glob("*.toml")}
    assert files == {*ARCHITECTURES, "implementations", "sources"}


def test_every_source_is_cited():
    tables = [table(name) for name in ARCHITECTURES]
    cited = {entry.source for each in tables for entry in (*each.rows, *each.claims)}
    assert cited == set(read_sources(tables_folder()))


def test_the_bibliography_is_parsed_once_and_again_when_its_file_changes(folder, monkeypatch):
    parsed = []
    monkeypatch.setattr(
        "convbench.papers.sources.load", lambda file: parsed.append(file.name) or load(file)
    )
    assert read_sources(folder) == read_sources(folder)
    assert parsed == ["sources.toml"]
    (folder / "sources.toml").write_text(SOURCES.replace("A Paper", "A New Paper"))
    assert read_sources(folder)["paper-2020"].title == "A New Paper"
    (folder / "sources.toml").unlink()
    with pytest.raises(TableError, match="wanted a file in"):
        read_sources(folder)


def test_of_two_equal_errata_the_first_is_found():
    row = Row(("conv",), None, {"macs": Printed("12")}, "paper-2020", "Table 1", "table 1, row 1")
    first, second = (
        Erratum("conv", "macs", Printed("12"), 13, "paper-2020", "misprint", f"erratum {i}")
        for i in (1, 2)
    )
    read = ReferenceTable("net", "paper-2020", (row,), (first, second), "net.toml")
    assert read.erratum(row, "conv", "macs") == first
    assert read.erratum(row, "con*", "macs") is None
