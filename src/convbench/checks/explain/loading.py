"""Finds the model that a user names, and the framework that it is of."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from convbench.base.errors import Unsupported, nearest, said
from convbench.frameworks.tracers import named, tracer_of, tracers


@contextlib.contextmanager
def contained(text: str) -> Iterator[None]:
    """Whatever a user's code does inside, it cannot end the command or write into its answer.

    What it prints goes to the standard error.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr), _here():
            yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        why = f"it ends the program with {said(error)}"
        remedy = "name what only returns the model, not a script that runs with it"
        raise Unsupported(text, why, remedy) from error


@contextlib.contextmanager
def _here() -> Iterator[None]:
    """Modules of the current folder can be imported, as `python -m` has it."""
    sys.path.insert(0, "")
    try:
        yield
    finally:
        if "" in sys.path:
            sys.path.remove("")


def load_model(text: str) -> Any:
    """The model that `MODULE:CALLABLE` makes, without weights; or the model of that name itself.

    A `weights` or `pretrained` that it would otherwise download is switched off. Raises
    Unsupported in one sentence for whatever keeps it from being made.
    """
    module_name, _, path = text.partition(":")
    if not module_name or not path:
        raise Unsupported(text, "it is not of the form MODULE:CALLABLE", "as in my_models:resnet50")
    with _here():
        found = _attribute(text, _module(text, module_name), path)
        if any(tracer.is_model(found) for tracer in tracers().values()):
            return found
        if not callable(found):
            raise Unsupported(text, f"{named(found)} is no model", "name what returns one")
        model = _made(text, found)
    tracer_of(model)
    return model


def _made(text: str, call: Any) -> Any:
    """What the callable returns, without memory for weights unless it asks for their values."""
    arguments = _offline(call)
    with contextlib.suppress(Exception), _without_weights():
        return call(**arguments)
    try:
        return call(**arguments)
    except Exception as error:  # what other people's code raises may be anything at all
        why = f"calling it fails with {said(error)}"
        remedy = f"see what python -c 'import {text.partition(':')[0]}' and a call of it say"
        if isinstance(error, TypeError):
            remedy = "name a callable that needs no arguments; functools.partial makes one"
        raise Unsupported(text, why, remedy) from error


def _module(text: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        why = f"importing {name} fails with {said(error)}"
        remedy = "name a module of the current folder or of the Python path"
        raise Unsupported(text, why, remedy) from error


def _attribute(text: str, module: Any, path: str) -> Any:
    found, where = module, module.__name__
    for name in path.split("."):
        try:
            found, where = getattr(found, name), f"{where}.{name}"
        except Exception as error:  # an attribute may be computed, by code that fails
            near = nearest(name, dir(found))
            remedy = f"did you mean {' or '.join(near)}?" if near else f"see what {where} has"
            raise Unsupported(text, f"{where} has no {name}", remedy) from error
    return found


def _offline(call: Any) -> dict[str, Any]:
    """Arguments that keep a model from downloading weights, where it would by default."""
    try:
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return {}
    off = {"weights": None, "pretrained": False}
    return {
        name: value
        for name, value in off.items()
        if name in parameters and parameters[name].default not in (value, inspect.Parameter.empty)
    }


@contextlib.contextmanager
def _without_weights() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for tracer in tracers().values():
            stack.enter_context(tracer.without_weights())
        yield
