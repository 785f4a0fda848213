#!/bin/sh
# Fetches what Debian's packages do not let install beside others for the tests
# in this folder, each into its own folder of .build/faces: inetd (xinetd
# excludes it) and the tcpserver that speaks IPv6. What is there already is not
# fetched again.
set -eu
cd "$(dirname "$0")/../.."
faces=$PWD/.build/faces

unpack() {
	[ ! -d "$faces/$1" ] || return 0
	rm -rf "$faces/.$1"
	mkdir -p "$faces/.$1"
	( cd "$faces/.$1" && apt-get -qq -o APT::Sandbox::User=root download "$1" && dpkg -x ./*.deb . )
	mv "$faces/.$1" "$faces/$1"
}

unpack openbsd-inetd
unpack ucspi-tcp-ipv6
