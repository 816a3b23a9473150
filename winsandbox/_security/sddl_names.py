"""The letters of SDDL: types, flags, rights and control bits, for ``sddl``, where the sources are named."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALL_BITS",
    "BITS",
    "CONTROL",
    "FLAGS",
    "LABEL_BITS",
    "MASK_NAMES",
    "PLACES",
    "PRESENT",
    "RIGHTS",
    "TYPES",
    "TYPE_NAMES",
    "USUAL_FLAGS",
]

TYPES: Final = {
    "A": 0x00,
    "D": 0x01,
    "AU": 0x02,
    "AL": 0x03,
    "OA": 0x05,
    "OD": 0x06,
    "OU": 0x07,
    "OL": 0x08,
    "XA": 0x09,
    "XD": 0x0A,
    "ZA": 0x0B,
    "XU": 0x0D,
    "ML": 0x11,
    "RA": 0x12,
    "SP": 0x13,
    "TL": 0x14,
}
TYPE_NAMES: Final = {value: name for name, value in TYPES.items()}
_IN_DACL: Final = frozenset(TYPES[name] for name in ("A", "D", "OA", "OD", "XA", "XD", "ZA"))
PLACES: Final = {"D": _IN_DACL, "S": frozenset(TYPES.values()) - _IN_DACL}

# In the order in which Windows writes them.
FLAGS: Final = {
    "OI": 0x01,
    "CI": 0x02,
    "NP": 0x04,
    "IO": 0x08,
    "ID": 0x10,
    "CR": 0x20,
    "SA": 0x40,
    "FA": 0x80,
}

USUAL_FLAGS: Final = {"": 0, "ID": 0x10, "OICI": 0x3, "OICIID": 0x13, "OICIIO": 0xB, "OICIIOID": 0x1B}

# Bit order, which is the order in which Windows writes them.
BITS: Final = {
    "CC": 0x1,
    "DC": 0x2,
    "LC": 0x4,
    "SW": 0x8,
    "RP": 0x10,
    "WP": 0x20,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
    "SD": 0x10000,
    "RC": 0x20000,
    "WD": 0x40000,
    "WO": 0x80000,
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
}
_WHOLE: Final = {
    "FA": 0x1F01FF,
    "FR": 0x120089,
    "FW": 0x120116,
    "FX": 0x1200A0,
    "KA": 0xF003F,
    "KR": 0x20019,
    "KW": 0x20006,
    "KX": 0x20019,
}
LABEL_BITS: Final = {"NW": 0x1, "NR": 0x2, "NX": 0x4}
RIGHTS: Final = {"": 0, **BITS, **_WHOLE, **LABEL_BITS}
MASK_NAMES: Final = {value: name for name, value in reversed([*BITS.items(), *_WHOLE.items()])}
ALL_BITS: Final = sum(BITS.values())

PRESENT: Final = {"D": 0x0004, "S": 0x0010}
CONTROL: Final = {
    "D": {"P": 0x1000, "AR": 0x0100, "AI": 0x0400},
    "S": {"P": 0x2000, "AR": 0x0200, "AI": 0x0800},
}
