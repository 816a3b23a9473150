"""One declaration a foreign function: a decorated signature, checked by mypy and read at run time.

    advapi32 = Library("advapi32")

    @advapi32.function
    def OpenProcessToken(process: PROCESS, access: DWORD, token: OUT_HANDLE, /) -> SUCCEEDS: ...

* Every annotation is an ``Annotated[Python type, C type]`` of :mod:`types <._win32.types>`: mypy reads the first part,
  :attr:`Function.prototype` the second. A prototype resolves on every OS, without the DLL.
* The return type is the error convention (:class:`Returns`), so that no declaration can forget one. A failure raises
  :class:`~winsandbox.errors.WinError` with the function, the code, and the path if a parameter is a path.
* A library is a ``WinDLL`` of its own, opened at the first call, only from System32: prototypes on the shared
  ``ctypes.windll`` would change those of every other user in the process, and a DLL planted beside the program
  or in the working directory must not be found.
* :class:`Struct` with :func:`struct` does the same for structures. C types have a fixed width, because ctypes' own
  ``wintypes.DWORD`` is 8 bytes on Linux; so layouts are tested everywhere, by :func:`layout` also for 32-bit Windows.
"""

from __future__ import annotations

import ctypes
import enum
import sys
import threading
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, ParamSpec, TypeAlias, TypeVar

from ..errors import UnsupportedHost, WinError

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Struct")

# typeshed has a public name for the class of ctypes types on no version that is supported here
CType: TypeAlias = Any

ERROR_PROC_NOT_FOUND: Final = 127
ERROR_MR_MID_NOT_FOUND: Final = 317  # what RtlNtStatusToDosError gives for a status that it does not know
LOAD_LIBRARY_SEARCH_SYSTEM32: Final = 0x800


class Code(enum.Enum):
    """Where a failed call says why it failed."""

    LAST_ERROR = "GetLastError()"
    RESULT = "the result is a system error code"
    STATUS = "the result is an NTSTATUS"
    HRESULT = "the result is an HRESULT"
    NONE = "the call cannot fail, or its result needs judgement"


@dataclass(frozen=True, slots=True)
class Returns:
    """The error convention of a function: the C type of its result, what means failure, and where the code is.

    ``reason`` says why the result is handed out as it is; only a convention without a check has one, and must.
    """

    ctype: CType
    failed: Callable[[Any], bool] | None
    code: Code
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.failed is None) != (self.code is Code.NONE) or (self.failed is None) != bool(self.reason):
            raise TypeError("a convention has either a check and a code, or neither of them and a reason")


def plain(ctype: CType, reason: str) -> Returns:
    """The convention of a function whose result cannot be checked by a rule; says why."""
    return Returns(ctype, None, Code.NONE, reason)


class Mark(enum.Enum):
    """What an annotation says beside the C type."""

    PATH = "names the object concerned, for the error"
    POINTER_SIZED = "an integer as wide as a pointer (ctypes has no type of its own for it)"


class AnyPointer(ctypes.c_void_p):
    """``void *``: takes a structure, an array, a pointer, bytes, an address or None, and no text.

    ``c_void_p`` itself refuses structures, so that callers would need byref(), of which a type checker knows nothing;
    and it takes ``str`` for a pointer to its characters, which is never meant.
    """

    @classmethod
    def from_param(cls, value: Any, /) -> Any:
        if isinstance(value, (str, bool, ctypes.c_char_p, ctypes.c_wchar_p)):
            raise TypeError(f"a pointer is wanted, not {type(value).__name__}")
        if isinstance(value, (ctypes.Structure, ctypes._SimpleCData)) and not isinstance(value, ctypes.c_void_p):
            return ctypes.byref(value)
        return ctypes.c_void_p.from_param(value)


class HandleValue(ctypes.c_void_p):
    """A handle as an argument: a number, never text, a buffer or NULL, all of which ``c_void_p`` would take."""

    @classmethod
    def from_param(cls, value: Any, /) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"a handle is wanted, not {type(value).__name__}")
        return ctypes.c_void_p.from_param(value)


class OptionalHandleValue(HandleValue):
    """The same where NULL has a meaning."""

    @classmethod
    def from_param(cls, value: Any, /) -> Any:
        return None if value is None else super().from_param(value)


class WideText(ctypes.c_wchar_p):
    """Text as an argument; a NUL inside is refused.

    ctypes passes the characters up to the NUL, so a path with one would name another file to Windows than to the check
    that came before.
    """

    @classmethod
    def from_param(cls, value: Any, /) -> Any:
        if isinstance(value, str) and "\0" in value:
            raise ValueError("embedded null character")
        return ctypes.c_wchar_p.from_param(value)


