"""Token recipe -> token on a Host, read back and compared before anything runs under it.

A host can report success and restrict nothing (Wine does), and a later Windows may change a rule. So the token is
asked, after it is made, whether it is restricted, by which SIDs, at which integrity level and with which default DACL;
what differs from the recipe is an error, unless the caller accepted "best-effort" beforehand: then it is in the report.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from ._security.token import GROUP_ENABLED, MEDIUM
from ._verdicts import Difference, Takes
from .errors import EnforcementError, TokenError

if TYPE_CHECKING:
    from ._host import Handle, Host, TokenInfo
    from ._plan import TokenRecipe

Require = Literal["best-effort", "full", "proven"]


def make_token(host: Host, recipe: TokenRecipe, *, require: Require = "full") -> tuple[Handle, tuple[Difference, ...]]:
    """Make the token and read it back.

    Returns:
        the token (the caller closes it), and under ``require="best-effort"`` each difference from the recipe.

    Raises:
        TokenError: a call failed.
        EnforcementError: the token is not what the recipe asks for, and `require` is not ``"best-effort"``.
    """
    tokens = host.tokens
    with ExitStack() as unwind:
        try:
            with tokens.current() as own:
                token = unwind.enter_context(
                    tokens.restrict(own, flags=recipe.flags, disable=recipe.deny_only, restrict=recipe.restricting)
                )
            if recipe.owner is not None:
                try:
                    tokens.set_owner(token, recipe.owner)
                except OSError:
                    # A partial host (Wine: TokenOwner) refuses it; the comparison below then says so.
                    if require != "best-effort":
                        raise
            tokens.set_default_dacl(token, recipe.default_dacl)
            if recipe.integrity is not None:
                # Last of the settings: a Low token's own object could refuse the ones before.
                tokens.set_integrity(token, recipe.integrity)
            tokens.enable_only(token, recipe.privileges)
            info = tokens.inspect(token)
        except OSError as error:
            raise TokenError(
                f"the restricted token could not be made ({error}).",
                cause=error,
                remedy=f"Run `python -P -m {__package__} doctor` for what this host lacks.",
            ) from error
        found = differences(recipe, info)
        if found and require != "best-effort":
            raise EnforcementError(
                "the token that this host made is not the one that was asked for: "
                + "; ".join(difference.text for difference in found)
                + ".",
                remedy="Nothing was started. require='best-effort' (--require best-effort) accepts this, and the "
                "report then says what is not enforced.",
                code="enforcement.token",
            )
        unwind.pop_all()
        return token, found


def differences(recipe: TokenRecipe, info: TokenInfo) -> tuple[Difference, ...]:
    """What the token that was made lacks, each with what it takes away from the promises."""
    found: list[Difference] = []

    def say(takes: Takes, text: str) -> None:
        found.append(Difference(takes, text))

    if info.restricted is None:
        say("unknown", "the host does not tell whether the token is restricted")
    elif not info.restricted:
        say("restriction", "the token is not restricted")
    elif set(info.token.restricting or ()) != set(recipe.restricting):
        say("restriction", "its restricting SIDs are others")
    if info.restricted and not info.token.write_restricted:
        # A host that does not know TokenAccessInformation (32-bit Python on some 64-bit Windows) lands here too.
        say("restriction", "it is restricted, but not write-restricted, or this host does not tell")
    if recipe.integrity is not None and info.token.integrity != recipe.integrity:
        level = f"its integrity level is 0x{info.token.integrity:x}, not 0x{recipe.integrity:x}"
        # Above Medium it also gets past the labels of the system's own objects.
        say("restriction" if info.token.integrity > MEDIUM else "integrity", level)
    if info.default_dacl != recipe.default_dacl:
        say("nothing", "its default DACL is another")
    if recipe.owner is not None and info.owner != recipe.owner:
        say("nothing", f"its owner is {info.owner}, not {recipe.owner}")
    extra = info.token.privileges - set(recipe.privileges)
    if extra:
        say("restriction", "privileges are still enabled: " + ", ".join(sorted(extra)))
    enabled = {group.sid for group in info.token.groups if group.attributes & GROUP_ENABLED}
    still = [sid for sid in recipe.deny_only if sid in enabled]
    if still:
        say("restriction", "groups are not deny-only: " + ", ".join(map(str, still)))
    return tuple(found)
