#!/usr/bin/env bash
# Installs the .deb files into a fresh Debian, runs the server as its unit does, calls it, builds a program against the
# library, checks the unit, and takes everything out again. As root.
#   packages_test.sh BASE_TAR PACKAGES_DIR
set -euo pipefail
readonly base=$1 packages=$2
source=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
readonly source
root=$(mktemp -d)
server=
finish() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf --one-file-system "$root"
}
trap finish EXIT
die() {
  printf 'packages_test: %s\n' "$*" >&2
  exit 1
}
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

echo "unpacking $base"
tar -xf "$base" -C "$root"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp "$packages"/*.deb "$root/tmp/"
# No service may start in a folder that is no machine.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
inside apt-get update -qq

echo 'installing convserve and convctl'
inside sh -ec 'apt-get install -y -qq --no-install-recommends /tmp/convserve_*.deb /tmp/convctl_*.deb' \
  >"$root/install.log" 2>&1 || die "not installable: $(<"$root/install.log")"
inside test -e /etc/systemd/system/multi-user.target.wants/convserve.service || die 'the unit is not enabled'

echo 'running the unit'"'"'s command with its environment file, as nobody'
readonly unit=$root/lib/systemd/system/convserve.service
environment=$root$(sed -n 's/^EnvironmentFile=-//p' "$unit")
read -r -a command < <(sed -n 's/^ExecStart=//p' "$unit")
mapfile -t settings < <(grep '^CONVSERVE_' "$environment")
[[ " ${settings[*]} " == *' CONVSERVE_LISTEN=127.0.0.1:50051 '* ]] || die "no address in the environment file"
exec {output}< <(exec chroot --userspec=65534:65534 "$root" env -i "${settings[@]}" \
  CONVSERVE_LISTEN=127.0.0.1:0 CONVSERVE_METRICS_LISTEN=127.0.0.1:0 CONVSERVE_DRAIN_WAIT=0 "${command[@]}" 2>/dev/null)
server=$!
read -r -u "$output" line || die 'the server did not start'
readonly address=${line#listening on }
inside convctl --server "$address" health
printed=$(inside convctl --server "$address" conv --input '[[1,2],[3,4]]' --weight '[[2]]')
[[ $printed == *'[[[[2, 4],'*'[6, 8]]]]'* ]] || die "wrong answer: $printed"

echo 'building a program with libconvserve-dev'
inside sh -ec 'apt-get install -y -qq --no-install-recommends /tmp/libconvserve-dev_*.deb cmake make g++' \
  >"$root/install.log" 2>&1 || die "not installable: $(<"$root/install.log")"
cp -r "$source/tests/e2e/quickstart" "$root/tmp/quickstart"
cp "$source/client/quickstart.cc" "$root/tmp/quickstart/"
inside sh -ec 'cmake -S /tmp/quickstart -B /tmp/quickstart/build && cmake --build /tmp/quickstart/build' >"$root/build.log" 2>&1 ||
  die "does not build: $(<"$root/build.log")"
printed=$(inside /tmp/quickstart/build/quickstart "$address")
[[ $printed == *'3.,  3.,  4.,  4.'* ]] || die "wrong answer: $printed"

kill -TERM "$server"
wait "$server" || die "the server ended with $?"
server=

echo 'checking the unit'
# The program is in the fresh Debian, the units that this one refers to are on this machine.
sed "s|^ExecStart=|&$root|" "$unit" >"$root/convserve.service"
complaints=$(systemd-analyze --man=no verify "$root/convserve.service" 2>&1 | grep -F convserve || true)
[[ -z $complaints ]] || die "the unit is wrong: $complaints"
systemd-analyze --offline=yes --threshold=20 --no-pager security "$root/convserve.service" >"$root/unit.log" ||
  die "the unit is exposed: $(<"$root/unit.log")"
tail -n 1 "$root/unit.log"

echo 'taking the packages out'
inside dpkg --purge libconvserve-dev convctl convserve >"$root/install.log" 2>&1 || die "stays: $(<"$root/install.log")"
left=$(find "$root/etc" "$root/usr" "$root/lib" "$root/var" -name '*convserve*')
[[ -z $left ]] || die "left behind: $left"
