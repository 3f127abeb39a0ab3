"""A result of the gate as a comment on a pull request: the verdict first, the rest folded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from convbench.base.text_tables import Markup, escaped, table
from convbench.base.units import clock
from convbench.gate.outputs import words
from convbench.gate.values import GateResult

MARKS: dict[words.Mood, str] = {
    "passed": "✅",
    "in doubt": "🟡",
    "failed": "❌",
    "no verdict": "⛔",
}
NO_MENTION = "\u200b"
"""Stands after an @, so that nobody is called by a name in a test (code hosts send mail then)."""
SECRET = "<!-- convbench gate -->"
"""By which a job finds its earlier comment, to replace it."""


def comment(result: GateResult, plot: str | None = None) -> str:
    """The whole comment; `plot` is where the picture of the ratios is, relative to it or a URL."""
    parts = [
        SECRET,
        _verdict(result),
        _list([*words.sides(result), *words.notes(result)]),
        _picture(plot) if any(v.pairs for v in result.verdicts) else "",
        _section("Not compared", [words.broken(b) for b in result.broken]),
        _section("Exact differences", [words.difference(d) for d in result.differences]),
        _questions(result),
        _environments(result),
        f"{words.promise(result)} {_time(result)}",
        f"Repeat it with\n\n{_fenced(words.command(result))}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _shown(text: str) -> str:
    """Somebody's text as Markdown that shows it and calls nobody."""
    return escaped(text).replace("@", f"@{NO_MENTION}")


def _verdict(result: GateResult) -> str:
    said = words.headline(result)
    return f"{MARKS[words.mood(result)]} **convbench gate: {said.word}:** {_shown(said.why)}"


def _time(result: GateResult) -> str:
    return f"The run took {clock(result.spent_s)} of {clock(result.budget_s)} that it was given."


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {_item(sentence)}" for sentence in sentences)


def _item(sentence: str) -> str:
    """A sentence that begins neither a heading nor a list of its own."""
    return re.sub(r"^(\d*)([#+.)~=-])", r"\1\\\2", _shown(sentence))


def _section(title: str, sentences: Sequence[str]) -> str:
    return f"#### {title}\n\n{_list(sentences)}" if sentences else ""


def _picture(plot: str | None) -> str:
    if plot is None:
        return ""
    # Whatever ends a link or begins another thing is written as its number.
    link = re.sub(r"[^\w./:?&=%~+-]", lambda sign: _in_numbers(sign[0]), plot, flags=re.ASCII)
    return f"![Ratios of head over base with their intervals]({link})"


def _in_numbers(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode(errors="backslashreplace"))


def _questions(result: GateResult) -> str:
    rows = words.rows(result)
    if not rows:
        return ""
    title = f"All {len(rows)} questions" if len(rows) > 1 else "The question"
    return _folded(title, f"{_table(rows)}\n\n{_shown(words.reading(result))}")


def _table(rows: Sequence[dict[str, str]]) -> str:
    shown = [{k: Markup(_shown(v)) for k, v in row.items()} for row in rows]
    return table(shown, left=("base", "head", "both"))


def _folded(title: str, content: str) -> str:
    # The empty lines make code hosts read what is between them as Markdown.
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"


def _environments(result: GateResult) -> str:
    """What differs between the sides, to be seen; what is the same, folded."""
    base, head = (side.environment for side in words.both(result))
    if base is None or head is None:
        known = {"base": base, "head": head}
        return "\n\n".join(
            f"The environment of the {role} is not known."
            if found is None
            else _folded(f"The environment of the {role}", _table(_rows(words.facts(found), role)))
            for role, found in known.items()
        )
    differ = [{"": name, "base": b, "head": h} for name, b, h in words.unlike(result)]
    same = words.alike(base, head)
    seen = f"#### Environments differ\n\n{_table(differ)}" if differ else ""
    title = "What both environments share" if differ else "The environment, the same on both sides"
    return "\n\n".join(filter(None, (seen, _folded(title, _table(_rows(same, "both"))))))


def _rows(facts: Mapping[str, str], column: str) -> list[dict[str, str]]:
    return [{"": name, column: value} for name, value in facts.items()]


def _fenced(command: str) -> str:
    """A command as it is, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{command}\n{fence}"
