# shellcheck shell=bash
# Running a command to its end, whatever happens. Sourced by deploy/services, deploy/demo/run and deploy/bench.

# attend CMD...: runs it, passes on the signals that come meanwhile, ends what it leaves behind, and returns its status.
# From then on signals are ignored, so that cleaning up is not cut short.
attend() {
  local child
  # In a process group of its own each signal reaches it once, from here; should this shell be killed, it ends too.
  set -m
  setpriv --pdeathsig TERM -- "$@" 9>&- &
  child=$!
  set +m
  trap 'kill -INT -- "-$child"' INT
  trap 'kill -TERM -- "-$child"' TERM HUP
  # A trap ends `wait` early.
  while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
  trap '' INT TERM HUP
  kill -KILL -- "-$child" 2>/dev/null || true
  wait "$child"
}
