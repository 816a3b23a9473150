# The public surface of winsandbox as it was reviewed, module by module. mypy's stubtest proves in the test suite that
# it says what the code says. It is not shipped, and not on mypy_path in the ordinary run: the code has its own types.
from . import audit as audit
from . import grants as grants
from . import testing as testing
from .doctor import doctor as doctor
from .enforcement import Aspect as Aspect
from .enforcement import Basis as Basis
from .enforcement import Enforcement as Enforcement
from .enforcement import Level as Level
from .enforcement import Verdict as Verdict
from .environment import Environment as Environment
from .errors import AclError as AclError
from .errors import CommandNotFound as CommandNotFound
from .errors import CommandRefused as CommandRefused
from .errors import EnforcementError as EnforcementError
from .errors import GrantInUse as GrantInUse
from .errors import LedgerError as LedgerError
from .errors import Mistake as Mistake
from .errors import PolicyError as PolicyError
from .errors import RootRefused as RootRefused
from .errors import SandboxClosed as SandboxClosed
from .errors import SandboxError as SandboxError
from .errors import SpawnError as SpawnError
from .errors import TokenError as TokenError
from .errors import UnsupportedHost as UnsupportedHost
from .errors import WinError as WinError
from .errors import WorkingDirectoryError as WorkingDirectoryError
from .explain import Decision as Decision
from .explain import explain as explain
from .limits import Limits as Limits
from .network import NetworkShim as NetworkShim
from .policy import Policy as Policy
from .policy import Protect as Protect
from .process import Process as Process
from .prove import prove as prove
from .sandbox import Sandbox as Sandbox

__version__: str

__all__ = [
    "AclError",
    "Aspect",
    "Basis",
    "CommandNotFound",
    "CommandRefused",
    "Decision",
    "Enforcement",
    "EnforcementError",
    "Environment",
    "GrantInUse",
    "LedgerError",
    "Level",
    "Limits",
    "Mistake",
    "NetworkShim",
    "Policy",
    "PolicyError",
    "Process",
    "Protect",
    "RootRefused",
    "Sandbox",
    "SandboxClosed",
    "SandboxError",
    "SpawnError",
    "TokenError",
    "UnsupportedHost",
    "Verdict",
    "WinError",
    "WorkingDirectoryError",
    "__version__",
    "audit",
    "doctor",
    "explain",
    "grants",
    "prove",
    "testing",
]
