"""The gate in the terminal: a live table while it runs, and what was found at its end.

The table is drawn between pairs alone, by nobody's clock: nothing runs beside what is timed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from math import log, log1p
from textwrap import fill
from types import TracebackType
from typing import Literal

from attrs import define, field, frozen
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from convbench.base.text_tables import table
from convbench.base.units import clock
from convbench.gate.loop import Loop
from convbench.gate.outputs import words
from convbench.gate.statistics.betting import log_wealth
from convbench.gate.values import GateResult, Verdict

STYLES = {"worse": "red", "not worse": "green", "cannot tell": "yellow", "broken": "red"}
MOODS = {"passed": "green", "in doubt": "yellow", "failed": "bold red", "no verdict": "bold red"}
CELLS = 6
"""Signs in a bar of evidence."""
AROUND = 4
"""Lines of the screen that are not rows of subjects."""
NARROWEST = 12
"""Columns of a subject's name, at least."""


@frozen
class Column:
    """One column of the live table, and how wide the terminal must be to have it."""

    name: str
    width: int
    from_: int
    justify: Literal["left", "right"] = "left"


COLUMNS = (
    Column("quantity", 12, 86),
    Column("verdict", 11, 0),
    Column("change", 7, 44, "right"),
    Column("evidence", CELLS + 6, 58),
    Column("pairs", 5, 72, "right"),
    Column("interval", 16, 102, "right"),
    Column("time", 7, 110, "right"),
)


def evidence(verdict: Verdict, log_ratios: Sequence[float]) -> float:
    """How much of what a decision takes is there: towards 1 for worse, towards -1 for not worse."""
    if not log_ratios:
        return 0.0
    bound = log1p(verdict.question.tolerance)
    worse = float(log_wealth(log_ratios, bound, 1)[-1]) / -log(verdict.alpha)
    fine = float(log_wealth(log_ratios, bound, -1)[-1]) / -log(verdict.beta)
    return min(1.0, max(0.0, worse)) if worse > fine else -min(1.0, max(0.0, fine))


