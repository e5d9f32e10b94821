#!/usr/bin/env bash
# Installs what building and testing need: the packages of tools/packages.txt, and a Debian tree with a MySQL server
# under ${SHARDMERGE_CACHE:-/var/cache/shardmerge}/sid. Does nothing, quickly, when all is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${SHARDMERGE_CACHE:-/var/cache/shardmerge}
mirror=${SHARDMERGE_MIRROR:-http://deb.debian.org/debian}
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
export DEBIAN_FRONTEND=noninteractive

mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$here/packages.txt")
missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# MySQL: bootstrapped beside and moved into place, so that an interrupted run leaves nothing half done.
if [ ! -x "$cache/sid/usr/sbin/mysqld" ]; then
    echo "making the MySQL tree in $cache/sid (once, a few minutes)"
    "${as_root[@]}" mkdir -p "$cache"
    new=$("${as_root[@]}" mktemp -d "$cache/new.XXXXXX")
    trap '"${as_root[@]}" rm -rf --one-file-system "$new"' EXIT
    "${as_root[@]}" debootstrap --variant=minbase sid "$new/sid" "$mirror" >/dev/null
    # Nothing that is installed inside may start a service.
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$new/sid/usr/sbin/policy-rc.d" >/dev/null
    "${as_root[@]}" chmod 755 "$new/sid/usr/sbin/policy-rc.d"
    # A mirror that stands still for a while is good enough for a tree that only tests use.
    "${as_root[@]}" chroot "$new/sid" apt-get -o Acquire::Check-Valid-Until=false update -qq
    "${as_root[@]}" chroot "$new/sid" apt-get install -y -qq --no-install-recommends mysql-server-core >/dev/null
    "${as_root[@]}" chroot "$new/sid" apt-get clean
    "${as_root[@]}" mv -T "$new/sid" "$cache/sid"
fi
echo "dependencies are there"
