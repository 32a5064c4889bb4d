# shellcheck shell=bash
# A private Redis in FOLDER/redis. Sourced by deploy/services.

# start_redis DIR PROGRAM: sets REDIS_URL, unless it is set.
start_redis() {
  local dir=$1/redis program=$2 password port
  [ -z "${REDIS_URL-}" ] || return 0
  mkdir -m 700 "$dir"
  password=$(secret)
  for _ in {1..20}; do
    port=$(free_port)
    cat >"$dir/redis.conf" <<CONF
bind 127.0.0.1
port $port
requirepass $password
dir "$dir"
logfile "$dir/log"
save ""
CONF
    setsid "$program" "$dir/redis.conf" </dev/null >/dev/null 2>&1 9>&- &
    echo "$!" >"$dir/pid"
    if redis_answers "$dir" "$port" "$password"; then
      export REDIS_URL="redis://:$password@127.0.0.1:$port/0"
      return
    fi
    grep -q 'Address already in use' "$dir/log" || break
    rm "$dir/log"
  done
  tail -n 20 "$dir/log" >&2
  return 1
}

# Only our own Redis knows the password.
redis_answers() {
  local dir=$1 port=$2 password=$3 answer
  for _ in {1..200}; do
    kill -0 "$(<"$dir/pid")" 2>/dev/null || return 1
    if { exec 7<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
      printf 'AUTH %s\r\n' "$password" >&7
      read -r -t 5 answer <&7 || answer=
      exec 7>&-
      [ "$answer" != $'+OK\r' ] || return 0
    fi
    sleep 0.05
  done
  return 1
}
