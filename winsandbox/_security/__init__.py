"""Windows' security model as immutable values and pure functions.

Nothing here asks an operating system: the package imports the standard library only, no ctypes, no os, and nothing
else of winsandbox, so that what it says about Windows can be tested on any machine.

    errors.py      SecurityDataError, the one error for malformed input
    sid.py         Sid: text and binary, the two-letter names of SDDL
    mask.py        access rights, generic mappings, what counts as a write for a write-restricted token
    ace.py         Ace: one entry, every type survives byte for byte
    acl.py         Acl: a tuple of Ace; canonical order, insertion and removal of exactly our entries
    sddl.py        the text form; with sddl_names.py, its letters, conditional.py and conditional_text.py, conditions
                   from and to text, and claims.py, resource attributes
    descriptor.py  SecurityDescriptor: owner, group, control bits, DACL, SACL
    token.py       Group, Token
    access.py      check: what Windows' access check answers; could: the most that it may answer
    reasons.py     the words for an answer of the access check
    inherit.py     what a new object gets, what a raw write leaves, what propagation would give

Sources are named in each module as MS-DTYP sections, Microsoft Learn page titles or measurements.
"""

from __future__ import annotations
