"""Rows as text tables, for the terminal and for Markdown alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tabulate import tabulate

ABSENT = "—"


class Markup(str):
    """Text that is Markdown already, made here and not read from anywhere."""

    __slots__ = ()


def table(
    rows: Sequence[Mapping[str, str]], format_: str = "markdown", left: Sequence[str] = ()
) -> str:
    """`rows` with one column per key; columns of numbers, and only they, stand to the right.

    `left` names columns that stand to the left although all their cells look like numbers.
    """
    if format_ == "markdown":
        rows = [{name: escaped(cell) for name, cell in row.items()} for row in rows]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name, ABSENT) for row in rows] for name in names}
    align = [
        "right" if name not in left and all(map(_is_number, cells)) else "left"
        for name, cells in columns.items()
    ]
    return tabulate(
        columns,
        headers="keys",
        tablefmt="pipe" if format_ == "markdown" else "simple",
        showindex=False,
        colalign=align,
        disable_numparse=True,
    )


def escaped(text: str) -> str:
    r"""Text from tables and journals as Markdown that shows it and nothing more.

    An underline within a word is only that, and stays as it is.

    >>> print(escaped("a|b <img> [x](y) resnet20_cifar __init__"))
    a\|b &lt;img&gt; \[x\](y) resnet20_cifar \_\_init\_\_
    """
    if isinstance(text, Markup):
        return text
    plain = re.sub(r"[\\`*\[\]|]|\b_+|_+\b", lambda sign: _with_strokes(sign[0]), text)
    shown = "".join(c if c.isprintable() else " " for c in plain)  # no terminal obeys it either
    return " ".join(shown.replace("<", "&lt;").replace(">", "&gt;").split())


def _with_strokes(signs: str) -> str:
    return "".join(f"\\{sign}" for sign in signs)


def _is_number(text: str) -> bool:
    return text in ("", ABSENT) or text.lstrip("+-")[:1].isdigit()
