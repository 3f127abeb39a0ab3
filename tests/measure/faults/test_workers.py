"""Whatever happens to a worker, at whatever stage: one task fails, and nothing else is lost."""

from __future__ import annotations

import pytest

from tests.measure.faults.plans import Plan, plans

pytestmark = pytest.mark.processes


def case(plan: Plan) -> object:
    """A plan as a test; two of three are left to who has the time."""
    return pytest.param(plan, id=plan.name, marks=[] if plan.often else [pytest.mark.slow])


@pytest.mark.parametrize("plan", [case(plan) for plan in plans()])
def test_one_task_is_lost_at_most(harness, plan):
    struck = harness(plan)
    struck.run()
    assert struck.audit() == []


def test_there_is_a_fault_for_every_stage_and_more_than_two_hundred():
    assert len(plans()) > 200
    assert len({plan.name for plan in plans()}) == len(plans())
    often = [plan for plan in plans() if plan.often]
    assert {plan.stage for plan in often} == {plan.stage for plan in plans()}
