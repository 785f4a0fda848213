package control

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
)

func FuzzUsers(f *testing.F) {
	f.Add("a@b.example:{PLAIN}x:1:2:g:mail/b.example/a:/sh:k=v\n")
	f.Add("a@b.example:*\n# x\n\nb@b.example:::::/abs\n")
	f.Add("a/../b@b.example:\n")
	f.Add("\"a:b\"@c.example:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := parseUsers(Open("/home/paperpath", time.Now), []byte(text))
		if err != nil {
			wantPlace(t, "users", err)
			return
		}
		wantSound(t, text, users.contents)
		for _, u := range users.list() {
			if !filepath.IsAbs(u.Home) || filepath.Clean(u.Home) != u.Home || strings.Contains(u.Home, "/../") {
				t.Errorf("home %q", u.Home)
			}
			if strings.ContainsAny(u.Address+u.Home+u.Hash, "\r\n\x00\x1b") {
				t.Errorf("control characters in %+v", u)
			}
			if !strings.HasPrefix(u.Home, "/home/paperpath/") && !strings.Contains(text, ":/") {
				t.Errorf("home %q is outside", u.Home)
			}
		}
	})
}

func FuzzAliases(f *testing.F) {
	f.Add("a: b, c@d.example,\n \"e f\"\n# x\n")
	f.Add("\"a b\"@c.example: |x\n")
	f.Add("a: \"\\\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		aliases := readTable(t, aliasesTable(), text)
		for i, a := range aliases.list() {
			key := aliases.keys[i]
			for _, target := range append([]string{key}, a.Targets...) {
				if target == "" || strings.ContainsAny(target, "\r\n\x00\x1b") {
					t.Errorf("target %q of %q", target, key)
				}
				if form, text := FormOf(target); text == "" || form >= FileTarget && text[0] != '/' {
					t.Errorf("target %q of %q names nothing", target, key)
				}
			}
		}
	})
}

// FuzzRewrite checks that what a row gives for an address is an address.
func FuzzRewrite(f *testing.F) {
	f.Add("a@b.example: c@d.example\nsender @.b.example: @b.example\nout \"a:b\"@c: keep\n", "a+x@b.example")
	f.Add("recipient r@.b: @c\n@b: one@c\n@[192.0.2.1]: x@y\n", "r@x.b")
	f.Add("sender \" 00\"@0: x@y\n", "\" 00\"@0")
	f.Add("sender\t@b: \"x y\"@c\nexec:/bin/true\n", "\"a@b\"@b")
	f.Fuzz(func(t *testing.T, text, address string) {
		rows, err := rewriteTable().read(Open("/home/paperpath", time.Now), []byte(text))
		if err != nil {
			wantPlace(t, "rewrite", err)
			return
		}
		wantSound(t, text, rows)
		a, err := addr.Parse(address)
		if err != nil {
			return
		}
		for i, row := range rows.list() {
			if to := row.instead(a, ""); !row.to.IsNull() {
				if _, err := addr.Parse(to.String()); err != nil && row.to.Local != "" {
					t.Errorf("%q gives %q for %q: %v", rows.keys[i], to, address, err)
				}
			}
		}
		for _, use := range []Use{AsSender, AsRecipient, Leaving} {
			keys, names := rewriteKeys(use, a, "+-")
			for i, key := range keys {
				if folded, err := rewriteKey(key); err != nil || folded != key {
					t.Errorf("%q is asked for %q, which would be in the table as %q (%v)", address, key, folded, err)
				}
				if !strings.HasPrefix(a.Local, names[i]) {
					t.Errorf("%q is no beginning of %q", names[i], a.Local)
				}
			}
		}
	})
}

