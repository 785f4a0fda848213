package control

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// asking is how TestABrokenRowHarmsItselfAlone looks rows up in a table.
type asking struct {
	table  string
	files  map[string]string // other files
	keys   []string          // of the rows
	value  string            // %d: something that distinguishes the rows
	broken string            // the row of a key, with something wrong after the key
	names  []string          // to look up

	// asks returns the keys that a lookup of name tries, the most specific first, and
	// how many of them are as specific as the first.
	asks func(name string) (keys []string, same int)
	ask  func(c *Control, name string) (string, error)
}

func askings() []asking {
	only := func(name string) ([]string, int) { return []string{name}, 1 }
	text := func(v any, err error) (string, error) { return fmt.Sprintf("%+v", v), err }
	addresses := []string{"a@x.example", "b@x.example", "a@y.example", "b@y.example"}
	return []asking{
		{table: "domains", keys: []string{"x.example", "y.example", "z.example"}, value: "%s", broken: "%s\r",
			names: []string{"x.example", "y.example", "z.example", "w.example"}, asks: only,
			ask: func(c *Control, name string) (string, error) {
				where, _, err := c.IsLocal(name)
				return where, err
			}},
		{table: "users", keys: addresses, value: "%s:{PLAIN}%d", broken: "%s:{PLAIN",
			names: append([]string{"c@x.example"}, addresses...), asks: only,
			ask: func(c *Control, name string) (string, error) {
				u, err := c.User(name)
				if u == nil {
					return "", err
				}
				return text(*u, err)
			}},
		{table: "aliases", files: map[string]string{"domains": "x.example\ny.example\n"},
			keys: append([]string{"a", "b"}, addresses...), value: "%s: t%d", broken: "%s: a b",
			names: append([]string{"c@x.example"}, addresses...),
			asks: func(name string) ([]string, int) {
				local, _ := addr.Split(name)
				return []string{name, local}, 2
			},
			ask: func(c *Control, name string) (string, error) {
				a, err := c.Alias(name)
				if a == nil && err == nil {
					return "", c.AliasHidden()
				}
				if a == nil {
					return "", err
				}
				return text(*a, err)
			}},
		{table: "routes", keys: []string{"a.x.example", ".x.example", ".example", ".", "x.example"}, value: "%s: h%d.example",
			broken: "%s: h:99999", names: []string{"a.x.example", "b.x.example", "x.example", "other.test"},
			asks: func(name string) ([]string, int) {
				keys := []string{name}
				for i, b := range name {
					if b == '.' {
						keys = append(keys, name[i:])
					}
				}
				return append(keys, "."), 1
			},
			ask: func(c *Control, name string) (string, error) {
				r, err := c.Route(name)
				if r == nil {
					return "", err
				}
				return text(*r, err)
			}},
		{table: "destinations", keys: []string{"a.x.example", ".x.example", ".example", ".", "x.example"}, value: "%s: sessions=1%d",
			broken: "%s: rate=x", names: []string{"a.x.example", "b.x.example", "x.example", "other.test"},
			asks: func(name string) ([]string, int) {
				keys := []string{name}
				for i, b := range name {
					if b == '.' {
						keys = append(keys, name[i:])
					}
				}
				return append(keys, "."), 1
			},
			ask: func(c *Control, name string) (string, error) {
				d, err := c.Destination(name)
				if d == nil {
					return "", err
				}
				return d.String(), err
			}},
		{table: "checks", keys: []string{"from", "hops", "loop", "sender"}, value: "%s: defer time=1%ds", broken: "%s: often",
			names: []string{"from", "hops", "loop", "sender", "size"}, asks: only,
			ask: func(c *Control, name string) (string, error) {
				s, err := c.Checks()
				if err != nil {
					return "", err
				}
				r := s.Row(name)
				return fmt.Sprint(r.Action, r.Time, r.Where), r.Err
			}},
		{table: "source", keys: []string{"a.x.test", ".x.test", ".test", "c@x.example", "@x.example", "<>", "."}, value: "%s: helo=h%d.example",
			broken: "%s: ip=x", names: []string{"a.x.test c@x.example", "b.x.test c@x.example", "y.other d@x.example", "y.other "},
			asks: func(name string) ([]string, int) {
				domain, sender, _ := strings.Cut(name, " ")
				keys := []string{domain}
				for i, b := range domain {
					if b == '.' {
						keys = append(keys, domain[i:])
					}
				}
				if _, from := addr.Split(sender); from != "" {
					return append(keys, sender, "@"+from, "."), 1
				}
				return append(keys, "<>", "."), 1
			},
			ask: func(c *Control, name string) (string, error) {
				domain, sender, _ := strings.Cut(name, " ")
				s, err := c.Source(sender, domain)
				if s == nil {
					return "", err
				}
				return s.String(), err
			}},
		{table: "sender-routes", keys: []string{"c@x.example", "x.example", ".x.example", ".example", "<>", "a.x.example"}, value: "%s: h%d.example",
			broken: "%s: h:99999", names: []string{"c@x.example", "d@x.example", "c@a.x.example", "", "c@other.test"},
			asks: func(name string) ([]string, int) {
				local, domain := addr.Split(name)
				if local == "" {
					return []string{"<>"}, 1
				}
				keys := []string{name, domain}
				for i, b := range domain {
					if b == '.' {
						keys = append(keys, domain[i:])
					}
				}
				return keys, 1
			},
			ask: func(c *Control, name string) (string, error) {
				r, err := c.RouteFrom(name, "elsewhere.test")
				if r == nil {
					return "", err
				}
				return text(*r, err)
			}},
		{table: "tls-policy", keys: []string{"a.x.example", ".x.example", ".example", ".", "x.example"}, value: "%s: encrypt",
			broken: "%s: encrypted", names: []string{"a.x.example", "b.x.example", "x.example", "other.test"},
			asks: func(name string) ([]string, int) { return append(domainKeys(name), "."), 1 },
			ask: func(c *Control, name string) (string, error) {
				p, err := c.TLSPolicy(name, "")
				if p == nil {
					return "", err
				}
				return text(*p, err)
			}},
		{table: "senders", keys: addresses, value: "%s: s%d@x.example", broken: "%s: one two",
			names: append([]string{"c@x.example"}, addresses...), asks: only,
			ask: func(c *Control, name string) (string, error) {
				p, where, err := c.Senders(name)
				if where == "" && err == nil {
					err = c.SendersHidden("x.example")
				}
				return strings.Join(p, " ") + where, err
			}},
	}
}

