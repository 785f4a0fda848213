# Paperpath. `make` builds bin/, `make check` runs the tests, `make demo` shows
# the whole path, `make install` honours DESTDIR, PREFIX, BINDIR, MANDIR and DOCDIR,
# `make deb` makes a Debian package.

PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
DOCDIR = $(PREFIX)/share/doc/paperpath

GO       = go
TAGS     = urfave_cli_no_docs
PROGRAMS = mailsubmit mailcheck mailroute maildeliver mailrelay pop3d mailctl sendmail
LINKS    = mailq newaliases
REPORT   = $(CURDIR)/.build/report

# The commit that --version names. Go's own stamp fails for root in somebody else's
# clone.
COMMIT = $(shell git -c safe.directory='*' describe --always --dirty 2>/dev/null)
LDFLAGS = -s -w -X paperpath/internal/program.commit=$(COMMIT)

# One set of build flags for programs, vet and tests: with another one, all that they are
# made of would be compiled again.
export CGO_ENABLED = 0
export GOFLAGS := $(GOFLAGS) -trimpath -buildvcs=false -tags=$(TAGS)

all:
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ $(PROGRAMS:%=./cmd/%)
	@for l in $(LINKS); do ln -sf mailsubmit bin/$$l || exit 1; done
	@$(GO) run ./test/completions -bin bin .build/completions

# What a check could not do for want of a tool stands in the report and is the
# last line that make check prints. With CI=true a missing tool fails.
check: all begin format vet manlint unit system
	@echo; grep '^measured' $(REPORT); \
	missing=$$(sed -n 's/^MISSING: //p' $(REPORT) | sort -u | sed 's/$$/;/' | tr '\n' ' '); \
	if [ -n "$$missing" ]; then echo "make check: passed, but NOT EVERYTHING WAS CHECKED. MISSING: $$missing"; \
	else echo "make check: passed"; fi

begin:
	@mkdir -p .build
	@: >$(REPORT)

format:
	@out=$$(gofmt -l .); [ -z "$$out" ] || { echo "not gofmt'ed: $$out" >&2; exit 1; }

vet:
	$(GO) vet ./...

# With an empty cache it takes longer than the tests of make check together.
staticcheck:
	@mkdir -p .build
	$(GO) -C tools build -o $(CURDIR)/.build/staticcheck honnef.co/go/tools/cmd/staticcheck
	.build/staticcheck -tags $(TAGS) ./...

