"""What the network shim sets for each tool: data only, read by :mod:`.network` and, through it, by the README's table.

``source`` says where the variables are documented; "unconfirmed" in it means that neither documentation nor source was
found for them. Whether a row was seen to work is another matter, see ``_network_tested.py``.

Some names that one might expect are missing on purpose. ``GIT_HTTP_PROXY``, ``GIT_HTTPS_PROXY`` and
``GIT_ALLOW_PROTOCOLS`` are no variables of git: it neither documents nor reads them. ``cmd /c exit 1`` as the ssh
command of git looks right, but git hands a command with blanks to its own sh, whose runtime takes the ``/c`` for a
path; ``false`` needs no shell on any system and fails also where it does not exist. ``GOSUMDB=off`` would not keep Go
from the network but switch off its check of checksums. ``GIT_SSH`` loses to ``GIT_SSH_COMMAND`` anyway.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["DEFAULT_STUBS", "ROWS", "Row", "Variable"]


class Variable(NamedTuple):
    """One environment variable of a row.

    ``how``: "set" replaces the user's value, and an empty value takes the variable away; "append" puts the text behind
    the user's (the variable holds command line options, where the later one wins); "git-config" adds a configuration
    entry, name=key, through ``GIT_CONFIG_COUNT``. ``value`` may hold the words in braces of ``NetworkShim._rendered``.
    """

    name: str
    value: str
    how: Literal["set", "append", "git-config"] = "set"


class Row(NamedTuple):
    """One tool. No variables and no stubs: the shim has no means against it, which is said, not left out."""

    tool: str
    means: str
    bypass: str
    source: str
    variables: tuple[Variable, ...] = ()
    stubs: tuple[str, ...] = ()
    note: str = ""


# Lower case: where names have case, curl and wget read http_proxy in this spelling only.
_PROXY = (
    Variable("http_proxy", "{proxy}"),
    Variable("https_proxy", "{proxy}"),
    Variable("ftp_proxy", "{proxy}"),
    Variable("all_proxy", "{proxy}"),
    Variable("no_proxy", "{no_proxy}"),
)

# A proxy in a user's .npmrc would win over the general variables.
_NPM = (
    *_PROXY,
    Variable("npm_config_proxy", "{proxy}"),
    Variable("npm_config_https_proxy", "{proxy}"),
    Variable("npm_config_noproxy", "{no_proxy}"),
    Variable("npm_config_offline", "true"),
    Variable("npm_config_audit", "false"),
    Variable("npm_config_update_notifier", "false"),
    Variable("npm_config_fetch_retries", "0"),
)

# No "|" between hosts, which a batch file that prints the variable would take for a pipe: when the list is not empty,
# the JDK adds localhost, 127.* and [::1] by itself.
_JVM = (
    "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port}"
    " -Dftp.proxyHost={host} -Dftp.proxyPort={port} -DsocksProxyHost={host} -DsocksProxyPort={port}"
    " -Dhttp.nonProxyHosts={java_no_proxy} -Dftp.nonProxyHosts={java_no_proxy} -DsocksNonProxyHosts={java_no_proxy}"
)
_JAVA = (Variable("JAVA_TOOL_OPTIONS", _JVM, "append"), Variable("_JAVA_OPTIONS", _JVM, "append"))

# Programs that do nothing without a network. No stub for curl and the like: they have variables, and "curl --version"
# has to go on working.
DEFAULT_STUBS = ("ssh", "scp", "sftp", "ssh-keyscan", "ssh-copy-id", "plink", "pscp", "psftp", "ftp", "tftp", "telnet")

ROWS: tuple[Row, ...] = (
    Row(
        "git",
        "transports other than file are refused; dead proxy; ssh command that fails; no prompts",
        "GIT_ALLOW_PROTOCOL or git -c protocol.allow with it unset; programs that speak the protocol without git",
        "git(1), git-config(1)",
        (
            *_PROXY,
            Variable("GIT_ALLOW_PROTOCOL", "file"),
            Variable("http.proxy", "{proxy}", "git-config"),
            Variable("GIT_SSH_COMMAND", "false"),
            Variable("GIT_TERMINAL_PROMPT", "0"),
            Variable("GCM_INTERACTIVE", "never"),
        ),
        note="Clones from a local path go on working, in submodules too, where git by itself would ask for "
        "protocol.file.allow. http.proxy is the second line, for git-lfs and the like: http.<url>.proxy and "
        "remote.<name>.proxy would win over it. The user's own GIT_CONFIG_KEY_n stay.",
    ),
    Row(
        "ssh",
        "stubs in front of PATH",
        "an absolute path; CreateProcess without extension, which looks for ssh.exe only; a library that speaks ssh",
        "Microsoft Learn: CreateProcessW, cmd; this library",
        stubs=DEFAULT_STUBS,
        note="ssh reads no variable that would stop it.",
    ),
    Row(
        "curl",
        "dead proxy",
        "--noproxy, -x, a proxy in .curlrc",
        "curl(1), section Environment",
        _PROXY,
        note="So for programs on libcurl. The curl of System32 uses Schannel and fails in the sandbox in any case.",
    ),
    Row("wget", "dead proxy", "--no-proxy, a proxy in .wgetrc", "wget(1), section Environment", _PROXY),
    Row(
        "pip",
        "no index; dead proxy; no retries",
        "--index-url with --isolated, --proxy",
        "pip documentation: Configuration, environment variables; pip's cmdoptions.py",
        (
            *_PROXY,
            Variable("PIP_NO_INDEX", "1"),
            Variable("PIP_PROXY", "{proxy}"),
            Variable("PIP_RETRIES", "0"),
            Variable("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ),
        note="Installing from local files and --find-links directories goes on working.",
    ),
    Row(
        "uv",
        "offline setting; dead proxy",
        "--no-offline",
        "uv help (env: UV_OFFLINE)",
        (*_PROXY, Variable("UV_OFFLINE", "1")),
    ),
    Row("poetry", "dead proxy", "a program of the build", "requests: Proxies", _PROXY),
    Row(
        "conda",
        "offline setting; dead proxy",
        "--no-offline",
        "conda's own tests use CONDA_OFFLINE; every setting of .condarc has such a variable",
        (*_PROXY, Variable("CONDA_OFFLINE", "true")),
    ),
    Row(
        "npm",
        "offline setting; dead proxy; no retries, no audit",
        "--no-offline with --noproxy; scripts that open sockets",
        "npm documentation: config (npm_config_*, offline, proxy, noproxy, audit, fetch-retries)",
        _NPM,
    ),
    Row(
        "pnpm",
        "offline setting; dead proxy; no retries",
        "--no-offline; scripts that open sockets",
        "pnpm documentation: settings (npm_config_* to version 10, pnpm_config_* from version 11 on)",
        (
            *_NPM,
            Variable("pnpm_config_offline", "true"),
            Variable("pnpm_config_fetch_retries", "0"),
            Variable("pnpm_config_http_proxy", "{proxy}"),
            Variable("pnpm_config_https_proxy", "{proxy}"),
            Variable("pnpm_config_no_proxy", "{no_proxy}"),
        ),
    ),
    Row(
        "corepack",
        "network switched off; dead proxy",
        "another value of COREPACK_ENABLE_NETWORK",
        "Corepack: environment variables",
        (*_PROXY, Variable("COREPACK_ENABLE_NETWORK", "0")),
    ),
    Row(
        "yarn-classic",
        "npm's dead proxy",
        "--proxy, --https-proxy; scripts that open sockets",
        "Yarn 1: lib/cli.js reads npm_config_* (proxy, https-proxy)",
        _NPM,
    ),
    Row(
        "yarn-berry",
        "network switched off; dead proxy",
        "another value of YARN_ENABLE_NETWORK; scripts that open sockets",
        "Yarn: enableNetwork, enableTelemetry, httpProxy, httpsProxy, read from YARN_*",
        (
            *_PROXY,
            Variable("YARN_ENABLE_NETWORK", "0"),
            Variable("YARN_ENABLE_TELEMETRY", "0"),
            Variable("YARN_HTTP_PROXY", "{proxy}"),
            Variable("YARN_HTTPS_PROXY", "{proxy}"),
        ),
    ),
    Row(
        "bun",
        "dead proxy",
        "fetch with proxy, sockets",
        "Bun: Proxy HTTP requests using fetch(), environment variables",
        _PROXY,
    ),
    Row(
        "deno",
        "dead proxy",
        "Deno.createHttpClient with a proxy, Deno.connect",
        "Deno documentation: environment variables",
        (*_PROXY, Variable("DENO_NO_UPDATE_CHECK", "1")),
    ),
    Row(
        "node",
        "dead proxy for fetch, http and https, from Node 22.21 and 24 on",
        "an agent or dispatcher of its own, net.connect; every Node before 22.21 (20 and older) ignores the variable",
        "Node documentation: NODE_USE_ENV_PROXY; release notes of 22.21.0",
        (*_PROXY, Variable("NODE_USE_ENV_PROXY", "1")),
    ),
    Row(
        "cargo",
        "offline setting; dead proxy; no retries",
        "--config net.offline=false with another proxy; build scripts that open sockets",
        "Cargo Book: Configuration (net.offline, net.retry, http.proxy)",
        (
            *_PROXY,
            Variable("CARGO_NET_OFFLINE", "true"),
            Variable("CARGO_HTTP_PROXY", "{proxy}"),
            Variable("CARGO_NET_RETRY", "0"),
        ),
    ),
    Row("rustup", "dead proxy", "unsetting the variables", "rustup book: Network proxies", _PROXY),
    Row(
        "go",
        "no module proxy, no direct fetches; dead proxy",
        "GOPROXY given for one command, go run of a program with sockets; Go never uses a proxy for loopback addresses",
        "Go Modules Reference: environment variables, GOPROXY=off, GONOPROXY=none; go help vcs",
        (*_PROXY, Variable("GOPROXY", "off"), Variable("GONOPROXY", "none"), Variable("GOVCS", "*:off")),
        note="GONOPROXY=none, because patterns in GOPRIVATE (which go env -w may have stored) would go past GOPROXY.",
    ),
    Row(
        "dotnet",
        "dead proxy; no revocation checks over the network",
        "a handler of its own; .NET Framework (see WinHTTP and WinINet); a proxy in NuGet.Config",
        "Microsoft Learn: HttpClient.DefaultProxy, NuGet CLI environment variables, .NET SDK environment variables",
        (
            *_PROXY,
            Variable("NUGET_CERT_REVOCATION_MODE", "offline"),
            Variable("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
        ),
        note="On Windows the variables win over the proxy in the user's settings.",
    ),
    Row(
        "java",
        "dead proxy in the JVM's options",
        "Proxy.NO_PROXY in code, java.nio sockets; loopback addresses are all direct with allow_loopback",
        "Java Core Libraries: Java Networking and Proxies; JVM Tool Interface: JAVA_TOOL_OPTIONS",
        _JAVA,
        note="_JAVA_OPTIONS, which HotSpot reads last, wins over options on the command line, in MAVEN_OPTS and in "
        "GRADLE_OPTS; other JVMs read JAVA_TOOL_OPTIONS. Each JVM prints both to stderr.",
    ),
    Row(
        "maven",
        "the JVM's options; --offline from Maven 3.9 on",
        "a proxy in settings.xml; plugins that open sockets; mvnw, which does not read MAVEN_ARGS",
        "Maven: Configuring Apache Maven (MAVEN_ARGS); Maven Resolver: configuration options",
        (*_JAVA, Variable("MAVEN_ARGS", "--offline", "append")),
        note="Maven's own transport ignores the JVM's proxy from 3.9 on: there --offline is what stops it.",
    ),
    Row(
        "gradle",
        "the JVM's options, no daemon",
        "systemProp.* in gradle.properties; plugins that open sockets",
        "Gradle: Configuring the Build Environment",
        (*_JAVA, Variable("GRADLE_OPTS", "-Dorg.gradle.daemon=false", "append")),
        note="Gradle has no variable for --offline. A daemon from outside would run the build outside, hence none.",
    ),
    Row(
        "python",
        "dead proxy for urllib, requests and httpx",
        "aiohttp without trust_env=True, trust_env=False, http.client, sockets",
        "Python: urllib.request.getproxies; requests: Proxies; HTTPX: environment variables; aiohttp: Proxy support",
        _PROXY,
    ),
    Row(
        "ruby",
        "dead proxy for Net::HTTP, gem, bundler",
        "a proxy in .gemrc, sockets; Net::HTTP never uses a proxy for loopback addresses",
        "Ruby: Net::HTTP, URI::Generic.find_proxy; rubygems: remote_fetcher.rb",
        _PROXY,
    ),
    Row(
        "composer",
        "network switched off; dead proxy",
        "another value of COMPOSER_DISABLE_NETWORK together with an unset proxy",
        "Composer: HttpDownloader.php (COMPOSER_DISABLE_NETWORK, proxies)",
        (*_PROXY, Variable("COMPOSER_DISABLE_NETWORK", "1")),
        note="COMPOSER_DISABLE_NETWORK counts with PHP's curl extension only; without it the dead proxy is what helps.",
    ),
    Row("mercurial", "dead proxy", "[http_proxy] in hgrc", "Mercurial: url.py; hg help config.http_proxy", _PROXY),
    Row(
        "hex",
        "offline setting; dead proxy",
        "another value of HEX_OFFLINE",
        "mix hex.config",
        (*_PROXY, Variable("HEX_OFFLINE", "1")),
    ),
    Row(
        "huggingface",
        "offline setting; dead proxy",
        "another value of HF_HUB_OFFLINE",
        "huggingface_hub: environment variables",
        (*_PROXY, Variable("HF_HUB_OFFLINE", "1"), Variable("TRANSFORMERS_OFFLINE", "1")),
    ),
    Row(
        "gh",
        "dead proxy; no prompts",
        "unsetting the variables",
        "gh help environment; Go: net/http.ProxyFromEnvironment",
        (*_PROXY, Variable("GH_PROMPT_DISABLED", "1"), Variable("GH_NO_UPDATE_NOTIFIER", "1")),
        note="Tokens (GH_TOKEN, GITHUB_TOKEN) are the environment's matter, not the shim's.",
    ),
    Row(
        "docker",
        "an address where no daemon listens",
        "docker -H, docker --context",
        "docker --help (DOCKER_HOST, DOCKER_CONTEXT)",
        (Variable("DOCKER_HOST", "tcp://{authority}"), Variable("DOCKER_CONTEXT", "")),
        note="The daemon runs outside the sandbox and can write and fetch for its clients. DOCKER_CONTEXT, which would "
        "win over DOCKER_HOST, is taken away.",
    ),
    Row(
        "aws",
        "dead proxy; no metadata service; one attempt",
        "--endpoint-url on loopback",
        "AWS CLI user guide: HTTP proxy, environment variables; botocore",
        (*_PROXY, Variable("AWS_EC2_METADATA_DISABLED", "true"), Variable("AWS_MAX_ATTEMPTS", "1")),
        note="AWS_ENDPOINT_URL is left alone: it often names a test server on loopback.",
    ),
    Row(
        "gcloud",
        "dead proxy",
        "unsetting the variables",
        "Google Cloud CLI: properties as CLOUDSDK_<SECTION>_<PROPERTY>, proxy settings",
        (
            *_PROXY,
            Variable("CLOUDSDK_PROXY_TYPE", "http"),
            Variable("CLOUDSDK_PROXY_ADDRESS", "{host}"),
            Variable("CLOUDSDK_PROXY_PORT", "{port}"),
        ),
    ),
    Row(
        "az",
        "dead proxy",
        "unsetting the variables",
        "unconfirmed in the Azure CLI's own documentation; requests: Proxies",
        _PROXY,
    ),
    Row(
        "powershell",
        "dead proxy, PowerShell 7 only",
        "-NoProxy; Windows PowerShell 5.1 (see WinHTTP and WinINet)",
        "Microsoft Learn: HttpClient.DefaultProxy, Use the Az PowerShell module behind a proxy",
        _PROXY,
    ),
    Row(
        "WinHTTP and WinINet",
        "none",
        "Windows PowerShell 5.1, .NET Framework, winget, BITS, certutil and all else that uses the system's settings",
        "Microsoft Learn: WinHTTP proxy configuration",
        note="These read the user's or the machine's settings, no variable. Most need Schannel, which fails in a "
        "restricted token; nothing is promised.",
    ),
    Row("raw sockets", "none", "every program that opens a socket itself, and name resolution", "-"),
)
