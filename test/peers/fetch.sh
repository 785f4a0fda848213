#!/bin/sh
# Fetches the other mail servers for the tests beside this file. Debian's
# packages of them exclude each other, so each is unpacked into its own folder
# of .build/peers, and only the libraries that they need are installed.
# Needs root (or sudo) on Debian. What is there already is not fetched again.
set -eu
cd "$(dirname "$0")/../.."
peers=$PWD/.build/peers
libraries="libbsd0 libdb5.3 libevent-2.1-7 libgnutls-dane0 libicu72 libidn12 libidn2-0 libnsl2 libpam0g libpcre2-8-0 libsasl2-2
 libssl3 netbase"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# unpack NAME PACKAGE...: into .build/peers/NAME, whole or not at all. lib/ and
# sbin/ are links on a system of today, and only units lie in a package's lib/.
unpack() {
	name=$1; shift
	[ ! -d "$peers/$name" ] || return 0
	rm -rf "$peers/.$name"
	mkdir -p "$peers/.$name/deb"
	( cd "$peers/.$name/deb" && apt-get -qq -o APT::Sandbox::User=root download "$@" )
	for deb in "$peers/.$name"/deb/*.deb; do dpkg -x "$deb" "$peers/.$name/root"; done
	rm -rf "$peers/.$name/root/lib" "$peers/.$name/deb"
	mv "$peers/.$name/root" "$peers/$name"
	rmdir "$peers/.$name"
}

mkdir -p "$peers"
as_root apt-get -qq -y --no-install-recommends install $libraries >/dev/null
unpack postfix postfix
unpack exim exim4-daemon-light exim4-base
unpack opensmtpd opensmtpd
# Clients of sendmail that want a mail server for a dependency.
unpack clients bsd-mailx liblockfile1 cron
