#!/usr/bin/env bash
# All four calls as JSON from a shell: `buf curl` learns the contract from the server's reflection.
#   buf_curl.sh BUF      with the server's address in CONVSERVE_ADDRESS
set -euo pipefail
readonly buf=$1

call() {
  local method=$1 request=$2 expected=$3 response
  response=$("$buf" curl --protocol grpc --http2-prior-knowledge --data "$request" \
    "http://$CONVSERVE_ADDRESS/convserve.v1.ConvolutionService/$method")
  if [[ ${response//[$' \n']/} != *"$expected"* ]]; then
    printf '%s answered\n%s\nwithout %s\n' "$method" "$response" "$expected" >&2
    exit 1
  fi
}

readonly ones='{"dataType":"DATA_TYPE_FLOAT32","shape":[1,1,4,4],"values":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}'
readonly kernel='{"dataType":"DATA_TYPE_FLOAT32","shape":[1,1,2,2],"values":[1,2,0,1]}'
readonly encoding='"outputEncoding":"TENSOR_ENCODING_VALUES"'

call Conv "{\"input\":$ones,\"weight\":$kernel,\"parameters\":{\"stride\":[2]},$encoding}" '"values":[4,4,4,4]'
call ConvTranspose "{\"input\":$kernel,\"weight\":$kernel,$encoding}" '"values":[1,4,4,0,2,4,0,0,1]'
call Describe '{"inputShape":[1,1,28,28],"weightShape":[1,1,5,5],"inputType":"DATA_TYPE_FLOAT32",
  "weightType":"DATA_TYPE_FLOAT32","conv":{"stride":[2]}}' '"outputShape":["1","1","12","12"]'
call Explain "{\"convTranspose\":{\"input\":$kernel,\"weight\":$kernel},\"outputIndex\":[0,0,0,1]}" '"value":4'

if "$buf" curl --protocol grpc --http2-prior-knowledge --data "{\"input\":$kernel,\"weight\":$ones}" \
  "http://$CONVSERVE_ADDRESS/convserve.v1.ConvolutionService/Conv" 2>refusal.txt; then
  echo 'a kernel larger than its input was accepted' >&2
  exit 1
fi
grep -q 'invalid_argument' refusal.txt && grep -q 'weight.shape\[2\]' refusal.txt || {
  cat refusal.txt >&2
  exit 1
}
echo 'conv, conv-transpose, describe and explain through reflection: ok'