manlint:
	@mkdir -p .build
	@if command -v mandoc >/dev/null 2>&1; then \
		echo mandoc -Tlint -Wwarning man/*; mandoc -Tlint -Wwarning man/*; \
	elif command -v groff >/dev/null 2>&1; then \
		echo groff -mdoc -ww -z man/*; out=$$(groff -mdoc -ww -z man/* 2>&1); \
		[ -z "$$out" ] || { echo "$$out" >&2; exit 1; }; \
	else $(call missing,mandoc or groff (man pages)); fi

unit:
	$(GO) test -vet=off $$($(GO) list ./... | grep -v '^paperpath/test/')

# The same under the race detector, which needs a C compiler and makes them several times
# slower. Three packages start no goroutine but compute a lot: they are left out.
race:
	CGO_ENABLED=1 $(GO) test -race -vet=off $$($(GO) list ./... | grep -v -e '^paperpath/test/' -e '/\(auth\|parts\|sevenbit\)$$')

# The built programs as a user meets them: scripts, kills. Most of the time they wait, so
# several packages run at once; what measures runs alone.
system: all
	@mkdir -p .build
	PAPERPATH_BIN=$(CURDIR)/bin PAPERPATH_REPORT=$(REPORT) \
		$(GO) test -vet=off -count=1 -p 3 -timeout 10m $$($(GO) list ./test/... | grep -v -e /test/peers -e /test/milters -e /test/world -e /test/host -e /test/measure -e /test/clients -e /test/faces)
	PAPERPATH_BIN=$(CURDIR)/bin PAPERPATH_REPORT=$(REPORT) \
		$(GO) test -vet=off -count=1 -timeout 10m ./test/measure

missing = echo "MISSING: $(1)" >>$(REPORT); \
	if [ "$$CI" = true ]; then echo "MISSING: $(1)" >&2; exit 1; fi

# Kills, errors, power cuts, races and poison at every step: see the top of
# test/torture/main.go. TORTURE holds options: make torture TORTURE=-quick.
torture: all
	@$(GO) build -o .build/torture ./test/torture && \
		PAPERPATH_BIN=$(CURDIR)/bin .build/torture $(TORTURE)

# Each fuzz target for some seconds: make fuzz NEAR=600 REST=600.
fuzz:
	test/fuzz/run.sh

# Real mail clients, and every way to start the programs: from inetd, xinetd, tcpserver, systemd.
clients: all
	@mkdir -p .build; : >.build/clients.report
	PAPERPATH_BIN=$(CURDIR)/bin PAPERPATH_REPORT=$(CURDIR)/.build/clients.report $(GO) test -vet=off -count=1 -p 2 -timeout 10m ./test/clients ./test/faces
	@cat .build/clients.report

# Other people's mail servers, load generators and client libraries, and the
# load of many connections; mail filters of Debian; then the servers on a network of their own. They are
# fetched by test/peers/fetch.sh.
peers: all
	@mkdir -p .build; : >.build/peers.report
	PAPERPATH_BIN=$(CURDIR)/bin PAPERPATH_REPORT=$(CURDIR)/.build/peers.report $(GO) test -count=1 -p 1 -timeout 10m ./test/peers ./test/milters ./test/world
	@cat .build/peers.report

# What an administrator does on a machine with systemd: a small Debian, made by
# test/host/fetch.sh, boots in a container. Needs root and systemd-nspawn.
host: all
	@mkdir -p .build; : >.build/host.report
	PAPERPATH_REPORT=$(CURDIR)/.build/host.report $(GO) test -vet=off -count=1 -timeout 30m ./test/host
	@cat .build/host.report

# Paperpath beside other mail programs, in turn, at the same work: see test/bench/run. Needs
# root, Debian's dovecot-pop3d, and what test/peers/fetch.sh fetches. BENCH holds options: make
# bench BENCH='-short -only relay:'.
bench: all
	@mkdir -p .build/bench
	@$(GO) build -o .build/bench/ ./test/bench/run ./test/bench/reference ./test/bench/spawner ./test/bench/bare && PAPERPATH_BIN=$(CURDIR)/bin .build/bench/run $(BENCH)

# Our DKIM, SPF and DMARC beside those of other projects, on generated input. test/oracle
# is a module of its own, whose requirements are fetched then.
oracle:
	cd test/oracle && $(GO) vet . && $(GO) test -count=1 -timeout 10m . -rapid.nofailfile -rapid.checks=3000

demo: all
	@PAPERPATH_BIN=$(CURDIR)/bin $(GO) run ./test/demo

# Without Go, as under sudo, what make built before is installed.
install: $(if $(shell command -v $(GO)),all)
	@[ -x bin/mailctl ] || { echo "make install: bin/ is not built, and $(GO) is not in PATH: run make first" >&2; exit 1; }
	mkdir -p "$(DESTDIR)$(BINDIR)"
	for p in $(PROGRAMS); do install -m 755 bin/$$p "$(DESTDIR)$(BINDIR)/$$p" || exit 1; done
	for l in $(LINKS); do ln -sf mailsubmit "$(DESTDIR)$(BINDIR)/$$l" || exit 1; done
	for m in man/*.[1-9]; do d="$(DESTDIR)$(MANDIR)/man$${m##*.}"; \
		mkdir -p "$$d" && install -m 644 $$m "$$d/" || exit 1; done
	mkdir -p "$(DESTDIR)$(MANDIR)/man1"
	ln -sf mailsubmit.8 "$(DESTDIR)$(MANDIR)/man8/sendmail.8"
	for l in mailq newaliases; do ln -sf ../man8/mailsubmit.8 "$(DESTDIR)$(MANDIR)/man1/$$l.1" || exit 1; done
	for f in README.md CHANGELOG.md LICENSE $$(find contrib -type f); do \
		d="$(DESTDIR)$(DOCDIR)/$$f"; mkdir -p "$${d%/*}" && \
		sed 's,/usr/local/bin,$(BINDIR),g' $$f >"$$d" || exit 1; \
		if [ -x $$f ]; then chmod 755 "$$d"; else chmod 644 "$$d"; fi; done
	cd .build/completions && \
	for f in bash/* zsh/* fish/*; do case $$f in \
		bash/*) d=bash-completion/completions;; zsh/*) d=zsh/site-functions;; *) d=fish/vendor_completions.d;; esac; \
		d="$(DESTDIR)$(PREFIX)/share/$$d"; mkdir -p "$$d" && install -m 644 $$f "$$d/" || exit 1; done

# A Debian package of what make built, in .build/deb: see packaging/debian.
deb: all
	@packaging/debian/build

uninstall:
	for p in $(PROGRAMS) $(LINKS); do rm -f "$(DESTDIR)$(BINDIR)/$$p"; done
	for m in man/*.[1-9]; do rm -f "$(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/}"; done
	for l in man8/sendmail.8 man1/mailq.1 man1/newaliases.1; do rm -f "$(DESTDIR)$(MANDIR)/$$l"; done
	rm -rf "$(DESTDIR)$(DOCDIR)"
	for p in $(PROGRAMS); do rm -f "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p" \
		"$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_$$p" \
		"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$p.fish"; done

clean:
	rm -rf bin .build

.NOTPARALLEL:
.PHONY: all check clients begin format vet staticcheck manlint unit race system torture fuzz peers host oracle bench demo install deb uninstall clean
