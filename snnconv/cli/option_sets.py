"""Options that belong together: a dataclass of them is one parameter of a command, and one head of its help."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, get_type_hints


def takes(**sets: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command: its parameters called as in ``sets`` are filled from the options of these dataclasses.

    The help lists the options of each under its ``head``.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            made = {
                name: kind(**{field.name: given.pop(field.name) for field in fields(kind)})
                for name, kind in sets.items()
            }
            command(**given, **made)

        parameters = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name not in sets:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            kind = sets[parameter.name]
            hints = get_type_hints(kind, include_extras=True)
            parameters += [
                inspect.Parameter(
                    each.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=each.default,
                    annotation=_under(kind.head, hints[each.name]),
                )
                for each in fields(kind)
            ]
        setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010 - functions declare no such attribute
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _under(head: str, annotation: Any) -> Any:
    """The ``annotation`` of an option, which the help lists under ``head``."""
    option = copy.copy(annotation.__metadata__[0])
    option.rich_help_panel = head
    return Annotated[annotation.__origin__, option]
