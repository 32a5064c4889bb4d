# shellcheck shell=bash
# A private Postgres in FOLDER/postgres. Sourced by deploy/services.

# Whom Postgres runs as, where that is somebody else: it refuses root.
pg_user() {
  [ "$(id -u)" = 0 ] || return 0
  if id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

as_pg() {
  local user
  user=$(pg_user)
  if [ -n "$user" ]; then
    setpriv --reuid="$user" --regid="$(id -gn "$user")" --init-groups -- "$@"
  else
    "$@"
  fi
}

# prepare_postgres DIR: makes its folder and prints where to find its programs. An unprivileged user gets a folder of
# its own, under /tmp if it cannot reach the project's, and wrapped programs, so that whoever calls them need not know.
prepare_postgres() {
  local dir=$1 user bin home program
  bin=$(tool postgres)
  user=$(pg_user)
  mkdir "$dir/postgres"
  if [ -n "$user" ]; then
    chown "$user:" "$dir/postgres"
    if ! as_pg test -w "$dir/postgres"; then
      rmdir "$dir/postgres"
      ln -s "$(mktemp -d /tmp/liveevents-postgres.XXXXXX)" "$dir/postgres"
      chown "$user:" "$dir/postgres/"
    fi
    home=$(readlink -f "$dir/postgres")
    mkdir "$dir/bin"
    for program in "$bin"/*; do
      cat >"$dir/bin/${program##*/}" <<SCRIPT
#!/bin/sh
cd '$home/tests' || exit
HOME=\$PWD exec setpriv --reuid=$user --regid=$(id -gn "$user") --init-groups -- '$program' "\$@"
SCRIPT
    done
    chmod 755 "$dir"/bin/*
    bin=$dir/bin
  fi
  chmod 700 "$dir/postgres/"
  as_pg mkdir "$(readlink -f "$dir/postgres")/tests"
  echo "$bin"
}

# start_postgres DIR BIN: sets DATABASE_URL, unless it is set.
start_postgres() {
  local home bin=$2 password port
  [ -z "${DATABASE_URL-}" ] || return 0
  home=$(readlink -f "$1/postgres")
  password=$(secret)
  echo "$password" >"$home/password"
  chmod 644 "$home/password" # its folder is closed; the reader may be somebody else
  # The password travels as it is, over loopback: SCRAM costs an unoptimised client more than its whole test.
  "$bin/initdb" -D "$home/main" -U liveevents --pwfile="$home/password" --auth=password --encoding=UTF8 \
    --locale=C --no-sync >"$home/initdb.log" 2>&1 || { cat "$home/initdb.log" >&2; return 1; }
  cat >>"$home/main/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 400           # every test has a database and pools of its own
shared_buffers = 64MB
fsync = ${TEST_PG_FSYNC:-off}
CONF
  for _ in {1..20}; do
    port=$(free_port)
    if "$bin/pg_ctl" -D "$home/main" -s -w -t 60 -l "$home/main.log" -o "-p $port" start 9>&- 2>/dev/null; then
      export DATABASE_URL="postgres://liveevents:$password@127.0.0.1:$port/postgres"
      return
    fi
    grep -q 'Address already in use' "$home/main.log" || break
    rm "$home/main.log"
  done
  tail -n 20 "$home/main.log" >&2
  return 1
}
