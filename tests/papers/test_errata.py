"""`convbench errata`: every erratum of every table, once, with its reason."""

from __future__ import annotations

import json

import pytest

from convbench.base.errors import TableError
from convbench.checks.structure import check
from convbench.front.cli import main
from convbench.networks.zoo.names import ARCHITECTURES
from convbench.papers.sources import tables_folder
from convbench.papers.tables import read_table
from convbench.report import report
from tests.support.builders import graph, table
from tests.support.samples import ENVIRONMENT


def said(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main.main(["errata", *words])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_every_erratum_of_every_table_is_listed_once(capsys):
    rows = json.loads(said(capsys, "--format", "json"))["errata"]
    keys = ("name", "at", "quantity", "source", "printed")
    listed = {json.dumps([row[key] for key in keys]) for row in rows}
    assert len(rows) == len(listed)
    for name in ARCHITECTURES:
        printed = read_table(name, tables_folder())
        whys = {row["why"] for row in rows if row["name"] == name}
        assert whys == {e.why for e in (*printed.errata, *printed.claims) if e.why}


def test_an_erratum_says_what_is_printed_and_what_is_right(capsys):
    (row,) = json.loads(said(capsys, "lenet5", "--format", "json"))["errata"]
    assert row["at"] == "output"
    assert row["source"] == "CNN Architectures"
    assert row["quantity"] == "parameters"
    assert (row["printed"], row["exact"]) == ({"text": "840", "kilo": 1000}, 0)


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_errata_as_text_have_their_reason(capsys, form):
    text = said(capsys, "vgg16", "--format", form)
    assert "15.3 billion" in text
    assert "15,470,264,320" in text
    assert "convolutions alone" in text


def test_an_erratum_is_told_in_the_same_words_everywhere(capsys):
    sentence = "output, parameters: “CNN Architectures” prints 840; exact is 0. The 84x10 = 840"
    assert f"lenet5: {sentence}" in said(capsys, "lenet5")
    with pytest.raises(SystemExit):
        main.main(["show", "lenet5"])
    assert f"- lenet5: {sentence}" in capsys.readouterr().out
    reports = (ENVIRONMENT, check(graph("lenet5"), table("lenet5")))
    assert f"- **lenet5** {sentence}" in report.markdown(reports, "a-run", tables_folder())


def test_a_network_without_errata_has_none(capsys):
    assert json.loads(said(capsys, "resnet50", "--format", "json"))["errata"] == []
    assert said(capsys, "resnet50").strip() == ""


def test_a_table_without_a_row_proves_nothing(tmp_path):
    text = 'name = "lenet5"\npaper = "lenet-1998"\ntable = []\n'
    (tmp_path / "lenet5.toml").write_text(text, encoding="utf-8")
    sources = (tables_folder() / "sources.toml").read_text(encoding="utf-8")
    (tmp_path / "sources.toml").write_text(sources, encoding="utf-8")
    with pytest.raises(TableError, match="wanted at least one printed row, found none"):
        read_table("lenet5", tmp_path)


def test_an_erratum_of_many_places_is_told_once(capsys):
    rows = json.loads(said(capsys, "inception_resnet_v2", "--format", "json"))["errata"]
    (row,) = (row for row in rows if row["printed"] == {"text": "1154", "kilo": 1000})
    assert row["at"] == "inception_b1.linear to inception_b10.linear (10 places)"
    assert said(capsys, "inception_resnet_v2").count("1154") == 1
