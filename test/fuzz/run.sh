#!/usr/bin/env bash
# Runs each fuzz target: those that read what comes from the network for NEAR seconds, 10
# unless told, the others for REST seconds, 4 unless told. What it finds is written to
# testdata/fuzz beside the target.
#
#	NEAR=600 REST=600 test/fuzz/run.sh [PACKAGE...]
set -eu
cd "$(dirname "$0")/../.."
# As in the Makefile, so that nothing is compiled twice.
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -tags=urfave_cli_no_docs"
near=${NEAR:-10} rest=${REST:-4}
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
passed=0 failed=0

# At the end of its time the engine may call a worker that it stops itself a failure,
# "context deadline exceeded". No input failed then.
fuzz() { # PACKAGE TARGET SECONDS
	if (cd "$1" && "$made/fuzz.test" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$3s" \
		-test.fuzzcachedir "$cache/$1") >"$made/log" 2>&1 </dev/null; then
		tail -n 2 "$made/log" | head -n 1
	elif grep -q '^ *context deadline exceeded$' "$made/log" && ! grep -q 'Failing input' "$made/log"; then
		echo "the fuzzing engine overran its time; no input failed"
	else
		cat "$made/log"
		return 1
	fi
}

cache=$(go env GOCACHE)/fuzz/paperpath
[ $# -gt 0 ] || set -- $(grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u)
for package; do
	go test -c -fuzz=. -o "$made/fuzz.test" "$package"
	mkdir -p "$cache/$package"
	case $package in
	*/addr | */dkim | */dmarc | */dns | */listen | */message | */pop3 | */smtpc | */smtpd | */spf) time=$near ;;
	*) time=$rest ;;
	esac
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | sed 's/^func //'); do
		echo "$package $target, $time s"
		if fuzz "$package" "$target" "$time"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	done
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" = 0 ]
