#!/bin/sh
# Fetches inetd for the tests beside this file: Debian's package of it and
# xinetd's exclude each other, so it is unpacked into .build/faces. What is
# there already is not fetched again.
set -eu
cd "$(dirname "$0")/../.."
dir=$PWD/.build/faces
[ ! -x "$dir/usr/sbin/inetd" ] || exit 0
rm -rf "$dir.new"
mkdir -p "$dir.new"
( cd "$dir.new" && apt-get -qq -o APT::Sandbox::User=root download openbsd-inetd && dpkg -x ./*.deb . )
mv "$dir.new" "$dir"
