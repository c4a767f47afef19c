#!/usr/bin/env bash
# A minimal Debian 12 in one tar file, made with the package sources of this machine: what debian:bookworm-slim is to
# a machine that reaches a registry. Made once for a build tree.
#   debian_base.sh FILE
set -euo pipefail
readonly file=$1
[[ ! -e $file ]] || exit 0
for sources in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
  [[ ! -s $sources ]] || break
done
mkdir -p "$(dirname "$file")"
mmdebstrap --mode=root --quiet --variant=minbase --dpkgopt=force-unsafe-io \
  --aptopt='Acquire::Languages "none"' bookworm "$file.new.tar" "$sources"
mv "$file.new.tar" "$file"
