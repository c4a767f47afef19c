#!/usr/bin/env bash
# Checks docker/kubernetes without a cluster: that kustomize makes manifests of it, and that they are right.
#   kubernetes_test.sh CONVSERVE WORK_DIR
set -euo pipefail
program=$(readlink -f "$1")
work=$2
source=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
mkdir -p "$work"
cp "$source"/tests/deployment/kubernetes/{package.json,package-lock.json,.npmrc,check.js} "$work/"
cd "$work"
npm ci --ignore-scripts --no-audit --no-fund --loglevel error
"$program" --help >options.txt
rm -rf kubernetes
cp -r "$source/docker/kubernetes" .
if ! kubectl version --client --output json 2>/dev/null | grep -q kustomizeVersion; then
  # Debian's kubectl is older than these two words for the same.
  sed -i -e 's/^resources:/bases:/' -e 's/^patches:/patchesStrategicMerge:/' -e 's/- path: /- /' kubernetes/tls/kustomization.yaml
fi
for overlay in base tls; do
  kubectl kustomize "kubernetes/$overlay" >"$overlay.yaml"
done
node check.js options.txt base.yaml tls.yaml