func FuzzTables(f *testing.F) {
	f.Add("a.example: b.example:25\n.: 127.0.0.1:2525\n")
	f.Add("[IPv6:::1]: [::1]:25\n")
	f.Add("a.example: inflight=2 tls:b.example:466 c.example\nb.example: h mx\n.: error: 5.1.6 moved\n<>: hold\n")
	f.Add("a.example: program:/bin/sh -c 'a \"b\"'\nb: lmtp:[::1]:24 lmtp:/run/lmtp h: 26\n@c: local\n")
	f.Add("steps: 1m 2h\nlifetime: 5d\nattempts: 1\n")
	f.Add("x: @a.example *\n")
	f.Add("mailroute watch 'a b'\n")
	f.Add("192.0.2.0/24\n")
	f.Add("@a.example: ip=192.0.2.1 ip=::2 helo=b.example\n")
	f.Add("x.example: verify name=a,.b min=1.3 always\n.: fingerprint " + strings.Repeat("0a:", 31) + "0a\n")
	f.Add("a: away=tag time=5s program:/x 'y z'\nb: milter:inet:[::1]:1 for=outside\nc: milter:unix:/a memory=1\n")
	f.Add("from: tag temporary=defer time=2s\nsize: refuse\n")
	f.Add("from=<> to=@.b.example larger=5: x\nto=a*@b:\n")
	f.Add(".exe: refuse no\naudio/*: tag\n@a.example: 5\n.: 7\n")
	f.Add("a.example=127.0.[0..2;9].*: -3\nb.example: 2\n")
	f.Add("\u3000\n")
	f.Fuzz(func(t *testing.T, text string) {
		data := []byte(text)
		readTable(t, routesTable(), text)
		readTable(t, senderRoutesTable(), text)
		readTable(t, sourceTable(), text)
		readTable(t, destinationsTable(), text)
		readTable(t, checksTable(), text)
		readTable(t, relayToTable(), text)
		readTable(t, sendersTable(), text)
		readTable(t, filtersTable(), text)
		readTable(t, mimeTable(), text)
		readTable(t, holdRulesTable(), text)
		readTable(t, sizesTable(), text)
		readTable(t, dnsblTable(), text)
		readTable(t, tlsPolicyTable(), text)
		readTable(t, domainsTable(), text)
		readTable(t, relaysTable(), text)
		readTable(t, networksTable("proxyfrom"), text)
		readTable(t, servicesTable(), text)
		_, err := parseRetry("x", data)
		wantPlace(t, "x", err)
		_, err = parseNumbers("x", data, names(limitKeys()))
		wantPlace(t, "x", err)
	})
}

// readTable reads a table; no text may make that fail.
func readTable[R any](t *testing.T, tab table[R], text string) contents[R] {
	t.Helper()
	got, err := tab.read(Open("/home/paperpath", time.Now), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, text, got)
	return got
}

// wantSound checks that each fault names its line, and that every key finds its row,
// or the fault that hides it.
func wantSound[R any](t *testing.T, text string, got contents[R]) {
	t.Helper()
	for _, f := range got.faults {
		if f.Line < 1 || f.Line > 1+strings.Count(text, "\n") || f.What == "" || f.Mend == "" {
			t.Errorf("fault %+v", f)
		}
		if s := f.String(); strings.ContainsAny(s, "\r\n\x00\x1b") {
			t.Errorf("fault %q", s)
		}
	}
	for _, key := range got.keys {
		if r, err := got.row(key); r == nil && err == nil {
			t.Errorf("%q has a row, and no answer", key)
		}
	}
	if len(got.broken) > 0 && len(got.faults) == 0 || got.before > len(got.broken) {
		t.Errorf("%d broken rows, %d before the first, %d faults", len(got.broken), got.before, len(got.faults))
	}
	if text != "" && !strings.HasSuffix(text, "\n") && len(got.hiding) == 0 && !got.asked() {
		t.Errorf("%q has no end, and hides nothing", text)
	}
}

// wantPlace checks that an error names file and line on one line of text.
func wantPlace(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if s := err.Error(); !strings.HasPrefix(s, "control/"+name+":") || strings.ContainsAny(s, "\r\n\x00\x1b") {
		t.Errorf("error %q", s)
	}
}
