# Private, but audit() takes one: a model of an access token.
from typing import Any

def __getattr__(name: str) -> Any: ...

class Token:
    def __init__(self, user: Any, groups: Any = (), *args: Any, **keywords: Any) -> None: ...
