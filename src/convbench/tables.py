"""Rows as text tables, for the terminal and for Markdown alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from tabulate import tabulate

ABSENT = "—"


def table(
    rows: Sequence[Mapping[str, str]], format_: str = "markdown", left: Sequence[str] = ()
) -> str:
    """`rows` with one column per key; columns of numbers, and only they, stand to the right.

    `left` names columns that stand to the left although all their cells look like numbers.
    """
    frame = pd.DataFrame(list(rows)).fillna(ABSENT)
    if format_ == "markdown":
        frame = frame.map(escaped)
    align = [
        "right" if name not in left and frame[name].map(_is_number).all() else "left"
        for name in frame
    ]
    return tabulate(
        frame.to_dict("list"),
        headers="keys",
        tablefmt="github" if format_ == "markdown" else "simple",
        showindex=False,
        colalign=align,
        disable_numparse=True,
    )


def escaped(text: str) -> str:
    r"""Text from tables and journals as Markdown that shows it and nothing more.

    >>> escaped("a|b <img> `c`")
    'a\\|b &lt;img&gt; \\`c\\`'
    """
    plain = " ".join(text.split()).replace("\\", "\\\\")
    for sign, safe in (("|", "\\|"), ("`", "\\`"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.replace(sign, safe)
    return plain


def _is_number(text: str) -> bool:
    return text in ("", ABSENT) or text[:1].isdigit()