def last_error() -> int:
    """The code that the last call of this thread through a :class:`Library` left (GetLastError)."""
    if sys.platform == "win32":
        code = ctypes.get_last_error()
    else:
        code = ctypes.get_errno()  # only a test, with a library of its own, comes here
    return code


def clear_last_error() -> None:
    """Before a call whose result alone does not tell failure from success."""
    if sys.platform == "win32":
        ctypes.set_last_error(0)
    else:
        ctypes.set_errno(0)


def _open_system_library(name: str) -> ctypes.CDLL:
    if sys.platform == "win32":
        return ctypes.WinDLL(f"{name}.dll", use_last_error=True, winmode=LOAD_LIBRARY_SEARCH_SYSTEM32)
    else:  # noqa: RET505 - mypy calls what follows an if for a platform unreachable
        raise UnsupportedHost(
            f"{name}.dll exists on Windows only.", remedy="Elsewhere use testing.SimulatedHost.", code="host.os"
        )


def _message(code: int) -> str:
    if sys.platform == "win32":
        text = ctypes.FormatError(ctypes.c_int32(code).value)  # an HRESULT is no positive number there
    else:
        text = ""
    return text


def status_to_winerror(status: int) -> int:
    """The Win32 code for an NTSTATUS (RtlNtStatusToDosError); several statuses fold into one code."""
    if sys.platform == "win32":
        from .ntdll import RtlNtStatusToDosError

        code = RtlNtStatusToDosError(status)
    else:
        code = ERROR_MR_MID_NOT_FOUND
    return code


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as declared: its name, its C type, and what its annotation says besides."""

    name: str
    ctype: CType
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Prototype:
    """What a declaration says of the C function."""

    library: str
    name: str
    parameters: tuple[Parameter, ...]
    returns: Returns


class Library:
    """A system DLL by its name without ``.dll``; ``loader`` is for tests."""

    def __init__(self, name: str, *, loader: Callable[[str], ctypes.CDLL] = _open_system_library) -> None:
        self.name: Final = name
        self.functions: Final[dict[str, Function[..., Any]]] = {}
        self._loader = loader
        self._lock = threading.Lock()
        self._dll: ctypes.CDLL | None = None

    def function(self, declaration: Callable[P, R]) -> Function[P, R]:
        """Declare an export; its name is the function's name."""
        name = declaration.__name__
        if name in self.functions:
            raise TypeError(f"{self.name}.{name} is declared twice")
        made: Function[P, R] = Function(self, declaration)
        self.functions[name] = made
        return made

    def export(self, name: str) -> Any:
        """The foreign function object; raises WinError 127 if this Windows does not have it."""
        with self._lock:
            if self._dll is None:
                self._dll = self._loader(self.name)
        try:
            # by index and not by attribute: a new object each time, never one on which others set a prototype
            return self._dll[name]
        except AttributeError:
            raise WinError(
                ERROR_PROC_NOT_FOUND, name, message=f"this Windows has no such function in {self.name}.dll"
            ) from None


class Function(Generic[P, R]):
    """A declared export; calling it calls Windows and raises on failure."""

    def __init__(self, library: Library, declaration: Callable[P, R]) -> None:
        self.library: Final = library
        self.__name__: Final = declaration.__name__
        self.__module__ = declaration.__module__
        self._declaration = declaration
        self._prototype: Prototype | None = None
        self._foreign: Any = None
        self._failed: Callable[[Any], bool] | None = None

    def __repr__(self) -> str:
        return f"<{self.library.name}.{self.__name__}>"

    @property
    def prototype(self) -> Prototype:
        """The prototype, read from the annotations; needs no DLL."""
        if self._prototype is None:
            hints = typing.get_type_hints(self._declaration, include_extras=True)
            returned = hints.pop("return", None)
            parameters = tuple(
                Parameter(
                    name,
                    _argument_ctype(hint, f"{self!r}, {name}"),
                    tuple(entry for entry in _metadata(hint) if isinstance(entry, Mark)),
                )
                for name, hint in hints.items()
            )
            returns = next((entry for entry in _metadata(returned) if isinstance(entry, Returns)), None)
            if returns is None:
                raise TypeError(f"{self!r}: the return type names no error convention")
            self._prototype = Prototype(self.library.name, self.__name__, parameters, returns)
        return self._prototype

    def exists(self) -> bool:
        """Whether this Windows has the export (and, off Windows, False)."""
        try:
            self._bind()
        except (WinError, UnsupportedHost):
            return False
        return True

    def _bind(self) -> Any:
        if self._foreign is None:
            prototype = self.prototype
            foreign = self.library.export(self.__name__)
            foreign.argtypes = [parameter.ctype for parameter in prototype.parameters]
            foreign.restype = prototype.returns.ctype
            self._failed = prototype.returns.failed
            self._foreign = foreign  # last: another thread that sees it finds all the rest in place
        return self._foreign

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            raise TypeError(f"{self.__name__} takes positional arguments only")
        foreign = self._foreign or self._bind()
        result = foreign(*args)
        if self._failed is not None and self._failed(result):
            raise self._error(result, args)
        return typing.cast("R", result)

    def _error(self, result: Any, args: tuple[Any, ...]) -> WinError:
        # First of all, before anything of ours can call Windows: ctypes keeps the code of the last *ctypes* call.
        code = last_error()
        status: int | None = None
        match self.prototype.returns.code:
            case Code.RESULT:
                code = result
            case Code.STATUS:
                status = result & 0xFFFFFFFF
                code = status_to_winerror(result)
            case Code.HRESULT:
                value = result & 0xFFFFFFFF
                # FACILITY_WIN32: the low word is a system error code; others stay as they are
                code = value & 0xFFFF if value & 0x1FFF0000 == 0x00070000 else value
            case _:
                pass
        path = next(
            (
                value
                for parameter, value in zip(self.prototype.parameters, args, strict=False)
                if Mark.PATH in parameter.marks and isinstance(value, str)
            ),
            None,
        )
        return WinError(code, self.__name__, path, message=_message(code), status=status)


