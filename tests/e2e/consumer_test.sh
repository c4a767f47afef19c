#!/usr/bin/env bash
# Installs the build, and builds other projects against what was installed.
#   consumer_test.sh BUILD_DIR SCRATCH_DIR [CXX_FLAGS]     with the server's address in CONVSERVE_ADDRESS
set -euo pipefail
readonly build=$1 scratch=$2 flags=${3:-}
readonly source=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")

rm -rf "$scratch"
cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
for project in tests/e2e/consumer client/quickstart; do
  # Copied away from the source tree, so that nothing is found there by accident.
  name=$(basename "$project")
  cp -r "$source/$project" "$scratch/$name"
  cmake -G Ninja -S "$scratch/$name" -B "$scratch/$name/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" \
    -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_FLAGS="$flags"
  cmake --build "$scratch/$name/build"
done

[[ $("$scratch/consumer/build/core_user") == *'0.,  3.,  0.,  0.,  0.,  4.'* ]]
if ldd "$scratch/consumer/build/core_user" | grep -E 'grpc|protobuf'; then
  echo 'the core alone links gRPC' >&2
  exit 1
fi
[[ $("$scratch/quickstart/build/quickstart" "$CONVSERVE_ADDRESS") == '[1, 1, 6, 6], last element 4' ]]
"$scratch/prefix/bin/convctl" --server "$CONVSERVE_ADDRESS" health
