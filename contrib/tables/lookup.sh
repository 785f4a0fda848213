#!/bin/sh
# lookup.sh FILE: answers the questions of table(5) from a file of rows `name: value`, which may
# change at any time. control/aliases, for example, then says
#	exec:/usr/local/lib/paperpath/lookup.sh /etc/aliases.d/all
# The first row of a name counts; lower case only. Copy it, and look somewhere else.
file=$1
while read -r id key; do
	if ! [ -r "$file" ]; then
		echo "$id later cannot read $file"
	elif row=$(awk -v key="$key" 'index($0, key ":") == 1 { print; found = 1; exit } END { exit !found }' "$file"); then
		echo "$id found $row"
	else
		echo "$id none"
	fi
done
