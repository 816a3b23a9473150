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

__all__ = ["DEAD_PROXY", "DEFAULT_STUBS", "EXEMPTIONS", "ROWS", "Means", "Row", "Variable"]


class Variable(NamedTuple):
    """One environment variable of a row.

    ``how``: "set" replaces the user's value, and an empty value takes the variable away; "append" puts the text behind
    the user's (the variable holds command line options, where the later one wins); "git-config" adds a configuration
    entry, name=key, through ``GIT_CONFIG_COUNT``. ``value`` may hold the words in braces of ``_network_changes.words``.
    """

    name: str
    value: str
    how: Literal["set", "append", "git-config"] = "set"


class Means(NamedTuple):
    """One way in which a tool is stopped; several with the same text are several ways to the same.

    It works while every variable of ``stops`` has the shim's value and none of ``undone_by`` is kept or overridden:
    those have precedence over it in the tool. ``helps`` only spares prompts, retries and the like, or adds to it;
    without ``stops`` it never counts as stopping the tool. ``{dead_proxy}`` in the text marks what works only as long
    as nothing listens at the shim's proxy.
    """

    text: str
    stops: tuple[Variable, ...] = ()
    helps: tuple[Variable, ...] = ()
    undone_by: tuple[str, ...] = ()


class Row(NamedTuple):
    """One tool. No means and no stubs: the shim can do nothing against it, which is said, not left out."""

    tool: str
    means: tuple[Means, ...]
    bypass: str
    source: str
    stubs: tuple[str, ...] = ()
    note: str = ""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of all means, each once."""
        return tuple(dict.fromkeys(v for means in self.means for v in (*means.stops, *means.helps)))


DEAD_PROXY = "{dead_proxy}"
# Lower case: where names have case, curl and wget read http_proxy in this spelling only.
_HTTP = (Variable("http_proxy", "{proxy}"), Variable("https_proxy", "{proxy}"))
_NO_PROXY = Variable("no_proxy", "{no_proxy}")
# Programs that know one of the latter two know the former two as well, which win for the schemes that they name.
_MORE = (Variable("ftp_proxy", "{proxy}"), Variable("all_proxy", "{proxy}"), _NO_PROXY)

# Lists of hosts that are reached past the proxy: another value opens those hosts, and everything only with a "*".
EXEMPTIONS = ("no_proxy", "npm_config_noproxy", "pnpm_config_no_proxy")


def _proxy(*own: str, text: str = DEAD_PROXY, also: tuple[Variable, ...] = ()) -> Means:
    """The general proxy variables; `own` are the tool's own settings, which win over them."""
    return Means(text, (*_HTTP, *also), _MORE, ("no_proxy", *own))


# A proxy in a user's .npmrc would win over the general variables.
_NPM_PROXY = (Variable("npm_config_proxy", "{proxy}"), Variable("npm_config_https_proxy", "{proxy}"))
_NPM_NO_PROXY = Variable("npm_config_noproxy", "{no_proxy}")
_NPM_OWN = ("npm_config_proxy", "npm_config_https_proxy", "npm_config_noproxy")
_NPM_OFFLINE = Variable("npm_config_offline", "true")
_NPM_QUICK = (
    Variable("npm_config_audit", "false"),
    Variable("npm_config_update_notifier", "false"),
    Variable("npm_config_fetch_retries", "0"),
)
_PNPM_PROXY = (Variable("pnpm_config_http_proxy", "{proxy}"), Variable("pnpm_config_https_proxy", "{proxy}"))
_PNPM_OWN = (*_NPM_OWN, "pnpm_config_http_proxy", "pnpm_config_https_proxy", "pnpm_config_no_proxy")

