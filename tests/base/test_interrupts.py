"""The first signal ends a run, the next are of no account, and all is put back in the end."""

from __future__ import annotations

import signal
import threading

import pytest

from convbench.base.processes.interrupts import ENDING, Interrupts, deferred


@pytest.fixture
def interrupts():
    made = Interrupts()
    made.catch()
    yield made
    made.release()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_run_and_the_next_does_nothing(interrupts, number):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(again)
    assert interrupts.terminated is (number == signal.SIGTERM)


def test_what_is_being_written_is_not_interrupted(interrupts):
    interrupts.ignore()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(number)
    assert not interrupts.terminated


def test_a_handler_of_somebody_elses_is_left_alone():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        others = Interrupts()
        others.catch()
        signal.raise_signal(signal.SIGTERM)
        others.release()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize(
    "numbers", [[], [signal.SIGINT], [signal.SIGTERM, signal.SIGINT], [signal.SIGHUP] * 3]
)
def test_what_is_deferred_takes_effect_afterwards_and_once(numbers):
    before = {number: signal.getsignal(number) for number in ENDING}
    came, within = [], []
    for number in ENDING:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        with deferred():
            for number in numbers:
                signal.raise_signal(number)
            within += came
        assert within == [], "nothing is interrupted within"
        assert came == numbers[:1]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_is_ignored_is_left_to_be_ignored_by_programs_that_are_started_within():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_deferred():
    done = []

    def work():
        with deferred():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGINT)]
