#!/bin/sh
# make demo and make check as root, and make demo as nobody, in a Debian with make and Go and
# nothing else: what README promises; "bare.sh check nobody" runs what it says there instead. Go,
# its modules and what it has compiled are the machine's, below an overlay, so that nothing is
# fetched or compiled twice. Needs root, debootstrap and unshare.
set -eu
cd "$(dirname "$0")/../.."
bare=$PWD/.build/bare

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if [ ! -d "$bare" ]; then
	mkdir -p .build
	as_root rm -rf "$bare.new"
	as_root debootstrap --variant=minbase --include=make \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$bare.new" >/dev/null
	as_root mv "$bare.new" "$bare"
fi

# Everything is mounted in a namespace of its own, and goes with it.
inside='
bare=$1 go=$2 modules=$3 cache=$4; shift 4
mount --make-rprivate /
mount --bind "$bare" "$bare"
mount -t tmpfs -o size=6G,mode=1777 tmpfs "$bare/tmp"
mkdir -p "$bare/usr/local/go" "$bare/tmp/modules" "$bare/tmp/cache" "$bare/tmp/upper" "$bare/tmp/work"
mount --bind -o ro "$go" "$bare/usr/local/go"
mount --bind -o ro "$modules" "$bare/tmp/modules"
mount -t overlay -o "metacopy=on,lowerdir=$cache,upperdir=$bare/tmp/upper,workdir=$bare/tmp/work" overlay "$bare/tmp/cache"
mount -t proc proc "$bare/proc"
mount --rbind /dev "$bare/dev"
run() { # USER COMMAND...
	user=$1; shift
	rm -rf "$bare/tmp/src"; mkdir -p "$bare/tmp/src" "$bare/tmp/home"
	tar -c --exclude=./.git --exclude=./.build --exclude=./bin . | tar -x --no-same-owner -C "$bare/tmp/src"
	chown -R "$user" "$bare/tmp/src" "$bare/tmp/home" "$bare/tmp/cache"
	echo "== as $user: $*"
	chroot --userspec="$user:$(id -g "$user")" "$bare" /usr/bin/env -i PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/tmp/home GOMODCACHE=/tmp/modules GOCACHE=/tmp/cache GOTOOLCHAIN=local GOPROXY=off RAPID_SEED="${RAPID_SEED:-0}" \
		sh -c "cd /tmp/src && exec \"\$@\"" sh "$@"
}
if [ $# -gt 0 ]; then run "$2" make "$1"; exit; fi
run root make demo check
run nobody make demo
'
as_root unshare --mount sh -euc "$inside" sh "$bare" "$(go env GOROOT)" "$(go env GOMODCACHE)" "$(go env GOCACHE)" "$@"
