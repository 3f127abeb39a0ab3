"""How a command leaves when signals end it."""

from __future__ import annotations

import signal

import pytest

from convbench.base.processes.interrupts import ENDING
from convbench.front.cli.workers import cleaning_up

ENDED = [number for number in ENDING if number != signal.SIGINT]


@pytest.fixture(autouse=True)
def same_before_and_after():
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    after = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


@pytest.mark.parametrize("number", ENDED)
def test_the_first_signal_ends_it_and_the_next_disturb_nothing(number):
    cleaned = []

    def work():
        try:
            signal.raise_signal(number)
        finally:
            for again in ENDING:
                signal.raise_signal(again)
            cleaned.append("everything")

    with pytest.raises(SystemExit) as left, cleaning_up():
        work()
    assert left.value.code == 128 + number
    assert cleaned


@pytest.mark.parametrize("number", ENDED)
def test_what_was_ignored_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with cleaning_up():
            signal.raise_signal(number)
            assert signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
