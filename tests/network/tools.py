"""The commands of the proofs: for each tool one or several that go to the network, as data.

A command must reach the sink in the plain environment (else its silence under the shim would prove nothing) and must
not reach it under the shim. Words in braces are filled in: {url}, {address}, {port} of the sink, {dir} the working
directory, {python} this interpreter. ``user_proxy`` is for tools that never use a proxy for loopback addresses (Go,
the JVM) or know one server only: there the sink plays the proxy that the user has set, and the shim has to override it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Case:
    """One command of one row of the shim's table; ``limit`` is in seconds, for giving up under the shim.

    ``only`` says to what the proof is limited, where the row promises more; the record has it behind the version.
    """

    row: str
    argv: tuple[str, ...]
    name: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    user_proxy: bool = False
    limit: float = 7
    module: str = ""
    version: tuple[str, ...] = ()
    slow: bool = False
    only: str = ""

    @property
    def program(self) -> str:
        return self.argv[0]

    @property
    def id(self) -> str:
        return f"{self.row}-{self.name}" if self.name else self.row


PYTHON = sys.executable


def _python(row: str, code: str, name: str, module: str = "") -> Case:
    return Case(row, (PYTHON, "-c", code), name, module=module, version=(PYTHON, "--version"))


_GIT = ("git", "ls-remote")
FETCH = "fetch('http://{address}/').then(() => {{}}, e => {{ console.error(e.cause ?? e); process.exitCode = 1 }})"
HTTP = (
    "require('http').get('http://{address}/', () => {{}})"
    ".on('error', e => {{ console.error(e); process.exitCode = 1 }})"
)
_CARGO = '[package]\nname = "a"\nversion = "0.1.0"\nedition = "2021"\n[lib]\npath = "a.rs"\n[dependencies]\n'
_PACKAGE = '{{"name": "a", "version": "1.0.0", "private": true, "dependencies": {{"sink-package": "1.0.0"}}}}'
_JVM_PROXY = {"JAVA_TOOL_OPTIONS": "-Dhttp.proxyHost=127.0.0.2 -Dhttp.proxyPort={port} -Dhttps.proxyHost=127.0.0.2"}
_JAVA = """
public class A {{
    public static void main(String[] a) throws Exception {{
        new java.net.URL("http://repo.invalid/").openStream().close();
    }}
}}
"""
_POM = """<project><modelVersion>4.0.0</modelVersion><artifactId>a</artifactId>
<parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version><relativePath/></parent>
<repositories><repository><id>sink</id><url>http://repo.invalid/</url></repository></repositories></project>"""
# Maven refuses plain http by a mirror of this name; a mirror of the same name takes its place.
_SETTINGS = """<settings><mirrors><mirror><id>maven-default-http-blocker</id><mirrorOf>none</mirrorOf>
<url>http://repo.invalid/</url></mirror>
<mirror><id>m</id><mirrorOf>*</mirrorOf><url>http://repo.invalid/</url></mirror></mirrors></settings>"""
_GRADLE = """buildscript {{ repositories {{ maven {{ url 'http://repo.invalid/' }} }}
dependencies {{ classpath 'g:p:1' }} }}"""
_POETRY = """[project]
name = "a"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["sink-package"]
[[tool.poetry.source]]
name = "sink"
url = "http://{address}/simple/"
priority = "primary"
"""
_BERRY = """npmRegistryServer: "http://{address}"
unsafeHttpWhitelist: ["127.0.0.2"]
enableTelemetry: false
httpRetry: 0
"""
_COMPOSER = """{{"name": "a/a", "require": {{"sink/package": "*"}}, "config": {{"secure-http": false}},
"repositories": [{{"packagist.org": false}}, {{"type": "composer", "url": "http://{address}"}}]}}"""
# The runtime of the package dotnetcore2, driven by pythonnet: no SDK, so no NuGet.
_DOTNET = """
import os, pathlib, sys
import dotnetcore2, pythonnet
pathlib.Path("r.json").write_text('{{"runtimeOptions": {{"tfm": "netcoreapp3.1", "framework": '
    '{{"name": "Microsoft.NETCore.App", "version": "3.1.0"}}}}}}')
root = os.path.join(os.path.dirname(dotnetcore2.__file__), "bin")
pythonnet.load("coreclr", runtime_config="r.json", dotnet_root=root)
import clr
clr.AddReference("System.Net.Http")
from System.Net.Http import HttpClient
try:
    HttpClient().GetAsync("http://{address}/").Result
except Exception as error:
    print(error)
    sys.exit(1)
"""
_AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}