// unreadable are rows whose key cannot be read in any table.
var unreadable = []string{"what is this", "\xff\xfe: x", "@@@: x", "a b c d: x", "\x01:"}

// TestABrokenRowHarmsItselfAlone: a table with one broken row gives the same answers
// as the table without it, except for the names that the row is about, or may be
// about.
func TestABrokenRowHarmsItselfAlone(t *testing.T) {
	for _, a := range askings() {
		t.Run(a.table, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) { a.check(t, rt) })
		})
	}
}

func (a asking) check(t *testing.T, rt *rapid.T) {
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom(a.keys), 0, len(a.keys)-1, rapid.ID[string]).Draw(rt, "keys")
	rest := slices.DeleteFunc(slices.Clone(a.keys), func(k string) bool { return slices.Contains(keys, k) })
	var rows []string
	for i, key := range keys {
		row := strings.Replace(a.value, "%s", key, 1)
		rows = append(rows, strings.Replace(row, "%d", fmt.Sprint(i), 1))
	}
	key, row, end := "", "", "\n"
	switch rapid.IntRange(0, 2).Draw(rt, "kind") {
	case 0:
		row = rapid.SampledFrom(unreadable).Draw(rt, "unreadable")
	case 1:
		key = rapid.SampledFrom(rest).Draw(rt, "key")
		row = fmt.Sprintf(a.broken, key)
	case 2: // the last line has no line end
		key, end = rapid.SampledFrom(rest).Draw(rt, "key"), ""
		row = strings.Replace(strings.Replace(a.value, "%s", key, 1), "%d", "9", 1)
	}
	at := len(rows)
	if end != "" {
		at = rapid.IntRange(0, len(rows)).Draw(rt, "at")
	}
	with := strings.Join(slices.Insert(slices.Clone(rows), at, row), "\n") + end
	without := strings.Join(slices.Insert(slices.Clone(rows), at, "#"), "\n") + "\n"

	files := map[string]string{"domains": "", "users": ""}
	for name, text := range a.files {
		files[name] = text
	}
	files[a.table] = with
	broken := newFixture(t, files)
	files[a.table] = without
	whole := newFixture(t, files)
	day := false
	for range 2 {
		for _, name := range a.names {
			asks, same := a.asks(name)
			hidden := false
			for i, k := range asks {
				hides := k == key && key != ""
				falls := (key == "" || end == "") && !day && i >= same
				if hidden = hides || falls; hidden || slices.Contains(keys, k) {
					break
				}
				hidden = (key == "" || end == "") && !day // the lookup finds nothing
			}
			want, _ := a.ask(whole.Control, name)
			got, err := a.ask(broken.Control, name)
			got = strings.ReplaceAll(got, broken.home, whole.home)
			switch {
			case hidden && status.Exit(err) != status.TempFail:
				rt.Errorf("%q, day over %v: %s = %q, %v; want a temporary error", with, day, name, got, err)
			case hidden && !strings.Contains(err.Error(), fmt.Sprintf("control/%s:%d: ", a.table, at+1)):
				rt.Errorf("%q: the error of %s is %v", with, name, err)
			case !hidden && (got != want || err != nil):
				rt.Errorf("%q, day over %v: %s = %q, %v; want %q", with, day, name, got, err, want)
			}
		}
		broken.clock, day = broken.clock.Add(hiding), true
	}
}