def _metadata(hint: Any) -> tuple[Any, ...]:
    return hint.__metadata__ if typing.get_origin(hint) is Annotated else ()


def _ctype(hint: Any, where: str) -> CType:
    if isinstance(hint, type) and issubclass(hint, ctypes.Structure):
        return hint
    for entry in _metadata(hint):
        if hasattr(entry, "from_param"):
            return entry
    raise TypeError(f"{where}: the annotation names no C type")


def _argument_ctype(hint: Any, where: str) -> CType:
    # Windows takes structures by address; ``STRUCT | None`` is a pointer that may be NULL
    kinds = (
        [kind for kind in typing.get_args(hint) if kind is not type(None)] if isinstance(hint, UnionType) else [hint]
    )
    if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], Struct):
        return ctypes.POINTER(kinds[0])
    return _ctype(hint, where)


class Struct(ctypes.Structure):
    """Base of all structures; subclasses are decorated with :func:`struct` and annotate their fields.

    A new one is all zeros. mypy knows the fields and their types, and refuses unknown ones.
    """

    if TYPE_CHECKING:
        # typeshed lets every attribute of a Structure be read and written; None takes that back
        __getattr__ = None  # type: ignore[assignment, misc]
        __setattr__ = None  # type: ignore[assignment, misc]

        def __init__(self) -> None: ...


def struct(cls: type[S]) -> type[S]:
    """Fill ``_fields_`` from the annotations, in their order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [(name, _ctype(hints[name], f"{cls.__name__}.{name}")) for name in cls.__annotations__]
    if not fields:
        raise TypeError(f"{cls.__name__} has no fields")
    cls._fields_ = fields
    return cls


def size_of(kind: type[Struct] | Struct) -> int:
    """``sizeof``, for structures."""
    return ctypes.sizeof(kind)


def offset_of(kind: type[Struct], field: str) -> int:
    """``offsetof``, for the running interpreter."""
    return int(getattr(kind, field).offset)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of a structure lie, in bytes."""

    size: int
    alignment: int
    offsets: dict[str, int]
    sizes: dict[str, int]


def layout(kind: type[Struct], pointer_size: int) -> Layout:
    """The layout on a Windows with pointers of 4 or 8 bytes, by the rules of its C compilers (natural alignment).

    ctypes knows only the layout of the running interpreter; this one is held against both compilers in the tests.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    end, widest = 0, 1
    offsets: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for name in kind.__annotations__:
        hint = hints[name]
        if Mark.POINTER_SIZED in _metadata(hint):
            size = alignment = pointer_size
        else:
            size, alignment = _extent(_ctype(hint, name), pointer_size)
        end = -(-end // alignment) * alignment
        offsets[name], sizes[name] = end, size
        end, widest = end + size, max(widest, alignment)
    return Layout(-(-end // widest) * widest, widest, offsets, sizes)


def _extent(ctype: CType, pointer_size: int) -> tuple[int, int]:
    if issubclass(ctype, Struct):
        inner = layout(ctype, pointer_size)
        return inner.size, inner.alignment
    if issubclass(ctype, ctypes.Array):
        size, alignment = _extent(ctype._type_, pointer_size)
        return size * ctype._length_, alignment
    if issubclass(ctype, (ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_char_p, ctypes._Pointer)):
        return pointer_size, pointer_size
    return ctypes.sizeof(ctype), ctypes.alignment(ctype)
