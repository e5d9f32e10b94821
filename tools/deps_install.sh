#!/usr/bin/env bash
# Installs what building and testing need: the packages of tools/packages.txt, and Debian trees with a MySQL server and
# a newer MariaDB under ${SHARDMERGE_CACHE:-/var/cache/shardmerge}: sid, trixie. Does nothing, quickly, when all is there.
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
    # A package's service is not started: nothing here needs it, and it would take a port.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap '"${as_root[@]}" rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
        "${as_root[@]}" chmod 755 $policy
    fi
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
    [ -z "$(trap -p EXIT)" ] || "${as_root[@]}" rm -f $policy
    trap - EXIT
fi

# tree SUITE PROGRAM PACKAGE…: bootstrapped beside and moved into place, so that an interrupted run leaves nothing half done.
new=
trap 'if [ -n "$new" ]; then "${as_root[@]}" rm -rf --one-file-system "$new"; fi' EXIT
tree() {
    local suite=$1 program=$2
    shift 2
    if [ -x "$cache/$suite$program" ]; then return; fi
    echo "making the tree of $* in $cache/$suite (once, a few minutes)"
    "${as_root[@]}" mkdir -p "$cache"
    new=$("${as_root[@]}" mktemp -d "$cache/new.XXXXXX")
    "${as_root[@]}" debootstrap --variant=minbase "$suite" "$new/$suite" "$mirror" >/dev/null
    # Nothing that is installed inside may start a service.
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$new/$suite/usr/sbin/policy-rc.d" >/dev/null
    "${as_root[@]}" chmod 755 "$new/$suite/usr/sbin/policy-rc.d"
    # A mirror that stands still for a while is good enough for a tree that only tests use.
    "${as_root[@]}" chroot "$new/$suite" apt-get -o Acquire::Check-Valid-Until=false update -qq
    "${as_root[@]}" chroot "$new/$suite" apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    "${as_root[@]}" chroot "$new/$suite" apt-get clean
    "${as_root[@]}" mv -T "$new/$suite" "$cache/$suite"
    "${as_root[@]}" rmdir "$new"
    new=
}
tree sid /usr/sbin/mysqld mysql-server-core
tree trixie /usr/sbin/mariadbd mariadb-server-core mariadb-client-core
echo "dependencies are there"
