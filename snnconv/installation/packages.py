"""The packages that an installed distribution asks for, by extra, and whether they can be imported."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from snnconv.errors import ConfigurationError

#: A requirement as metadata writes it: its name, what follows it, and the extra that it belongs to.
_REQUIREMENT = re.compile(r"""^([A-Za-z0-9._-]+)([^;]*)(?:;.*extra\s*==\s*['"]([^'"]+)['"])?""")
#: Of the extras, that of developers, which repeats all others.
_OF_DEVELOPERS = "dev"


@dataclass(frozen=True)
class PackageState:
    """One package that is asked for.

    Attributes:
        name: Its name on a package index.
        version: The installed version; ``None`` where it is missing.
        problem: Why it cannot be imported; ``None`` where it can, or is missing.
    """

    name: str
    version: str | None
    problem: str | None = None

    @property
    def works(self) -> bool:
        """Whether it can be used."""
        return self.version is not None and self.problem is None

    def __str__(self) -> str:
        if self.version is None:
            return f"{self.name} missing"
        return f"{self.name} {self.version}" + (f" broken: {self.problem}" if self.problem else "")


def required_packages(distribution: str) -> Mapping[str | None, tuple[PackageState, ...]]:
    """The packages that ``distribution`` asks for, by extra; ``None`` for those that it always needs.

    Each is imported, since a package that is installed may be broken. Requirements of developers are left out.

    Raises:
        ConfigurationError: The distribution itself has no metadata, as code that runs from a bare folder.
    """
    names: dict[str | None, list[str]] = {None: []}
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        raise ConfigurationError(
            f"{distribution} is not installed, so what it needs is not known: pip install . in its folder"
        ) from None
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        assert match is not None, requirement
        name, _, extra = match.groups()
        if extra != _OF_DEVELOPERS:
            names.setdefault(extra, []).append(name)
    modules = _modules()
    return {extra: tuple(package_state(name, modules) for name in each) for extra, each in names.items()}


def package_state(name: str, modules: Mapping[str, str] | None = None) -> PackageState:
    """The state of the package ``name``, whose module is looked up in ``modules``."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return PackageState(name, None)
    module = (_modules() if modules is None else modules).get(_canonical(name), name.replace("-", "_"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a package says of its own code is no matter here
            importlib.import_module(module)
    except Exception as error:  # whatever a package raises as it is imported
        return PackageState(name, version, f"{type(error).__name__}: {error}")
    return PackageState(name, version)


def _modules() -> Mapping[str, str]:
    """The first module of every installed package, by the package's name."""
    found: dict[str, str] = {}
    for module, packages in sorted(metadata.packages_distributions().items()):
        for package in packages:
            if not module.startswith("_") and module != "tests":
                found.setdefault(_canonical(package), module)
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