# No "|" between hosts, which a batch file that prints the variable would take for a pipe: when the list is not empty,
# the JDK adds localhost, 127.* and [::1] by itself.
_JVM = (
    "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port}"
    " -Dftp.proxyHost={host} -Dftp.proxyPort={port} -DsocksProxyHost={host} -DsocksProxyPort={port}"
    " -Dhttp.nonProxyHosts={java_no_proxy} -Dftp.nonProxyHosts={java_no_proxy} -DsocksNonProxyHosts={java_no_proxy}"
)
_JAVA = (Variable("JAVA_TOOL_OPTIONS", _JVM, "append"), Variable("_JAVA_OPTIONS", _JVM, "append"))
_GCLOUD = (
    Variable("CLOUDSDK_PROXY_TYPE", "http"),
    Variable("CLOUDSDK_PROXY_ADDRESS", "{host}"),
    Variable("CLOUDSDK_PROXY_PORT", "{port}"),
)
_GIT_PROXY = "{dead_proxy} for http and https"
_GIT_OWN = ("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS")

# Programs that do nothing without a network. No stub for curl and the like: they have variables, and "curl --version"
# has to go on working.
DEFAULT_STUBS = ("ssh", "scp", "sftp", "ssh-keyscan", "ssh-copy-id", "plink", "pscp", "psftp", "ftp", "tftp", "telnet")

