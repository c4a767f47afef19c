#!/usr/bin/env bash
# Tests everything around the programs, step by step, with the time that each took. As root.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
readonly work=build/deployment
[[ $(id -u) == 0 ]] || {
  echo 'run.sh: a fresh Debian and a Docker engine of its own need root' >&2
  exit 1
}

# step WHAT COMMAND...
step() {
  local what=$1 start=$SECONDS
  shift
  printf '\n==> %s\n' "$what"
  "$@" || {
    printf 'FAILED  %s\n' "$what" >&2
    exit 1
  }
  printf 'passed  %s (%d s)\n' "$what" $((SECONDS - start))
}

step 'Kubernetes manifests' tests/deployment/kubernetes_test.sh build/release/bin/convserve $work/kubernetes
step 'A minimal Debian' tests/deployment/debian_base.sh $work/debian.tar
step 'Debian packages' tests/deployment/packages_test.sh $work/debian.tar build/packages
step 'Replicas behind load balancers' timeout 150 build/release/tests/replicas/replicas_test --gtest_brief=1
step 'Containers' tests/deployment/with_engine.sh tests/deployment/containers.sh $work/debian.tar
printf '\nAll deployment tests passed (%d s).\n' $SECONDS
