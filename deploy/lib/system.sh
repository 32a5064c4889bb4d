# shellcheck shell=bash
# An origin and edges as processes of this machine. Sourced by deploy/demo/run and deploy/bench.

pids=()
edges=()
edge_settings=()

# start_system DIR BIN REGION...: an origin and an edge in each region, of the programs in BIN, with their files in
# DIR; REGION/NAME is a further edge of a region. Sets edges to what liveevents-loadtest wants to hear of them. What
# edges are given besides is in edge_settings, as NAME=VALUE.
start_system() {
  local bin=$2 region name
  system=$1
  shift 2
  mkdir -p "$system"
  exec 9>"$system/lock"
  flock -n 9 || { echo "another one runs in this checkout, in $system" >&2; exit 1; }
  rm -rf "${system:?}"/{origin,*.json,*.log}
  trap finish EXIT
  trap 'exit 130' INT TERM HUP

  export LIVEEVENTS_ENVIRONMENT=Development LIVEEVENTS_HTTP_LISTEN=127.0.0.1:0
  # What is shown or measured here asks for more in a minute than a person does.
  LIVEEVENTS_DATABASE_URL=$DATABASE_URL LIVEEVENTS_QUIC_LISTEN=127.0.0.1:0 LIVEEVENTS_RATE_LIMITING_ENABLED=false \
    LIVEEVENTS_DATA_DIR=$system/origin launch origin "$bin/liveevents-origin"
  for name in "$@"; do
    region=${name%%/*} name=${name/\//-}
    LIVEEVENTS_REDIS_URL=$REDIS_URL LIVEEVENTS_ORIGINS=$(address origin quic) LIVEEVENTS_REGION=$region \
      LIVEEVENTS_EDGE_ID=local-$name LIVEEVENTS_CA_FILE=$system/origin/tls/ca.pem \
      LIVEEVENTS_TRUST_KEY_FILE=$system/origin/trust-key LIVEEVENTS_ENROLMENT_TOKEN_FILE=$system/origin/edge-token \
      launch "edge-$name" env "${edge_settings[@]}" "$bin/liveevents-edge"
    edges+=(--edge "$region=http://$(address "edge-$name" http)")
  done
}

# target_directory: where cargo puts what it builds.
target_directory() {
  cargo metadata --no-deps --format-version 1 | sed -nE 's/.*"target_directory":"([^"]+)".*/\1/p'
}

# launch NAME COMMAND...: starts a server in the background and waits until it is ready.
launch() {
  local name=$1 ready=$system/$1.json pid
  shift
  # In a process group of its own a Ctrl-C spares it until the show is over; should this shell be killed, it ends too.
  set -m
  setpriv --pdeathsig TERM -- "$@" --ready-file "$ready" >"$system/$name.log" 2>&1 9>&- &
  pid=$!
  set +m
  pids+=("$pid")
  for _ in {1..600}; do
    [ ! -s "$ready" ] || return 0
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "$name did not start; the end of $system/$name.log:" >&2
  tail -n 20 "$system/$name.log" >&2
  return 1
}

# address NAME LISTENER: where it listens, from the file that it writes once it is ready.
address() { sed -nE "s/.*\"$2\": *\"([^\"]+)\".*/\1/p" "$system/$1.json"; }

# The edges first, so that they say goodbye to the origin. A server has longer than it gives itself.
finish() {
  local i pid
  trap '' INT TERM HUP
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    pid=${pids[i]}
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in {1..150}; do
      kill -0 "$pid" 2>/dev/null || continue 2
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}