// A second row that says the same is dead; one that says something else makes lookups
// of the name fail temporarily.
func TestARowTwice(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "", "domains": "x.example\nX.example\n", "aliases": "a: b\nc: d\na: b\nA: c\n"})
	if a, err := f.Alias("a@x.example"); a != nil || err == nil {
		t.Error(a, err)
	}
	if a, err := f.Alias("c@x.example"); a == nil || err != nil {
		t.Error(a, err)
	}
	faults, errs := f.Faults()
	var got []string
	for _, fault := range faults {
		got = append(got, fmt.Sprint(fault, " ", fault.Dead))
	}
	want := []string{
		`control/domains:2: "x.example" can never match (line 1 says the same, remove one of the two) true`,
		`control/aliases:3: "a" can never match (line 1 says the same, remove one of the two) true`,
		`control/aliases:4: "a" is already in line 1 (remove one of the two) false`,
	}
	if !slices.Equal(got, want) || len(errs) > 0 {
		t.Errorf("%q, %v", got, errs)
	}
}

// The postmaster's mail, and names without a domain, do not go to a second choice.
func TestABrokenFirstRow(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "x.example\r\ny.example\n", "users": "a@x.example:{\nb@x.example:\n"})
	if p, err := f.Postmaster(); p != "" || err == nil {
		t.Error(p, err)
	}
	if d, err := f.Domains(); d != nil || err == nil {
		t.Error(d, err)
	}
	f.write("users", "a b\nb@x.example:\n")
	f.write("domains", "x.example y\ny.example\n")
	if p, err := f.Postmaster(); p != "" && err == nil {
		t.Error(p, err)
	}
	if d, err := f.Domains(); err == nil {
		t.Error(d, err)
	}
	f.clock = f.clock.Add(hiding)
	if p, err := f.Postmaster(); p != "b@x.example" || err != nil {
		t.Error(p, err)
	}
	if d, err := f.Domains(); len(d) != 1 || err != nil {
		t.Error(d, err)
	}
}

// If a file cannot be read at all, its lookups fail temporarily for as long as that
// lasts: there is no row whose day could end.
func TestWholeFileStaysTemporary(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "x.example\n", "users": strings.Repeat("#\n", 2)})
	if err := os.Remove(f.path("users")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.path("users"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.clock = f.clock.Add(2 * hiding)
	if u, err := f.User("a@x.example"); answered(u, err) != "temporary" {
		t.Error(u, err)
	}
	if _, errs := f.Faults("users"); len(errs) != 1 || errors.Join(errs...) == nil {
		t.Error(errs)
	}
}

// checkTable returns what is broken in a table as one error.
func (c *Control) checkTable(name string) error {
	faults, errs := c.Faults(name)
	for _, f := range faults {
		if !f.Dead {
			errs = append(errs, failRow(f))
		}
	}
	return errors.Join(errs...)
}

// A broken row of relayfrom does not refuse the hosts that it may be about.
func TestABrokenRelay(t *testing.T) {
	f := newFixture(t, map[string]string{"relayfrom": "192.0.2.0/24\n192.0.2.0/24 @a.example\n198.51.100.0/24 *\n"})
	hidden := func(ip string) bool { return f.RelayHidden(netip.MustParseAddr(ip)) != nil }
	rows, err := f.RelayFrom()
	if err != nil || len(rows) != 2 || !rows.Has(netip.MustParseAddr("192.0.2.7")) || rows.Has(netip.MustParseAddr("198.51.100.1")) {
		t.Error(rows, err)
	}
	if !hidden("198.51.100.1") || !hidden("::ffff:198.51.100.1") || hidden("203.0.113.1") {
		t.Error("the row is about its network alone")
	}
	f.write("relayfrom", "192.0.2.1/24\n")
	if err := f.RelayHidden(netip.MustParseAddr("203.0.113.1")); status.Exit(err) != status.TempFail {
		t.Error(err)
	}
	f.clock = f.clock.Add(hiding)
	if hidden("203.0.113.1") {
		t.Error("still after a day")
	}
}
