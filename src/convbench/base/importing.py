"""A model of somebody's own: what makes it, in a form that another process understands."""

from __future__ import annotations

import base64
import functools
import importlib
import inspect
import pickle
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import frozen

from convbench.base.errors import Unsupported, hint, one_line, said

Maker: TypeAlias = Callable[..., Any] | str
"""A function, a class, a functools.partial of one, or `module:name` as text."""

TOP_LEVEL = "define it at the top level of a module"


@frozen
class Reference:
    """A function or class by the place from which any process can import it."""

    module: str
    name: str
    """Its qualified name in the module."""
    bound: str = ""
    """What functools.partial binds: positional and keyword arguments, pickled, in base64."""
    label: str = ""
    """The name with what is bound, for people."""

    def load(self) -> Callable[..., Any]:
        """Imports it here; raises Unsupported where it cannot be had."""
        try:
            found = importlib.import_module(self.module)
        except Exception as error:  # a module of the user's own may raise anything
            why = f"it fails with {said(error)}"
            remedy = "its folder must be on sys.path, and importing it must need no running test"
            raise Unsupported(f"import of {self.module}", why, remedy) from None
        for part in self.name.split("."):
            if not hasattr(found, part):
                remedy = hint(part, dir(found)) or "give the name of a function or class in it"
                raise Unsupported(f"{self.module}:{self.name}", f"there is no {part}", remedy)
            found = getattr(found, part)
        if not callable(found):
            what = f"it is of type {type(found).__name__}"
            raise Unsupported(f"{self.module}:{self.name}", what, "give a function or class")
        if not self.bound:
            return found
        try:
            arguments, keywords = pickle.loads(base64.b64decode(self.bound))
        except Exception as error:  # an argument may be of any class
            why = f"they cannot be read in the worker: {said(error)}"
            raise Unsupported("its bound arguments", why, "bind plain values") from None
        return functools.partial(found, *arguments, **keywords)


def refer(given: object) -> Reference:
    """Where another process finds `given`; raises Unsupported for what it cannot find."""
    if isinstance(given, str):
        return _named(given)
    bound = given if isinstance(given, functools.partial) else None
    given = bound.func if bound else given
    module, name = (getattr(given, key, None) for key in ("__module__", "__qualname__"))
    if not (callable(given) and isinstance(module, str) and isinstance(name, str)):
        what, why = f"an object of type {type(given).__name__}", "a worker cannot make it anew"
        raise Unsupported(what, why, "give the function or class that makes it, without calling it")
    _refuse_unreachable(given, module, name)
    if bound is None:
        return Reference(module, name, label=name)
    shown = [*map(repr, bound.args), *(f"{key}={v!r}" for key, v in bound.keywords.items())]
    label = f"{name}({one_line(', '.join(shown), most=60)})"
    return Reference(module, name, _pickled(label, bound.args, bound.keywords), label)


def used_by(module: str) -> set[str]:
    """The packages of which a module uses anything, as far as it is imported in this process."""
    found = vars(sys.modules[module]).values() if module in sys.modules else ()
    names = [value.__name__ for value in found if inspect.ismodule(value)]
    names += [v.__module__ or "" for v in found if inspect.isclass(v) or inspect.isfunction(v)]
    return {name.partition(".")[0] for name in names}


def _named(text: str) -> Reference:
    module, colon, name = text.partition(":")
    if not (colon and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))):
        raise Unsupported(repr(text), "it is not of the form module:name", "as in my_models:small")
    return Reference(module, name, label=name)


def _refuse_unreachable(given: object, module: str, name: str) -> None:
    """Refuses what stands at no place from which it could be imported."""
    outer, inside, own = name.rpartition(".<locals>.")
    if own == "<lambda>":
        why = "it is a lambda"
    elif inside:
        why = f"it is defined inside {outer}"
    elif module == "__main__":
        why = "it belongs to the program that was started"
    else:
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found == given:
            return
        why = f"{module}.{name} is something else"
    raise Unsupported(own, f"no other process can import it, because {why}", TOP_LEVEL)


def _pickled(label: str, *values: object) -> str:
    try:
        return base64.b64encode(pickle.dumps(values)).decode()
    except Exception as error:  # whatever the classes of its arguments raise
        why = f"its arguments cannot be sent to another process: {said(error)}"
        raise Unsupported(label, why, "bind plain values") from None