ROWS: tuple[Row, ...] = (
    Row(
        "git",
        (
            Means("transports other than file are refused", (Variable("GIT_ALLOW_PROTOCOL", "file"),)),
            Means(
                _GIT_PROXY,
                (Variable("http.proxy", "{proxy}", "git-config"),),
                undone_by=("no_proxy", *_GIT_OWN),
            ),
            _proxy(*_GIT_OWN, text=_GIT_PROXY),
            Means("ssh command that fails", helps=(Variable("GIT_SSH_COMMAND", "false"),)),
            Means(
                "no prompts",
                helps=(Variable("GIT_TERMINAL_PROMPT", "0"), Variable("GCM_INTERACTIVE", "never")),
            ),
        ),
        "GIT_ALLOW_PROTOCOL or git -c protocol.allow with it unset; programs that speak the protocol without git",
        "git(1), git-config(1); git's config.c (GIT_CONFIG_COUNT, GIT_CONFIG_PARAMETERS)",
        note="Clones from a local path go on working, in submodules too, where git by itself would ask for "
        "protocol.file.allow. Loopback addresses are refused as well, whatever allow_loopback says. http.proxy is the "
        "second line, for git-lfs and the like: http.<url>.proxy and remote.<name>.proxy would win over it. The user's "
        "own GIT_CONFIG_KEY_n and GIT_CONFIG_PARAMETERS stay, with our entry behind them.",
    ),
    Row(
        "ssh",
        (),
        "an absolute path; an explicit extension (ssh.exe), in cmd too; CreateProcess without extension, which looks "
        "for ssh.exe only; a library that speaks ssh",
        "Microsoft Learn: CreateProcessW, cmd; this library",
        stubs=DEFAULT_STUBS,
        note="ssh reads no variable that would stop it. The stubs for cmd are batch files: a batch file that runs one "
        "without call ends with it, and what stands behind that line is not run.",
    ),
    Row(
        "curl",
        (_proxy(),),
        "--noproxy, -x, a proxy in .curlrc",
        "curl(1), section Environment",
        note="So for programs on libcurl. The curl of System32 uses Schannel and fails in the sandbox in any case.",
    ),
    Row("wget", (_proxy(),), "--no-proxy, a proxy in .wgetrc", "wget(1), section Environment"),
    Row(
        "pip",
        (
            Means("no index", (Variable("PIP_NO_INDEX", "1"),)),
            Means(DEAD_PROXY, (Variable("PIP_PROXY", "{proxy}"),)),
            _proxy("PIP_PROXY"),
            Means(
                "no retries",
                helps=(Variable("PIP_RETRIES", "0"), Variable("PIP_DISABLE_PIP_VERSION_CHECK", "1")),
            ),
        ),
        "--index-url with --isolated, --proxy",
        "pip documentation: Configuration, environment variables; pip's cmdoptions.py",
        note="Installing from local files and --find-links directories goes on working.",
    ),
    Row(
        "uv",
        (Means("offline setting", (Variable("UV_OFFLINE", "1"),)), _proxy()),
        "--no-offline",
        "uv help (env: UV_OFFLINE)",
    ),
    Row(
        "poetry",
        (_proxy(),),
        "unsetting the variables; a build backend or plugin that opens sockets",
        "requests: Proxies",
    ),
    Row(
        "conda",
        (Means("offline setting", (Variable("CONDA_OFFLINE", "true"),)), _proxy()),
        "--no-offline",
        "conda's own tests use CONDA_OFFLINE; every setting of .condarc has such a variable",
    ),
    Row(
        "npm",
        (
            Means("offline setting", (_NPM_OFFLINE,)),
            Means(DEAD_PROXY, _NPM_PROXY, (_NPM_NO_PROXY,), ("no_proxy", "npm_config_noproxy")),
            _proxy(*_NPM_OWN),
            Means("no retries, no audit", helps=_NPM_QUICK),
        ),
        "--no-offline with --noproxy; scripts that open sockets",
        "npm documentation: config (npm_config_*, offline, proxy, noproxy, audit, fetch-retries)",
    ),
    Row(
        "pnpm",
        (
            # One of the two names by version, which is not known here: both are needed.
            Means("offline setting", (_NPM_OFFLINE, Variable("pnpm_config_offline", "true"))),
            Means(
                DEAD_PROXY,
                (*_NPM_PROXY, *_PNPM_PROXY),
                (_NPM_NO_PROXY, Variable("pnpm_config_no_proxy", "{no_proxy}")),
                ("no_proxy", "npm_config_noproxy", "pnpm_config_no_proxy"),
            ),
            _proxy(*_PNPM_OWN),
            Means("no retries", helps=(*_NPM_QUICK, Variable("pnpm_config_fetch_retries", "0"))),
        ),
        "--no-offline; scripts that open sockets",
        "pnpm documentation: settings (npm_config_* to version 10, pnpm_config_* from version 11 on)",
    ),
    Row(
        "corepack",
        (Means("network switched off", (Variable("COREPACK_ENABLE_NETWORK", "0"),)), _proxy()),
        "another value of COREPACK_ENABLE_NETWORK",
        "Corepack: environment variables",
    ),
    Row(
        "yarn-classic",
        (
            Means(
                "npm's {dead_proxy}",
                _NPM_PROXY,
                (_NPM_NO_PROXY, _NPM_OFFLINE, *_NPM_QUICK),
                ("no_proxy", "npm_config_noproxy"),
            ),
            _proxy(*_NPM_OWN, text="npm's {dead_proxy}"),
        ),
        "--proxy, --https-proxy; scripts that open sockets",
        "Yarn 1: lib/cli.js reads npm_config_* (proxy, https-proxy)",
    ),
    Row(
        "yarn-berry",
        (
            Means(
                "network switched off",
                (Variable("YARN_ENABLE_NETWORK", "0"),),
                (Variable("YARN_ENABLE_TELEMETRY", "0"),),
            ),
            Means(
                DEAD_PROXY,
                (Variable("YARN_HTTP_PROXY", "{proxy}"), Variable("YARN_HTTPS_PROXY", "{proxy}")),
                (*_HTTP, *_MORE),  # for the programs that it runs: Yarn's own requests do not read them
            ),
        ),
        "another value of YARN_ENABLE_NETWORK; scripts that open sockets",
        "Yarn: enableNetwork, enableTelemetry, httpProxy, httpsProxy, read from YARN_*",
    ),
    Row(
        "bun",
        (_proxy(),),
        "fetch with proxy, sockets",
        "Bun: Proxy HTTP requests using fetch(), environment variables",
    ),
    Row(
        "deno",
        (_proxy(), Means("no update check", helps=(Variable("DENO_NO_UPDATE_CHECK", "1"),))),
        "Deno.createHttpClient with a proxy, Deno.connect",
        "Deno documentation: environment variables",
    ),
    Row(
        "node",
        (
            _proxy(
                text="{dead_proxy} for fetch from Node 22.21 and 24.0 on, for http and https from 22.21 and 24.5 on",
                also=(Variable("NODE_USE_ENV_PROXY", "1"),),
            ),
        ),
        "an agent or dispatcher of its own, net.connect; http and https in 24.0 to 24.4; Node 23 and "
        "every Node before 22.21 (20 and older) ignore the variable",
        "Node documentation: NODE_USE_ENV_PROXY; release notes of 22.21.0 and 24.5.0",
    ),
    Row(
        "cargo",
        (
            Means("offline setting", (Variable("CARGO_NET_OFFLINE", "true"),)),
            Means(DEAD_PROXY, (Variable("CARGO_HTTP_PROXY", "{proxy}"),), undone_by=("no_proxy",)),
            _proxy("CARGO_HTTP_PROXY"),
            Means("no retries", helps=(Variable("CARGO_NET_RETRY", "0"),)),
        ),
        "--config net.offline=false with another proxy; build scripts that open sockets",
        "Cargo Book: Configuration (net.offline, net.retry, http.proxy)",
    ),
    Row("rustup", (_proxy(),), "unsetting the variables", "rustup book: Network proxies"),
    Row(
        "go",
        (
            Means(
                "no module proxy, no direct fetches",
                (Variable("GOPROXY", "off"), Variable("GONOPROXY", "none")),
                (Variable("GOVCS", "*:off"),),
            ),
            _proxy(),
        ),
        "GOPROXY given for one command, go run of a program with sockets; Go never uses a proxy for loopback addresses",
        "Go Modules Reference: environment variables, GOPROXY=off, GONOPROXY=none; go help vcs",
        note="GONOPROXY=none, because patterns in GOPRIVATE (which go env -w may have stored) would go past GOPROXY.",
    ),
    Row(
        "dotnet",
        (
            _proxy(),
            Means(
                "no revocation checks over the network, no telemetry",
                helps=(
                    Variable("NUGET_CERT_REVOCATION_MODE", "offline"),
                    Variable("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
                ),
            ),
        ),
        "a handler of its own; .NET Framework (see WinHTTP and WinINet); a proxy in NuGet.Config",
        "Microsoft Learn: HttpClient.DefaultProxy, NuGet CLI environment variables, .NET SDK environment variables",
        note="On Windows the variables win over the proxy in the user's settings. NuGet's restore was not tested.",
    ),
    Row(
        "java",
        (Means("{dead_proxy} in the JVM's options", _JAVA),),
        "Proxy.NO_PROXY in code, java.nio sockets; loopback addresses are all direct with allow_loopback",
        "Java Core Libraries: Java Networking and Proxies; JVM Tool Interface: JAVA_TOOL_OPTIONS",
        note="_JAVA_OPTIONS, which HotSpot reads last, wins over options on the command line, in MAVEN_OPTS and in "
        "GRADLE_OPTS; other JVMs read JAVA_TOOL_OPTIONS. Each JVM prints both to stderr.",
    ),
    Row(
        "maven",
        (
            # By version, which is not known here: both are needed.
            Means(
                "{dead_proxy} in the JVM's options before Maven 3.9, --offline from 3.9 on",
                (*_JAVA, Variable("MAVEN_ARGS", "--offline", "append")),
            ),
        ),
        "a proxy in settings.xml; plugins that open sockets; mvnw with its jar, which does not read MAVEN_ARGS (the "
        "only-script mvnw calls mvn, which does)",
        "Maven: Configuring Apache Maven (MAVEN_ARGS); Maven Resolver: configuration options; Maven Wrapper: mvnw",
        note="Maven's own transport ignores the JVM's proxy from 3.9 on: there --offline is what makes it give up.",
    ),
    Row(
        "gradle",
        (
            Means(
                "{dead_proxy} in the JVM's options, no daemon",
                (*_JAVA, Variable("GRADLE_OPTS", "-Dorg.gradle.daemon=false", "append")),
            ),
        ),
        "systemProp.* in gradle.properties; plugins that open sockets",
        "Gradle: Configuring the Build Environment",
        note="Gradle has no variable for --offline. A daemon from outside would run the build outside, hence none.",
    ),
    Row(
        "python",
        (_proxy(text="{dead_proxy} for urllib, requests and httpx"),),
        "aiohttp without trust_env=True, trust_env=False, http.client, sockets",
        "Python: urllib.request.getproxies; requests: Proxies; HTTPX: environment variables; aiohttp: Proxy support",
    ),
    Row(
        "ruby",
        (_proxy(text="{dead_proxy} for Net::HTTP, gem, bundler"),),
        "a proxy in .gemrc, sockets; Net::HTTP never uses a proxy for loopback addresses",
        "Ruby: Net::HTTP, URI::Generic.find_proxy; rubygems: remote_fetcher.rb",
    ),
    Row(
        "composer",
        (Means("network switched off", (Variable("COMPOSER_DISABLE_NETWORK", "1"),)), _proxy()),
        "another value of COMPOSER_DISABLE_NETWORK together with an unset proxy",
        "Composer: HttpDownloader.php (COMPOSER_DISABLE_NETWORK, proxies)",
        note="COMPOSER_DISABLE_NETWORK counts with PHP's curl extension only; without it the dead proxy is what helps.",
    ),
    Row("mercurial", (_proxy(),), "[http_proxy] in hgrc", "Mercurial: url.py; hg help config.http_proxy"),
    Row(
        "hex",
        (Means("offline setting", (Variable("HEX_OFFLINE", "1"),)), _proxy()),
        "another value of HEX_OFFLINE together with an unset proxy",
        "mix hex.config",
        note="Mix's own downloads (mix local.hex) read the proxy only; HEX_OFFLINE was not tested.",
    ),
    Row(
        "huggingface",
        (
            Means("offline setting", (Variable("HF_HUB_OFFLINE", "1"),), (Variable("TRANSFORMERS_OFFLINE", "1"),)),
            _proxy(),
        ),
        "another value of HF_HUB_OFFLINE",
        "huggingface_hub: environment variables",
    ),
    Row(
        "gh",
        (
            _proxy(),
            Means(
                "no prompts",
                helps=(Variable("GH_PROMPT_DISABLED", "1"), Variable("GH_NO_UPDATE_NOTIFIER", "1")),
            ),
        ),
        "unsetting the variables",
        "gh help environment; Go: net/http.ProxyFromEnvironment",
        note="Tokens (GH_TOKEN, GITHUB_TOKEN) are the environment's matter, not the shim's.",
    ),
    Row(
        "docker",
        (
            Means(
                "the address of the {dead_proxy} in place of the daemon's",
                (Variable("DOCKER_HOST", "tcp://{authority}"), Variable("DOCKER_CONTEXT", "")),
            ),
        ),
        "docker -H, docker --context",
        "docker --help (DOCKER_HOST, DOCKER_CONTEXT)",
        note="The daemon runs outside the sandbox and can write and fetch for its clients. DOCKER_CONTEXT, which would "
        "win over DOCKER_HOST, is taken away.",
    ),
    Row(
        "aws",
        (
            _proxy(),
            Means(
                "no metadata service, one attempt",
                helps=(Variable("AWS_EC2_METADATA_DISABLED", "true"), Variable("AWS_MAX_ATTEMPTS", "1")),
            ),
        ),
        "--endpoint-url on loopback",
        "AWS CLI user guide: HTTP proxy, environment variables; botocore",
        note="AWS_ENDPOINT_URL is left alone: it often names a test server on loopback.",
    ),
    Row(
        "gcloud",
        (
            Means(DEAD_PROXY, _GCLOUD, undone_by=("no_proxy",)),
            _proxy(*(variable.name for variable in _GCLOUD)),
        ),
        "unsetting the variables",
        "Google Cloud CLI: properties as CLOUDSDK_<SECTION>_<PROPERTY>, proxy settings",
    ),
    Row(
        "az",
        (_proxy(),),
        "unsetting the variables",
        "unconfirmed in the Azure CLI's own documentation; requests: Proxies",
    ),
    Row(
        "powershell",
        (_proxy(text="{dead_proxy}, PowerShell 7 only"),),
        "-NoProxy; Windows PowerShell 5.1 (see WinHTTP and WinINet)",
        "Microsoft Learn: HttpClient.DefaultProxy, Use the Az PowerShell module behind a proxy",
    ),
    Row(
        "WinHTTP and WinINet",
        (),
        "Windows PowerShell 5.1, .NET Framework, winget, BITS, certutil and all else that uses the system's settings",
        "Microsoft Learn: WinHTTP proxy configuration",
        note="These read the user's or the machine's settings, no variable. Most need Schannel, which fails in a "
        "restricted token; nothing is promised.",
    ),
    Row("raw sockets", (), "every program that opens a socket itself, and name resolution", "-"),
)
