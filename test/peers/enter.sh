#!/bin/sh
# enter.sh DIR PACKAGE COMMAND...: runs COMMAND as if the unpacked PACKAGE (a
# folder) were installed on this machine, in mount and process namespaces of
# its own: the files of the package and of DIR/root lie over the root file
# system, in memory. DIR itself is /peer. All of it goes when this ends.
set -eu
if [ "${ENTERED:-}" != yes ]; then
	ENTERED=yes exec unshare --mount --pid --fork --kill-child --propagation private -- "$0" "$@"
fi
unset ENTERED
dir=$1 package=$2; shift 2
memory=$dir/memory
mkdir -p "$memory"
mount -t tmpfs -o mode=755 peer "$memory"
mkdir "$memory/upper" "$memory/work" "$memory/root"
cp -a "$package/." "$memory/upper/"
cp -aT "$dir/root" "$memory/upper"
mkdir -p "$memory/upper/etc" "$memory/upper/peer"
cat /etc/passwd "$dir/passwd" >"$memory/upper/etc/passwd"
cat /etc/group "$dir/group" >"$memory/upper/etc/group"
mount -t overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" peer "$memory/root"
mount -t proc proc "$memory/root/proc"
mount --rbind /dev "$memory/root/dev"
mount --bind "$dir" "$memory/root/peer"
# Not exec: the process that dies with its parent, and all below it, is this one.
chroot "$memory/root" "$@" || exit $?
