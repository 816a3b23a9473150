from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["ALL", "MARKER", "NetworkShim", "ToolNote", "shim_active"]

ALL: Final[tuple[str, ...]]
MARKER: Final = "WINSANDBOX_NETWORK_SHIM_V1"

def shim_active(environ: Mapping[str, str] | None = None) -> bool: ...

@dataclass(frozen=True, slots=True)
class ToolNote:
    tool: str
    covered: bool
    means: str
    variables: tuple[tuple[str, str], ...]
    stubs: tuple[str, ...]
    bypass: str
    tested: str
    source: str
    note: str

@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShim:
    proxy: str = "http://127.0.0.1:9"
    allow_loopback: bool = True
    stubs: tuple[str, ...] = ...
    tools: tuple[str, ...] = ...
    keep: tuple[str, ...] = ()
    extra: Mapping[str, str] = ...
    enabled: bool = True
    def __post_init__(self) -> None: ...
    @classmethod
    def off(cls) -> NetworkShim: ...
    @property
    def guarantee(self) -> Literal["advisory"]: ...
    def environment(self, base: Mapping[str, str], *, denybin: str | None = None) -> dict[str, str]: ...
    def explain(self) -> tuple[ToolNote, ...]: ...
    def stub_files(self) -> Mapping[str, bytes]: ...
    def to_dict(self) -> dict[str, object]: ...
    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> NetworkShim: ...
