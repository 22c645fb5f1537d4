#!/usr/bin/env bash
# Runs a command in namespaces of its own: network, processes and mounts. Needs no rights on most
# machines, since a user namespace is made where the caller is not root.
#
# Every address of 10.64.0.0/10 is local in there, so that each pod of a process kubelet and each
# Service has an address of its own; a Service or an EndpointSlice may not have one of 127.0.0.0/8.
# When the command ends, every process that it started ends with it.
set -euo pipefail
for program in unshare ip; do
  command -v $program >/dev/null || {
    echo "scripts/kubernetes/in_namespace.sh: $program is not installed (Debian: util-linux, iproute2)" >&2
    exit 3
  }
done
as_root=()
[ "$(id -u)" = 0 ] || as_root=(--user --map-root-user)
hosts=$(mktemp)
trap 'rm -f "$hosts"' EXIT
cp /etc/hosts "$hosts"
chmod 644 "$hosts"
unshare "${as_root[@]}" --net --mount --pid --fork --kill-child --mount-proc bash -c '
  ip link set lo up
  ip route add local 10.64.0.0/10 dev lo
  mount --bind "$1" /etc/hosts
  shift
  "$@"
' in_namespace "$hosts" "$@"
