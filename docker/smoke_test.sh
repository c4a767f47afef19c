#!/usr/bin/env bash
# Runs the image as an operator who trusts nothing would, calls it from another container, and stops it.
#   smoke_test.sh [IMAGE]      in the Docker engine of DOCKER_HOST
set -euo pipefail
readonly image=${1:-convserve}
readonly name=convserve-smoke-$$
readonly hardened=(--read-only --cap-drop ALL --security-opt no-new-privileges --memory 256m --cpus 1 --pids-limit 64)
scratch=$(mktemp -d)
containers=()
finish() {
  ((${#containers[@]} == 0)) || docker rm --force "${containers[@]}" >/dev/null 2>&1 || true
  docker network rm "$name" >/dev/null 2>&1 || true
  rm -r "$scratch"
}
trap finish EXIT
die() {
  printf 'smoke_test: %s\n' "$*" >&2
  ((${#containers[@]} == 0)) || docker logs "${containers[0]}" >&2 || true
  exit 1
}
docker info >/dev/null || die 'no Docker engine answers'

# serve NAME [docker run arguments]: a hardened server on the network of this test.
serve() {
  containers+=("$1")
  docker run --detach --name "$1" --network "$name" --publish 127.0.0.1::9464 "${hardened[@]}" "${@:2}" "$image" >/dev/null
}
wait_for_health() {
  local status=starting
  while [[ $status == starting ]]; do
    read -r status < <(docker inspect --format '{{.State.Health.Status}}' "$1")
    sleep 0.1
  done
  [[ $status == healthy ]] || die "$1 is $status"
}
metric() { sed -n "s/^$2 //p" < <(curl --silent --fail "http://$(docker port "$1" 9464)/metrics"); }
expect() { [[ $2 == "$3" ]] || die "$1: expected '$3', got '${2:0:500}'"; }
# calls WHAT ARGUMENT...: convctl in a container of its own; it must print WHAT.
calls() {
  local printed
  printed=$(docker run --rm --network "$name" "${hardened[@]}" --entrypoint /usr/bin/convctl "$image" \
    --server "$name:50051" "${@:2}" 2>&1) || die "convctl ${*:2}: $printed"
  [[ $printed == *"$1"* ]] || die "convctl ${*:2}: expected $1 in $printed"
}

echo "what is in $image"
container=$(docker create "$image")
containers+=("$container")
docker export "$container" | tar -t >"$scratch/files"
docker rm "$container" >/dev/null
containers=()
expect 'programs' "$(grep -E '^(usr/)?s?bin/.' "$scratch/files" | sort | tr '\n' ' ')" 'usr/bin/convctl usr/bin/convserve '
others=$(grep -v '/$' "$scratch/files" | grep -vE '^usr/bin/|\.so(\.[0-9.]+)?$|^usr/share/doc/[^/]*/copyright$|^var/lib/dpkg/status\.d/' |
  grep -vE '^(etc/(passwd|group|nsswitch\.conf|os-release|hostname|hosts|mtab|resolv\.conf)|\.dockerenv|lib|lib64|dev/console)$' || true)
expect 'other files' "$others" ''
docker image inspect --format '{{.Size}}' "$image" |
  awk -v libraries="$(grep -cE '\.so(\.[0-9.]+)?$' "$scratch/files")" '{printf "two programs and %d libraries, %.1f MB\n", libraries, $1 / 1e6}'
expect 'user' "$(docker image inspect --format '{{.Config.User}}' "$image")" 65532:65532

echo 'a hardened server'
docker network create "$name" >/dev/null
serve "$name"
wait_for_health "$name"
pid=$(docker inspect --format '{{.State.Pid}}' "$name")
for line in 'Uid:65532' 'CapEff:0000000000000000' 'NoNewPrivs:1'; do
  expect "${line%%:*}" "$(awk -v field="${line%%:*}:" '$1 == field {print $2}' "/proc/$pid/status")" "${line#*:}"
done

echo 'every call, from another container'
calls SERVING health
calls '[6, 8]' conv --input '[[1,2],[3,4]]' --weight '[[2]]'
calls '[3, 6, 0, 0, 4, 8]' conv-transpose --input '[[1,2],[3,4]]' --weight '[[1,2],[0,1]]' --stride 4
calls '[1, 64, 112, 112]' describe conv --input-shape 1,3,224,224 --weight-shape 64,3,7,7 --stride 2 --padding 3
calls 'y[0,0,0,0]' explain conv --input '[[1,2],[3,4]]' --weight '[[1,2],[0,1]]' --at 0,0,0,0
for method in Conv ConvTranspose Describe Explain; do
  expect "$method" "$(metric "$name" "convserve_calls_finished_total{code=\"OK\",method=\"$method\"}")" 1
done

echo 'half of the memory of the container is for requests, its share of the processors computes'
expect 'under the limit of the engine' "$(metric "$name" convserve_memory_limit_bytes)" $((128 << 20))
expect 'threads under --cpus 1' "$(metric "$name" convserve_threads)" 1
# This machine has one version of control groups; the files of a container under either one.
mkdir -p "$scratch/v1/memory" "$scratch/v1/cpu" "$scratch/v2"
echo $((512 << 20)) >"$scratch/v1/memory/memory.limit_in_bytes"
echo $((768 << 20)) >"$scratch/v2/memory.max"
echo 100000 | tee "$scratch/v1/cpu/cpu.cfs_quota_us" >"$scratch/v1/cpu/cpu.cfs_period_us"
echo 90000 100000 >"$scratch/v2/cpu.max"
chmod -R a+rX "$scratch"
for version in v1 v2; do
  serve "$name-$version" --volume "$scratch/$version:/sys/fs/cgroup:ro"
  until docker logs "$name-$version" 2>/dev/null | grep -q '^metrics on'; do
    [[ $(docker inspect --format '{{.State.Running}}' "$name-$version") == true ]] || die "$name-$version has ended"
    sleep 0.1
  done
done
expect 'version 1' "$(metric "$name-v1" convserve_memory_limit_bytes)" $((256 << 20))
expect 'version 2' "$(metric "$name-v2" convserve_memory_limit_bytes)" $((384 << 20))
for version in v1 v2; do
  expect "threads of $version" "$(metric "$name-$version" convserve_threads)" 1
done

echo 'under TLS convctl is the probe: with the settings of docker/kubernetes/tls'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=convserve \
  -addext subjectAltName=DNS:convserve -keyout "$scratch/tls.key" -out "$scratch/tls.crt" 2>/dev/null
cp "$scratch/tls.crt" "$scratch/ca.crt"
chmod a+r "$scratch/tls.key"
tls=(--volume "$scratch:/tls:ro" --env CONVSERVE_TLS_CERT=/tls/tls.crt --env CONVSERVE_TLS_KEY=/tls/tls.key)
serve "$name-tls" "${tls[@]}" --env CONVCTL_TLS_CA=/tls/ca.crt --env CONVCTL_TLS_SERVER_NAME=convserve
wait_for_health "$name-tls"
if docker run --rm --network "$name" "${hardened[@]}" "${tls[@]}" --env CONVSERVE_TLS_KEY=/tls/none "$image" --check &>/dev/null; then
  die 'a server without its key started'
fi

echo 'a stop'
start=$SECONDS
docker stop --time 60 "$name" >/dev/null
expect 'exit code' "$(docker inspect --format '{{.State.ExitCode}}' "$name")" 0
((SECONDS - start <= 33)) || die "stopping took $((SECONDS - start)) s, longer than --drain-wait and --drain-seconds"
printf 'passed: stopped with 0 after %d s\n' $((SECONDS - start))