@define
class Display:
    """What a run shows of itself: a live table, or in a pipe a line for each decided question."""

    console: Console
    _live: Live | None = None
    _width: int = 0
    _said: set[Hashable] = field(factory=set)

    def __enter__(self) -> Display:
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._start().update(Text("Starting and proving both sides", style="dim"), refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives the terminal back as it was, whatever has ended the run."""
        self._stop()

    def told(self, loop: Loop) -> None:
        """Shows how a run stands."""
        if self._live is None:
            self._say(loop)
            return
        if self.console.width != self._width:  # a new width breaks the lines that are there
            self._stop()
            self.console.clear()
            self._start()
        self._live.update(picture(loop, self.console), refresh=True)

    def _start(self) -> Live:
        self._width = self.console.width
        self._live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        self._live.start()
        return self._live

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._live = None

    def _say(self, loop: Loop) -> None:
        spent = clock(loop.budget_s - loop.left_s)
        for line in self._news(loop):
            self.console.print(Text(f"[{spent}] {line}"), soft_wrap=True)

    def _news(self, loop: Loop) -> Iterator[str]:
        """What has been decided or has broken since the last time."""
        news: dict[Hashable, str] = {(b.subject,): words.broken(b) for b in loop.broken}
        for question, verdict in loop.verdicts.items():
            if verdict.outcome != "cannot tell":
                # Later pairs may take `not worse` back, and move the ratio of every verdict.
                said = f"{words.plain(question.subject)}: {words.sentence(verdict)}"
                news[question, verdict.outcome] = said
        yield from (line for key, line in news.items() if key not in self._said)
        self._said |= news.keys()


def _of(loop: Loop, subject: str) -> list[Verdict]:
    return [v for question, v in loop.verdicts.items() if question.subject == subject]


def picture(loop: Loop, console: Console) -> RenderableType:
    """The live table: a row for each subject as far as the screen goes, and the time below."""
    room = max(1, console.height - AROUND)
    subjects = list(loop.subjects)
    if len(subjects) > room:
        open_ = set(loop.doubtful)
        subjects.sort(key=lambda subject: (subject != loop.running, subject not in open_))
    columns = [column for column in COLUMNS if column.from_ <= console.width]
    left = console.width - 3 - sum(column.width + 1 for column in columns)
    longest = max((len(words.plain(subject)) for subject in subjects), default=0)
    width = max(NARROWEST, min(left, longest))
    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for column in (Column("", 1, 0), Column("subject", width, 0), *columns):
        shown.add_column(column.name, width=column.width, no_wrap=True, justify=column.justify)
    for subject in subjects[:room]:
        cells = _cells(loop, subject, ascii_=console.options.ascii_only)
        name = Text(_fitted(words.plain(subject), width))
        shown.add_row(cells["mark"], name, *(cells[column.name] for column in columns))
    hidden = len(subjects) - room
    more = [Text(f"and {hidden} more", style="dim")] if hidden > 0 else []
    return Group(shown, *more, _time(loop, console.width))


def _cells(loop: Loop, subject: str, *, ascii_: bool) -> dict[str, Text]:
    """The cells of a row: of the question that has the most to say."""
    broken = any(found.subject == subject for found in loop.broken)
    verdict = _leading(loop, subject)
    outcome = "broken" if broken else verdict.outcome
    pairs = [pair for pair in loop.pairs if pair.subject == subject]
    running = ">" if ascii_ else "▶"
    return {
        "mark": Text(running if subject == loop.running else " "),
        "quantity": Text(verdict.question.quantity),
        "verdict": Text("broken" if broken else _verdict(verdict), style=STYLES[outcome]),
        "change": Text("" if verdict.ratio is None else words.change(verdict.ratio)),
        "evidence": Text() if broken else _bar(loop, verdict, ascii_=ascii_),
        "pairs": Text(str(len(pairs) or "")),
        "interval": Text(words.interval(verdict) if verdict.pairs else ""),
        "time": Text(clock(sum(pair.taken_s for pair in pairs)) if pairs else ""),
    }


def _leading(loop: Loop, subject: str) -> Verdict:
    """What is worse, else what holds up the decision, else the first."""
    own = words.by_weight(_of(loop, subject))
    if own[0].outcome != "cannot tell":
        return own[0]
    open_ = [v for v in own if v.outcome == "cannot tell"]
    return min(open_, key=lambda v: abs(evidence(v, _log_ratios(loop, v))))


def _log_ratios(loop: Loop, verdict: Verdict) -> list[float]:
    asked = verdict.question
    ratios = (p.log_ratio(asked.quantity) for p in loop.pairs if p.subject == asked.subject)
    return [ratio for ratio in ratios if ratio is not None]


def _verdict(verdict: Verdict) -> str:
    if verdict.outcome == "cannot tell":
        return "open" if verdict.pairs else "waiting"
    return words.short(verdict)


def _bar(loop: Loop, verdict: Verdict, *, ascii_: bool) -> Text:
    """How near a decision is, and which; nothing once it is there."""
    if verdict.outcome != "cannot tell" or not verdict.pairs:
        return Text()
    found = evidence(verdict, _log_ratios(loop, verdict))
    full, empty = ("#", ".") if ascii_ else ("█", "░")
    cells = min(CELLS - 1, int(abs(found) * CELLS))
    towards = "worse" if found > 0 else "fine" if found < 0 else ""
    style = STYLES["worse" if found > 0 else "not worse"]
    return Text(f"{full * cells}{empty * (CELLS - cells)} {towards}", style=style)


def _fitted(name: str, width: int) -> str:
    """A name that is too long loses its middle: networks differ in front, tests at the end."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def _time(loop: Loop, width: int) -> Text:
    decided = len(loop.subjects) - len(loop.doubtful)
    said = f"{clock(loop.budget_s - loop.left_s)} of {clock(loop.budget_s)}, "
    said += f"{decided} of {len(loop.subjects)} decided, {len(loop.pairs)} pairs"
    if loop.running:
        said += f"; now {words.plain(loop.running)}"
    line = Text(said, style="dim", no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line


class Screen(Console):
    """One that tells of a pipe which nobody reads, instead of leaving as if something was worse."""

    def on_broken_pipe(self) -> None:
        """Called where BrokenPipeError was caught."""
        raise BrokenPipeError


def show(result: GateResult, console: Console) -> None:
    """Prints all that a run has found, the line of verdict last, where the eye is."""
    width = console.width if console.is_terminal else None
    console.print(Text(f"{final(result, width)}\n"), soft_wrap=True)
    console.print(
        Text(_filled(str(words.headline(result)), width), style=MOODS[words.mood(result)]),
        soft_wrap=True,
    )


def final(result: GateResult, width: int | None = None) -> str:
    """All that a run has found, but for the line of verdict, in lines of at most `width`."""
    broken = [words.broken(b) for b in result.broken]
    differences = [words.difference(d) for d in result.differences]
    unlike = [f"{name}: base {base}, head {head}" for name, base, head in words.unlike(result)]
    spent = f"{clock(result.spent_s)} of {clock(result.budget_s)} were spent."
    parts = [
        "\n".join(_filled(side, width) for side in words.sides(result)),
        _questions(result, width),
        _section("Not compared", broken, width),
        _section("Exact differences", differences, width),
        _section("Environments differ", [words.plain(text) for text in unlike], width),
        _section("Note", [words.plain(note) for note in words.notes(result)], width),
        _filled(f"{words.promise(result)} {spent}", width),
        f"Repeat it with\n  {words.command(result)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _questions(result: GateResult, width: int | None) -> str:
    """A table, or where that is too wide a few lines for each question."""
    rows = words.rows(result)
    if not rows:
        return ""
    shown = table(rows, "table")
    if width is None or max(map(len, shown.splitlines())) <= width:
        return shown
    lines = []
    for row in rows:
        figures = f"{row['change']} ({row['interval']}), {row['pairs']} pairs"
        lines.append(_filled(f"{row['subject']}, {row['quantity']}", width))
        lines.append(_filled(f"  {figures}: {row['verdict']}", width, "  "))
    return "\n".join(lines)


def _section(title: str, sentences: Sequence[str], width: int | None) -> str:
    lines = [_filled(f"- {sentence}", width, "  ") for sentence in sentences]
    return "\n".join((f"{title}:", *lines)) if lines else ""


def _filled(sentence: str, width: int | None, indent: str = "") -> str:
    """A sentence in lines that fit; a name in it stays whole, so that it can be copied."""
    if width is None:
        return sentence
    return fill(
        sentence,
        max(20, width),
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
