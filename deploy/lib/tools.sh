# shellcheck shell=bash
# Finds the programs that tests and the demo run, and has Debian's packages installed where one is missing.
# Sourced by deploy/services; sets nothing but functions.

# Debian keeps servers where an unprivileged PATH does not look.
SERVER_PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# tool NAME: prints where the program is (for Postgres, the folder of its programs), or fails.
tool() {
  case $1 in
    postgres) find_postgres ;;
    redis) find_redis ;;
    python) find_python ;;
    gorilla-websocket) find_gorilla_websocket ;;
    *) PATH=$SERVER_PATH command -v "$1" ;;
  esac
}

# ensure NAME...: installs those of the tools that are not there.
ensure() {
  local name missing=()
  for name; do tool "$name" >/dev/null || missing+=("$name"); done
  ((${#missing[@]})) || return 0
  local packages=()
  for name in "${missing[@]}"; do packages+=("$(package "$name")"); done
  local install=(bash "${BASH_SOURCE[0]%/*}/apt-install" "${packages[@]}")
  if ! command -v apt-get >/dev/null; then
    echo "not found, and there is no apt-get to install them: ${missing[*]} (Postgres 15+, Redis 7+)" >&2
    return 1
  elif [ "$(id -u)" = 0 ]; then
    "${install[@]}" >&2 || return 1
  elif sudo -n true 2>/dev/null; then
    sudo -n "${install[@]}" >&2 || return 1
  else
    echo "not found: ${missing[*]}. As root, install them with:  apt-get install ${packages[*]}" >&2
    return 1
  fi
  for name in "${missing[@]}"; do
    tool "$name" >/dev/null || { echo "installed ${packages[*]}, but there is still no usable $name" >&2; return 1; }
  done
}

package() {
  case $1 in
    postgres) echo postgresql ;;
    redis) echo redis-server ;;
    python) echo python3-venv ;;
    go) echo golang-go ;;
    gorilla-websocket) echo golang-github-gorilla-websocket-dev ;;
    *) echo "$1" ;;
  esac
}

# The newest Postgres from 15 on, wherever it is.
find_postgres() {
  local bin version best=0 found=
  for bin in "$(dirname "$(readlink -f "$(command -v postgres)")")" /usr/lib/postgresql/*/bin "$(pg_config --bindir 2>/dev/null)"; do
    if [ ! -x "$bin/initdb" ] || [ ! -x "$bin/pg_ctl" ]; then continue; fi
    version=$("$bin/postgres" --version 2>/dev/null | sed -nE 's/^[^0-9]*([0-9]+).*/\1/p')
    if ((${version:-0} >= 15 && version > best)); then best=$version found=$bin; fi
  done
  [ -n "$found" ] && echo "$found"
}

find_redis() {
  local server version
  server=$(PATH=$SERVER_PATH command -v redis-server) || return 1
  version=$("$server" --version | sed -nE 's/.* v=([0-9]+).*/\1/p')
  ((${version:-0} >= 7)) && echo "$server"
}

# One that can make environments.
find_python() {
  local python
  python=$(command -v python3) || return 1
  "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$python"
}

# Debian's folder of Go packages, with this one in it.
find_gorilla_websocket() {
  local folder=/usr/share/gocode
  [ -d "$folder/src/github.com/gorilla/websocket" ] && echo "$folder"
}
