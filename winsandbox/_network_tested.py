"""Which programs were seen to give up under the shim (on Linux): read by :mod:`.network`.

Written by the tests: row of the table -> programs and versions. A row that is not here is untested.
"""

from __future__ import annotations

__all__ = ["TESTED"]

TESTED: dict[str, str] = {
    "aws": "aws 1.46.3",
    "az": "az 2.91.0",
    "bun": "bun 1.4.5",
    "cargo": "cargo 1.95.0",
    "composer": "composer 2.5.5",
    "corepack": "corepack 0.34.7",
    "curl": "curl 7.88.1",
    "deno": "deno 2.9.8",
    "docker": "docker 28.2.2",
    "dotnet": "dotnetcore2 3.1.23 (HttpClient only, no restore)",
    "gcloud": "gcloud 528.0.0",
    "gh": "gh 2.23.0",
    "git": "git 2.39.5",
    "go": "go 1.27.3",
    "gradle": "gradle 4.4.1",
    "hex": "elixir 1.14.0 (Mix's own fetch only, HEX_OFFLINE untested)",
    "huggingface": "huggingface_hub 2.4.0",
    "java": "java 17.0.15",
    "maven": "mvn 3.8.7 (the JVM's options only, --offline untested)",
    "mercurial": "hg 6.3.2",
    "node": "node 22.23.3, node 24.0.2 (fetch only), node 24.21.0, node 26.10.0",
    "npm": "npm 11.19.1",
    "pip": "pip 23.2.1",
    "pnpm": "pnpm 10.34.9, pnpm 12.21.0",
    "poetry": "poetry 2.5.1",
    "python": "aiohttp 3.14.5, httpx 0.28.1, python 3.11.7, requests 2.34.2",
    "ruby": "gem 3.3.15, ruby 3.1.2",
    "rustup": "rustup 1.29.0",
    "ssh": "ssh 9.2",
    "uv": "uv 0.13.9",
    "wget": "wget 1.21.3",
    "yarn-berry": "yarn-berry 4.18.1",
    "yarn-classic": "yarn-classic 1.22.22",
}
