#!/bin/sh
# Fetches other mail servers for the tests in this directory. Their Debian packages
# conflict with each other, so each is unpacked into its own directory in
# .build/peers, and only the libraries that they need are installed.
# Needs root (or sudo) on Debian. What is already there is not fetched again.
set -eu
cd "$(dirname "$0")/../.."
peers=$PWD/.build/peers
libraries="libbsd0 libdb5.3 libevent-2.1-7 libfstrm0 libgnutls-dane0 libgnutls30 libicu72 libidn12 libidn2-0 libnsl2
 libnss-wrapper libpam0g libpcre2-8-0 libprotobuf-c1 libsasl2-2 libssl3 libstdc++6 netbase"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# unpack NAME PACKAGE...: into .build/peers/NAME, completely or not at all. On a
# current system lib/ and sbin/ are links, and lib/ of these packages contains only
# units.
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
# What else is called as sendmail.
unpack dma dma
unpack nullmailer nullmailer
unpack nsd nsd
# Transports of mail that a route can call.
unpack nncp nncp
unpack uucp uucp
# Clients of sendmail whose packages depend on a mail server.
unpack clients bsd-mailx liblockfile1 cron
