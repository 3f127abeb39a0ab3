"""`python -m convbench.measure.worker FRAMEWORK`: a guard, and the template that it watches."""

from convbench.base.processes import guard


def serve() -> None:
    """Becomes the template, in the process that the guard watches."""
    from convbench.measure.worker import template  # noqa: PLC0415  (memory the guard does without)

    template.main()


if __name__ == "__main__":
    guard.watch(serve)
