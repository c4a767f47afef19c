#!/usr/bin/env bash
# Runs a command beside a Docker engine of its own, and removes the engine with all that it holds. As root.
#   with_engine.sh COMMAND...     which finds the engine in DOCKER_HOST and its client as `docker`
#
# The engine touches neither this machine's firewall nor its bridges: containers reach each other and published ports
# on 127.0.0.1 work; builds that fetch packages need --network host.
set -euo pipefail
work=$(mktemp -d /tmp/convserve-engine.XXXXXX)
engine=
finish() {
  local mount
  if [[ -n $engine ]]; then
    DOCKER_HOST=unix://$work/socket docker ps -q | xargs -r env DOCKER_HOST="unix://$work/socket" docker kill >/dev/null || true
    kill "$engine" 2>/dev/null || true
    wait "$engine" || true
  fi
  while read -r mount; do umount "$mount"; done < <(awk -v at="$work/" 'index($2, at) == 1 {print $2}' /proc/mounts | tac)
  rm -rf --one-file-system "$work"
}
trap finish EXIT
die() {
  printf 'with_engine: %s\n' "$*" >&2
  [[ ! -e $work/log ]] || tail -n 20 "$work/log" >&2
  exit 1
}

[[ $(id -u) == 0 ]] || die "an engine of its own needs root"
command -v dockerd >/dev/null || die "no dockerd; docker/deployment-packages.txt has what is needed"
# The client that came with the engine comes before others: it can build.
PATH=$(dirname "$(command -v dockerd)" | sed 's/sbin/bin/'):$PATH
export PATH DOCKER_HOST=unix://$work/socket DOCKER_CONFIG=$work/config DOCKER_BUILDKIT=1
unset DOCKER_CONTEXT
dockerd --data-root "$work/data" --exec-root "$work/exec" --host "$DOCKER_HOST" --pidfile "$work/pid" \
  --iptables=false --ip-masq=false --ip-forward=false --bridge=none &>"$work/log" &
engine=$!
until docker info &>/dev/null; do
  kill -0 "$engine" 2>/dev/null || die "the engine does not start"
  sleep 0.1
done
"$@"
