#!/bin/sh
# Copies programs and every shared library that they load into a folder that becomes the root of an image, with what the
# licences of the libraries ask for and what scanners of images look for. Fails where a library is missing.
#   collect_runtime.sh FOLDER PROGRAM...
set -eu
root=$1
shift

mkdir -p "$root/etc" "$root/tmp" "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/var/lib/dpkg/status.d"
chmod 1777 "$root/tmp"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$root/etc/passwd"
echo 'nonroot:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

libraries=$(ldd "$@" | sed -n -e '/not found/p' -e 's|^.*[[:space:]]\(/[^ ]*\) (0x.*|\1|p' | sort -u)
case $libraries in
  *'not found'*)
    echo "collect_runtime: $libraries" >&2
    exit 1
    ;;
esac
cp "$@" "$root/usr/bin/"
for library in $libraries; do
  # Where the loader finds it, with /lib as the link to /usr/lib that it is in Debian.
  folder=$root$(readlink -f "$(dirname "$library")")
  mkdir -p "$folder"
  cp -L "$library" "$folder/"
  dpkg-query -S "$(readlink -f "$library")" "$library" 2>/dev/null | cut -d: -f1 | head -n 1 >>"$root/packages"
done
sort -u "$root/packages" | while read -r package; do
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
done
rm "$root/packages"
cp "$(readlink -f /etc/os-release)" "$root/etc/os-release"
