#!/usr/bin/env bash
# Builds the images of docker/, and tests them alone and as docker/compose.yaml has them together.
#   containers.sh BASE_TAR      by with_engine.sh, from the root of the tree
#
# No registry is needed: BASE_TAR stands in for debian:bookworm-slim, and what ccache has of the release preset spares
# the image's build most of its compiling.
set -euo pipefail
readonly base=$1
readonly seed_bytes=500000000
readonly compose=(docker-compose --ansi never --file docker/compose.yaml --project-name convserve)
finish() {
  local code=$?
  ((code == 0)) || "${compose[@]}" logs --tail 30 >&2 || true
  "${compose[@]}" down --volumes --timeout 1 >/dev/null 2>&1 || true
}
trap finish EXIT
timed() {
  local what=$1 start=$SECONDS
  shift
  "$@"
  printf '%s: %d s\n' "$what" $((SECONDS - start))
}
# The newest files of ccache, as an image; others may be writing to it (tar then says 1).
import_ccache() {
  local folder
  folder=$(ccache --get-config cache_dir)
  (cd "$folder" && find . -type f -not -path './tmp/*' -not -name '*.tmp.*' -printf '%T@ %s %P\n') | sort -rn |
    awk -v most=$seed_bytes '{sum += $2} sum <= most {print $3}' |
    { tar -C "$folder" --ignore-failed-read -cf - -T - || (($? == 1)); } | docker import --message ccache - convserve-ccache
}
ask() { curl --silent --fail "http://127.0.0.1:9090/api/v1/$1"; }
targets() { ask 'targets?state=active' | grep -o '"health":"up"' | grep -c . || true; }

echo "debian:bookworm-slim is $base, made on this machine"
docker import --change 'CMD ["bash"]' "$base" debian:bookworm-slim >/dev/null
import_ccache >/dev/null
readonly arguments=(--quiet --network host --build-arg CCACHE=convserve-ccache)
timed 'image' ./dev image "${arguments[@]}"
timed 'its test stage' docker build --file docker/Dockerfile "${arguments[@]}" --target test .
timed 'HAProxy and Prometheus' sh -c '
  docker build --quiet --network host --tag convserve-haproxy docker/haproxy
  docker build --quiet --network host --tag convserve-prometheus docker/prometheus'
timed 'smoke test' docker/smoke_test.sh convserve

timed 'docker-compose up --scale convserve=3' "${compose[@]}" up --detach --no-build --scale convserve=3
CONVSERVE_CONTAINERS=$("${compose[@]}" ps -q convserve | tr '\n' ' ')
export CONVSERVE_CONTAINERS
timed 'replicas in containers' timeout 200 build/release/tests/replicas/compose_test --gtest_brief=1
for ((i = 0; $(targets) != 4; ++i)); do
  ((i < 60)) || { ask targets; echo 'Prometheus does not see three replicas and HAProxy' >&2; exit 1; }
  sleep 0.5
done
rules=$(ask rules | grep -o '"name":"Convserve[A-Za-z]*"' | sort -u | grep -c .)
expected=$(grep -c 'alert: Convserve' docker/prometheus/alerts.yml)
[[ $rules == "$expected" ]] || { echo "Prometheus has $rules of $expected alerts" >&2; exit 1; }
echo "Prometheus scrapes three replicas and HAProxy, and has $rules alerts"
