#!/bin/sh
# Makes .build/host, a small Debian with systemd for the tests in this directory: a machine
# on which nothing is installed yet. Needs root (or sudo) and debootstrap. What is already
# there is not made again.
set -eu
cd "$(dirname "$0")/../.."
host=$PWD/.build/host

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

machine() {
	mkdir -p .build
	as_root rm -rf "$host.new"
	as_root debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,cron,openssl,netcat-openbsd \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$host.new" >/dev/null
	# At each boot it runs what a test puts at /test/run, and halts.
	as_root tee "$host.new/etc/systemd/system/paperpath-test.service" >/dev/null <<'EOF'
[Unit]
After=dbus.socket
[Service]
Type=oneshot
ExecStart=/bin/bash /test/run
StandardOutput=append:/test/out/log
StandardError=append:/test/out/log
ExecStopPost=/bin/systemctl --no-block poweroff
EOF
	as_root mkdir -p "$host.new/test/out"
	as_root ln -s ../paperpath-test.service "$host.new/etc/systemd/system/multi-user.target.wants/paperpath-test.service"
	as_root mv "$host.new" "$host"
}

# Programs that send mail, those that start ours or read the same mailboxes, and mail systems
# that the package replaces, which are only fetched: on the machine there is no network.
senders="ca-certificates git git-email libmailtools-perl logrotate php-cli"
senders="$senders curl dovecot-imapd dovecot-pop3d jq libevent-2.1-7 pwgen runit s6 ucspi-tcp xinetd"
others="exim4-daemon-light postfix"
more() {
	as_root chroot "$host" sh -ec "export DEBIAN_FRONTEND=noninteractive
		apt-get -qq update
		{ apt-get -qq -y --no-install-recommends install $senders
		for p in $others; do apt-get -qq -y --no-install-recommends -d install \$p; done
		systemctl -q disable xinetd dovecot dovecot.socket
		} >/test/install.log 2>&1 || { cat /test/install.log; exit 1; }
		echo $senders $others >/test/packages"
}

[ -d "$host" ] || machine
[ "$(cat "$host/test/packages" 2>/dev/null)" = "$senders $others" ] || more
