"""The clock of a round: the host's, or the device's own with the host's as a check."""

from __future__ import annotations

import pytest

from convbench.frameworks.protocol import HasDeviceClock
from convbench.measure.worker import clock as worker_clock
from convbench.measure.worker import messages
from convbench.measure.worker.clock import EVENT, MOST_OVER, Clock, ClocksDisagree
from tests.measure.worker.test_child import PREPARE, answers
from tests.support import fakes

HOST_S = 0.25


@pytest.fixture
def host(monkeypatch):
    """A host on whose clock a second look comes `HOST_S` after the first."""
    looks = iter(range(10_000))
    monkeypatch.setattr(worker_clock, "perf_counter", lambda: HOST_S * next(looks))


@pytest.fixture
def device(monkeypatch):
    """Gives the fake framework a device's clock, on which a round takes so long."""

    def install(round_s: float) -> list[int]:
        rounds = []

        def timed(step, iterations):
            rounds.append(iterations)
            for _ in range(iterations):
                step()
            return round_s

        monkeypatch.setattr(fakes.Fake, "device_clock", lambda _: timed, raising=False)
        return rounds

    return install


@pytest.mark.usefixtures("host")
def test_a_framework_without_a_clock_of_the_device_is_timed_by_the_hosts():
    assert not isinstance(fakes.framework(), HasDeviceClock)
    timed = answers(PREPARE, messages.Rounds(3, 2))[2]
    assert timed.rounds_s == (HOST_S / 2,) * 3
    assert timed.host_s == ()


@pytest.mark.usefixtures("host")
def test_a_device_that_is_the_host_has_no_clock_of_its_own(monkeypatch):
    monkeypatch.setattr(fakes.Fake, "device_clock", lambda _: None, raising=False)
    assert isinstance(fakes.framework(), HasDeviceClock)
    timed = answers(PREPARE, messages.Rounds(3, 2))[2]
    assert (timed.rounds_s, timed.host_s) == ((HOST_S / 2,) * 3, ())


@pytest.mark.usefixtures("host")
def test_rounds_are_by_the_devices_clock_and_the_hosts_stands_beside(device):
    rounds = device(0.2)
    _, prepared, timed = answers(PREPARE, messages.Rounds(3, 4))
    assert timed.rounds_s == pytest.approx((0.2 / 4,) * 3)
    assert timed.host_s == pytest.approx((HOST_S / 4,) * 3), "of these rounds, not of the warm-up"
    assert rounds[-3:] == [4, 4, 4]
    assert prepared.first_s == 0.2


@pytest.mark.parametrize(("over", "fails"), [(0.99, False), (1.01, True)])
@pytest.mark.usefixtures("host")
def test_a_device_that_took_longer_than_the_host_waited_is_a_failure(device, over, fails):
    device((HOST_S * (1 + MOST_OVER) + EVENT) * over)
    answer = answers(PREPARE)[1]
    assert isinstance(answer, messages.Refused) == fails
    if fails:
        assert answer.outcome == "failed"
        assert answer.why == (
            "the device's clock says 260 ms for a round that took 250 ms by the host's; "
            "one of them is wrong, so there is no figure"
        )


@pytest.mark.usefixtures("host")
def test_a_round_that_the_device_calls_no_time_is_its_resolution():
    clock = Clock(lambda _step, _iterations: 0.0)
    assert clock.round(lambda: None, 2) == EVENT / 2


def test_a_disagreement_says_both_times():
    assert "12.0 ms" in str(ClocksDisagree(0.012, 0.01))
    assert "10.0 ms" in str(ClocksDisagree(0.012, 0.01))
