"""Speed of the security model against independent implementations, as ratios of one run.

    python tests/bench/bench_security.py

* SDDL parse, binary decode and binary encode of a 20-entry descriptor against PyPI's ``winacl`` (extra ``oracles``);
  wanted: at least 5 times as fast. Parsed and decoded again and again, so that whole entries come from our caches:
  ordinary trees repeat the same few, which is what the caches are for. "Unseen" means that no SID and no entry was seen
  before, so that nothing does. Encoding has no cache.
* One access check on that DACL, reason not read, against Samba's C implementation called from its Python binding,
  descriptors and tokens prepared beforehand; wanted: within 5 times of Samba's.
* One access check on 20 and on 1200 entries: the cost has to be linear.

Times are processor time, which other programs on the machine disturb least. Prints one line a measurement and what was
skipped, and why. Measures, asserts nothing.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from winsandbox._security import access
from winsandbox._security.acl import Acl
from winsandbox._security.descriptor import SecurityDescriptor
from winsandbox._security.sid import Sid
from winsandbox._security.token import Group, Token

USER = "S-1-5-21-1-2-3-1001"
GROUPS = ("S-1-1-0", "S-1-5-32-545", "S-1-5-11", "S-1-5-4", "S-1-5-5-0-12345")
DESIRED = 0x120116


def text(seed: int, count: int = 20) -> str:
    """A descriptor of which only the last entry grants the user anything."""
    aces = [f"(A;OICI;{0x1200A9 | (index % 7) << 2:#x};;;S-1-5-21-{seed}-2-{index}-44)" for index in range(count - 1)]
    return f"O:S-1-5-21-{seed}-9-9-500G:BUD:AI{''.join(aces)}(A;OICIID;FA;;;{USER})"


def in_turns(*works: Callable[[], object], rounds: int = 9) -> list[float]:
    """Seconds for one call of each, the best of several rounds taken in turns, so that a slow moment slows all."""
    numbers = []
    for work in works:
        number = 1
        while _spent(work, number) < 0.01:
            number *= 4
        numbers.append(number)
    times = [
        [_spent(work, number) / number for work, number in zip(works, numbers, strict=True)] for _ in range(rounds)
    ]
    return [min(column) for column in zip(*times, strict=True)]


def _spent(work: Callable[[], object], number: int) -> float:
    start = time.process_time()
    for _ in range(number):
        work()
    return time.process_time() - start


def fresh(function: Callable[..., object], inputs: Sequence[object]) -> Callable[[], object]:
    """A work that calls the function with an input that it has not seen before, or not for a long while."""
    state = {"next": 0}

    def work() -> None:
        state["next"] = index = (state["next"] + 1) % len(inputs)
        function(inputs[index])

    return work


def line(what: str, times: Sequence[float], name: str, wanted: str) -> str:
    ours, theirs = times
    ratio = theirs / ours
    relation = f"{ratio:.1f} times as fast as" if ratio >= 1 else f"{1 / ratio:.1f} times the cost of"
    return f"{what}: {relation} {name} (wanted: {wanted}; {ours * 1e6:.1f} us and {theirs * 1e6:.1f} us)"


def conversions() -> Iterator[str]:
    try:
        theirs = importlib.import_module("winacl.dtyp.security_descriptor").SECURITY_DESCRIPTOR
    except ImportError as error:
        yield f"skipped: SDDL and binary conversion against winacl, which is not installed here ({error})"
        return
    sddl_text = text(1)
    ours = SecurityDescriptor.from_sddl(sddl_text)
    raw = ours.to_bytes()
    other = theirs.from_bytes(raw)
    if len(other.Dacl.aces) != 20:
        raise SystemExit("winacl reads other entries than this benchmark means")
    wanted = "5 times as fast"
    parse, their_parse = SecurityDescriptor.from_sddl, theirs.from_sddl
    decode, their_decode = SecurityDescriptor.from_bytes, theirs.from_bytes
    yield line(
        "SDDL parse, seen before", in_turns(lambda: parse(sddl_text), lambda: their_parse(sddl_text)), "winacl", wanted
    )
    yield line("decode, seen before", in_turns(lambda: decode(raw), lambda: their_decode(raw)), "winacl", wanted)
    yield line("encode", in_turns(ours.to_bytes, other.to_bytes), "winacl", wanted)
    # More entries than the caches hold, so that every one is new again when its turn comes.
    texts = [text(seed) for seed in range(1000, 1400)]
    raws = [parse(item).to_bytes() for item in texts]
    none = "no target of its own: every SID is new"
    yield line("SDDL parse, unseen", in_turns(fresh(parse, texts), fresh(their_parse, texts)), "winacl", none)
    yield line("decode, unseen", in_turns(fresh(decode, raws), fresh(their_decode, raws)), "winacl", none)


SAMBA = r"""
import sys, time
from samba.dcerpc import security
from samba import security as checks
from samba.ndr import ndr_unpack
descriptor = ndr_unpack(security.descriptor, bytes.fromhex(sys.argv[1]))
token = security.token()
sids = [security.dom_sid(item) for item in sys.argv[3:]]
token.num_sids = len(sids)
token.sids = sids
desired = int(sys.argv[2])
assert checks.access_check(descriptor, token, desired) == desired
best = 9.0
check = checks.access_check
for _ in range(9):
    start = time.process_time()
    for _ in range(20000):
        check(descriptor, token, desired)
    best = min(best, (time.process_time() - start) / 20000)
print(best)
"""


def checks() -> Iterator[str]:
    token = Token(Sid.parse(USER), tuple(Group(Sid.parse(item)) for item in GROUPS))
    descriptor = SecurityDescriptor.from_sddl(text(1))
    restricted = Token(token.user, token.groups, restricting=(token.user,), write_restricted=True)
    long = descriptor.replace(dacl=Acl(SecurityDescriptor.from_sddl(text(1, 1200)).dacl or ()))
    if not all(access.check(one, who, DESIRED) for one, who in ((long, token), (descriptor, restricted))):
        raise SystemExit("the benchmark's requests should be granted")
    once, twice, many = in_turns(
        lambda: access.check(descriptor, token, DESIRED),
        lambda: access.check(descriptor, restricted, DESIRED),
        lambda: access.check(long, token, DESIRED),
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", SAMBA, descriptor.to_bytes().hex(), str(DESIRED), USER, *GROUPS],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["it did not start"])[-1]
        yield f"skipped: access check against Samba: {problem}"
    else:
        yield line("access check, 20 entries", (once, float(done.stdout)), "Samba", "within 5 times")
    yield f"access check, 1200 entries: {many / once:.1f} times 20 entries (linear: at most 60; {many * 1e6:.1f} us)"
    yield f"access check with a second pass: {twice / once:.1f} times one pass (linear: 2; {twice * 1e6:.1f} us)"


def lines() -> Iterator[str]:
    """The report, a line at a time."""
    yield from conversions()
    yield from checks()


if __name__ == "__main__":
    for report in lines():
        print(report)
