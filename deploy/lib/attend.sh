# shellcheck shell=bash
# Running a command to its end, whatever happens. Sourced by deploy/services, deploy/demo/run and deploy/bench.

# attend CMD...: runs it, passes on the signals that come meanwhile, ends what it leaves behind, and returns its status.
# From then on signals are ignored, so that cleaning up is not cut short.
attend() {
  local child process stat session
  # In a session of its own each signal reaches it once, from here, and what it leaves behind is known by the session.
  # Should this shell be killed, it ends too.
  setsid env --default-signal=INT,QUIT setpriv --pdeathsig TERM -- "$@" <&0 9>&- &
  child=$!
  trap 'kill -INT -- "-$child"' INT
  trap 'kill -TERM -- "-$child"' TERM HUP
  # A trap ends `wait` early.
  while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
  trap '' INT TERM HUP
  for process in /proc/[0-9]*; do
    stat=
    read -r -d '' stat 2>/dev/null <"$process/stat" || true
    # After the name in brackets: state, parent, group, session.
    read -r _ _ _ session _ <<<"${stat##*) }"
    [ "$session" != "$child" ] || kill -KILL "${process#/proc/}" 2>/dev/null || true
  done
  wait "$child"
}