CASES: tuple[Case, ...] = (
    Case("git", (*_GIT, "http://{address}/r.git"), "http"),
    Case("git", (*_GIT, "https://{address}/r.git"), "https"),
    Case("git", (*_GIT, "ssh://u@127.0.0.2:{port}/r.git"), "ssh"),
    Case("git", (*_GIT, "git://{address}/r.git"), "git"),
    Case("curl", ("curl", "-sS", "http://{address}/"), "http"),
    Case("curl", ("curl", "-sS", "https://{address}/"), "https"),
    Case("curl", ("curl", "-sS", "ftp://{address}/"), "ftp"),
    Case("curl", ("curl", "-sS", "http://elsewhere.invalid/"), "user's proxy", user_proxy=True),
    Case("wget", ("wget", "http://{address}/"), "http"),
    Case("wget", ("wget", "https://{address}/"), "https"),
    Case("ssh", ("ssh", "-o", "BatchMode=yes", "-p", "{port}", "u@127.0.0.2"), "ssh", version=("ssh", "-V")),
    Case("ssh", ("scp", "-P", "{port}", "u@127.0.0.2:a", "b"), "scp", version=("ssh", "-V")),
    Case("ssh", ("sftp", "-P", "{port}", "u@127.0.0.2"), "sftp", version=("ssh", "-V")),
    Case(
        "pip",
        (PYTHON, "-m", "pip", "install", "--index-url", "http://{address}/simple", "--target", "t", "sink-package"),
        "index",
        module="pip",
        version=(PYTHON, "-m", "pip", "--version"),
    ),
    Case(
        "pip",
        (PYTHON, "-m", "pip", "install", "--target", "t", "http://{address}/sink_package-1.0-py3-none-any.whl"),
        "url",
        module="pip",
        version=(PYTHON, "-m", "pip", "--version"),
    ),
    Case("uv", ("uv", "pip", "install", "--index-url", "http://{address}/", "--target", "t", "sink-package"), "index"),
    Case("uv", ("uv", "pip", "install", "--target", "t", "http://{address}/sink_package-1.0-py3-none-any.whl"), "url"),
    _python("python", "from urllib.request import urlopen; urlopen('http://{address}/')", "urllib"),
    _python("python", "from urllib.request import urlopen; urlopen('https://{address}/')", "urllib-https"),
    _python("python", "import requests; requests.get('http://{address}/').raise_for_status()", "requests", "requests"),
    _python("python", "import httpx; httpx.get('http://{address}/').raise_for_status()", "httpx", "httpx"),
    _python(
        "python",
        "import aiohttp, asyncio\nasync def main():\n"
        "    async with aiohttp.ClientSession(trust_env=True) as session:\n"
        "        (await session.get('http://{address}/')).raise_for_status()\nasyncio.run(main())",
        "aiohttp-trust-env",
        "aiohttp",
    ),
    Case("npm", ("npm", "view", "sink-package", "--registry", "http://{address}/"), "view"),
    Case(
        "npm",
        ("npm", "install"),
        "install",
        files={"package.json": _PACKAGE, ".npmrc": "registry=http://{address}/\nproxy=http://{address}/\n"},
    ),
    Case(
        "cargo",
        ("cargo", "generate-lockfile"),
        "registry",
        files={
            "Cargo.toml": _CARGO + 'sink-package = {{ version = "1", registry = "sink" }}\n',
            ".cargo/config.toml": '[registries.sink]\nindex = "sparse+http://{address}/"\n',
        },
    ),
    Case(
        "cargo",
        ("cargo", "generate-lockfile"),
        "git",
        files={"Cargo.toml": _CARGO + 'sink-package = {{ git = "http://{address}/p.git" }}\n'},
    ),
    Case(
        "go",
        ("go", "mod", "download", "elsewhere.invalid/p@v1.0.0"),
        "module-proxy",
        files={"go.mod": "module a\n"},
        environment={"GOPROXY": "http://{address}"},
        version=("go", "version"),
    ),
    Case(
        "go",
        ("go", "mod", "download", "elsewhere.invalid/p@v1.0.0"),
        "direct",
        files={"go.mod": "module a\n"},
        environment={"GOPRIVATE": "*", "GOPROXY": "direct"},
        user_proxy=True,
        version=("go", "version"),
    ),
    # Those that a new machine does not have.
    Case(
        "pnpm",
        ("pnpm-10", "install"),
        "10",
        files={"package.json": _PACKAGE, ".npmrc": "registry=http://{address}/\n"},
        slow=True,
    ),
    Case(
        "pnpm",
        ("pnpm-12", "install"),
        "12",
        files={"package.json": _PACKAGE, ".npmrc": "registry=http://{address}/\n"},
        slow=True,
    ),
    Case(
        "yarn-classic",
        ("yarn-classic", "install", "--no-lockfile"),
        files={
            "package.json": _PACKAGE,
            ".npmrc": "registry=http://{address}/\n",
            ".yarnrc": 'registry "http://{address}/"\n',
        },
        slow=True,
    ),
    Case(
        "yarn-berry",
        ("yarn-berry", "install"),
        files={"package.json": _PACKAGE, ".yarnrc.yml": _BERRY, "yarn.lock": ""},
        slow=True,
    ),
    Case(
        "corepack",
        ("corepack", "yarn@4.0.0", "--version"),
        environment={"COREPACK_NPM_REGISTRY": "http://{address}", "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0"},
        slow=True,
    ),
    Case(
        "bun",
        ("bun", "install"),
        "install",
        files={"package.json": _PACKAGE, ".npmrc": "registry=http://{address}/\n"},
        slow=True,
    ),
    Case("bun", ("bun", "-e", FETCH), "fetch", slow=True),
    Case("deno", ("deno", "eval", "await fetch('http://{address}/')"), "fetch", slow=True),
    Case("deno", ("deno", "run", "http://{address}/a.ts"), "import", slow=True),
    Case(
        "rustup",
        ("rustup", "toolchain", "install", "1.50.0"),
        environment={"RUSTUP_DIST_SERVER": "http://{address}", "RUSTUP_HOME": "{dir}/rustup"},
        slow=True,
    ),
    Case("poetry", ("poetry", "lock"), files={"pyproject.toml": _POETRY}, slow=True, limit=20),
    Case("java", ("java", "A.java"), files={"A.java": _JAVA}, environment=_JVM_PROXY, slow=True, limit=10),
    Case(
        "java",
        ("java", "-Dhttp.proxyHost=127.0.0.2", "-Dhttp.proxyPort={port}", "A.java"),
        "command-line",
        files={"A.java": _JAVA},
        slow=True,
        limit=10,
    ),
    Case(
        "maven",
        ("mvn", "-B", "-s", "settings.xml", "-Dmaven.repo.local={dir}/m2", "validate"),
        files={"pom.xml": _POM, "settings.xml": _SETTINGS},
        environment=_JVM_PROXY,
        slow=True,
        limit=20,
        only="the JVM's options only, --offline untested",
    ),
    Case(
        "gradle",
        ("gradle", "--no-daemon", "tasks"),
        files={"build.gradle": _GRADLE, "settings.gradle": ""},
        environment={
            "GRADLE_OPTS": "-Dhttp.proxyHost=127.0.0.2 -Dhttp.proxyPort={port}",
            "GRADLE_USER_HOME": "{dir}/g",
        },
        slow=True,
        limit=60,
    ),
    Case(
        "ruby",
        ("gem", "install", "sink-package", "--clear-sources", "--source", "http://{address}/", "--install-dir", "t"),
        "gem",
        slow=True,
    ),
    Case(
        "ruby",
        ("ruby", "-rnet/http", "-e", "Net::HTTP.get(URI('http://elsewhere.invalid/'))"),
        "net-http",
        user_proxy=True,
        slow=True,
    ),
    Case(
        "composer",
        ("composer", "update", "--no-interaction"),
        files={"composer.json": _COMPOSER},
        environment={"COMPOSER_ALLOW_SUPERUSER": "1"},
        slow=True,
        limit=10,
    ),
    Case(
        "dotnet",
        (PYTHON, "-c", _DOTNET),
        environment={"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        module="dotnetcore2",
        slow=True,
        limit=15,
        only="HttpClient only, no restore",
    ),
    Case(
        "hex",
        ("mix", "local.hex", "--force"),
        environment={"HEX_MIRROR": "http://{address}", "HEX_BUILDS_URL": "http://{address}", "MIX_HOME": "{dir}/mix"},
        version=("elixir", "--short-version"),
        slow=True,
        only="Mix's own fetch only, HEX_OFFLINE untested",
    ),
    Case("mercurial", ("hg", "identify", "http://{address}/"), slow=True),
    Case(
        "huggingface",
        (PYTHON, "-c", "from huggingface_hub import hf_hub_download; hf_hub_download('a/b', 'c')"),
        module="huggingface_hub",
        environment={"HF_ENDPOINT": "http://{address}"},
        slow=True,
        limit=10,
    ),
    Case("gh", ("gh", "api", "user"), environment={"GH_TOKEN": "x"}, user_proxy=True, slow=True),
    Case("docker", ("docker", "version"), environment={"DOCKER_HOST": "tcp://{address}"}, slow=True),
    Case("aws", ("aws", "s3", "ls", "--endpoint-url", "http://{address}"), environment=_AWS, slow=True, limit=10),
    Case(
        "gcloud",
        ("gcloud", "projects", "list", "--quiet"),
        environment={
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "{dir}/token",
            "CLOUDSDK_CONFIG": "{dir}/gcloud",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        },
        files={"token": "x"},
        user_proxy=True,
        slow=True,
        limit=60,
    ),
    Case(
        "az",
        ("az", "extension", "list-available"),
        environment={"AZURE_CORE_COLLECT_TELEMETRY": "no"},
        user_proxy=True,
        slow=True,
        limit=15,
    ),
)

# Variables that are enough for a command by themselves: a misspelt one would be carried by its neighbours unseen.
ALONE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("git-http", ("GIT_ALLOW_PROTOCOL",)),
    ("git-git", ("GIT_ALLOW_PROTOCOL",)),
    ("git-http", ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0")),
    ("git-http", ("http_proxy",)),
    ("git-https", ("https_proxy",)),
    ("git-ssh", ("GIT_SSH_COMMAND",)),
    ("curl-http", ("http_proxy",)),
    ("curl-https", ("https_proxy",)),
    ("curl-ftp", ("ftp_proxy",)),
    ("curl-ftp", ("all_proxy",)),
    ("wget-http", ("http_proxy",)),
    ("pip-index", ("PIP_NO_INDEX",)),
    ("pip-url", ("PIP_PROXY", "PIP_RETRIES")),
    ("uv-index", ("UV_OFFLINE",)),
    ("npm-view", ("npm_config_offline",)),
    ("npm-view", ("npm_config_proxy", "npm_config_fetch_retries")),
    ("cargo-registry", ("CARGO_NET_OFFLINE",)),
    ("cargo-registry", ("CARGO_HTTP_PROXY", "CARGO_NET_RETRY")),
    ("cargo-git", ("CARGO_NET_OFFLINE",)),
    ("go-module-proxy", ("GOPROXY",)),
    ("go-direct", ("GOPROXY", "GONOPROXY")),
    ("pnpm-10", ("npm_config_offline",)),
    ("pnpm-12", ("pnpm_config_offline",)),
    ("pnpm-12", ("pnpm_config_http_proxy", "pnpm_config_fetch_retries")),
    ("yarn-classic", ("npm_config_proxy",)),
    ("yarn-berry", ("YARN_ENABLE_NETWORK",)),
    ("yarn-berry", ("YARN_HTTP_PROXY",)),
    ("corepack", ("COREPACK_ENABLE_NETWORK",)),
    ("java", ("JAVA_TOOL_OPTIONS",)),
    ("java-command-line", ("_JAVA_OPTIONS",)),
    ("dotnet", ("http_proxy",)),
    ("hex", ("http_proxy",)),
    ("composer", ("COMPOSER_DISABLE_NETWORK",)),
    ("huggingface", ("HF_HUB_OFFLINE",)),
    ("docker", ("DOCKER_HOST",)),
    ("gcloud", ("CLOUDSDK_PROXY_TYPE", "CLOUDSDK_PROXY_ADDRESS", "CLOUDSDK_PROXY_PORT")),
)
