#!/usr/bin/env bash
# Installs the build, and builds other projects against what was installed.
#   consumer_test.sh BUILD_DIR SCRATCH_DIR [CXX_FLAGS]     with the server's address in CONVSERVE_ADDRESS
set -euo pipefail
readonly build=$1 scratch=$2 flags=${3:-}
readonly source=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")

rm -rf "$scratch"
cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
# Copied away from the source tree, so that nothing is found there by accident.
cp -r "$source/tests/e2e/consumer" "$source/tests/e2e/quickstart" "$scratch"
cp "$source/client/quickstart.cc" "$scratch/quickstart"
for name in consumer quickstart; do
  cmake -G Ninja -S "$scratch/$name" -B "$scratch/$name/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" \
    -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_FLAGS="$flags"
  cmake --build "$scratch/$name/build"
done

[[ $("$scratch/consumer/build/core_user") == *'0.,  3.,  0.,  0.,  0.,  4.'* ]]
if ldd "$scratch/consumer/build/core_user" | grep -E 'grpc|protobuf'; then
  echo 'the core alone links gRPC' >&2
  exit 1
fi
[[ $("$scratch/quickstart/build/quickstart" "$CONVSERVE_ADDRESS") == *'3.,  3.,  4.,  4.'* ]]
"$scratch/prefix/bin/convctl" --server "$CONVSERVE_ADDRESS" health
