import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from .environment import Environment
from .errors import Mistake
from .limits import Limits
from .network import NetworkShim

__all__ = [
    "REFUSALS",
    "UI_LIMITS",
    "Places",
    "Policy",
    "Protect",
    "disjoint_roots",
    "is_at_or_below",
    "is_below",
    "normal",
    "root_mistakes",
]

REFUSALS: Final[Mapping[str, tuple[str, str]]]
UI_LIMITS: Final[tuple[str, ...]]

class Protect:
    DEFAULT: ClassVar[tuple[str, ...]]
    GIT_HOOKS: ClassVar[tuple[str, ...]]
    NONE: ClassVar[tuple[str, ...]]

@dataclass(frozen=True, slots=True)
class Places:
    windows: str
    program_files: tuple[str, ...]
    program_data: str
    profiles_directory: str
    profile: str
    app_data: tuple[str, ...]
    startup: tuple[str, ...]
    DEFAULT: ClassVar[Places]

def normal(path: str | os.PathLike[str]) -> str: ...
def is_at_or_below(path: str, ancestor: str) -> bool: ...
def is_below(path: str, ancestor: str) -> bool: ...
def root_mistakes(path: str, places: Places = ...) -> list[Mistake]: ...
def disjoint_roots(roots: Sequence[str], protected: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]: ...

@dataclass(frozen=True, slots=True)
class Policy:
    cwd: str = ""
    writable_roots: tuple[str, ...] = ()
    protected_subpaths: tuple[str, ...] = ...
    integrity: Literal["medium", "low"] = "medium"
    guards: bool = True
    restricting: tuple[str, ...] = ...
    ui_limits: tuple[str, ...] = ()
    console: Literal["private", "shared"] = "private"
    desktop: Literal["private", "shared"] = "private"
    python_shim: bool = False
    elevated: Literal["refuse", "lower"] = "refuse"
    environment: Environment = ...
    limits: Limits = ...
    network: NetworkShim = ...
    def __post_init__(self) -> None: ...
    @classmethod
    def workspace(
        cls,
        cwd: str | os.PathLike[str],
        *,
        writable_roots: Iterable[str | os.PathLike[str]] = (),
        protected_subpaths: Iterable[str | os.PathLike[str]] = ...,
        integrity: Literal["medium", "low"] = "medium",
        guards: bool = True,
        restricting: Iterable[str] = ...,
        ui_limits: Iterable[str] = (),
        console: Literal["private", "shared"] = "private",
        desktop: Literal["private", "shared"] = "private",
        python_shim: bool = False,
        elevated: Literal["refuse", "lower"] = "refuse",
        environment: Environment | None = None,
        limits: Limits | None = None,
        network: NetworkShim | None = None,
        deny_read: None = None,
    ) -> Policy: ...
    @classmethod
    def read_only(
        cls,
        cwd: str | os.PathLike[str] | None = None,
        *,
        integrity: Literal["medium", "low"] = "medium",
        restricting: Iterable[str] = ...,
        ui_limits: Iterable[str] = (),
        console: Literal["private", "shared"] = "private",
        desktop: Literal["private", "shared"] = "private",
        python_shim: bool = False,
        elevated: Literal["refuse", "lower"] = "refuse",
        environment: Environment | None = None,
        limits: Limits | None = None,
        network: NetworkShim | None = None,
        deny_read: None = None,
    ) -> Policy: ...
    def replace(self, **changes: object) -> Policy: ...
    @property
    def id(self) -> str: ...
    def to_dict(self) -> dict[str, object]: ...
    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> Policy: ...
    def to_json(self) -> str: ...
    @classmethod
    def from_json(cls, text: str) -> Policy: ...
    def to_toml(self) -> str: ...
    @classmethod
    def from_toml(cls, text: str) -> Policy: ...
