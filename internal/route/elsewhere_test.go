package route

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// elsewhereFiles are settings with rows of each kind for domains elsewhere.
var elsewhereFiles = map[string]string{
	"hostname": "mx.example.net\n", "domains": domains,
	"users": users + "dan@lists.example.net:\ndan@deep.lists.example.net:\n", "aliases": "all: alice, x@gone.example, y@wait.example, z@far.example\ngone: x@gone.example\n" +
		"two: x@gone.example, nobody@example.net\n",
	"routes": "lists.example.net: local\n.lists.example.net: local\nout.lists.example.net: mx\n" +
		"gone.example: error: 5.1.6 it is now example.net\nwait.example: hold\nlater.example: hold\nfar.example: 127.0.0.1:2525 mx\n.: smart.example\n",
	"sender-routes": "bob@example.net: tls:own.example\n@example.com: error: no mail from here\n<>: hold\n",
	"relayto":       "backup.example\n.backup.example\nvip@list.example\n",
}

func TestElsewhere(t *testing.T) {
	const alice, bob = "alice@example.net", "bob@example.net"
	tests := []struct{ about, from, ask, want string }{
		{"the default route", alice, "x@y.example", "remote x@y.example smart.example:25 (control/routes:8)"},
		{"a route of targets", alice, "x@far.example", "remote x@far.example 127.0.0.1:2525 mx (control/routes:7)"},
		{"the sender's route goes before the default", bob, "x@y.example", "remote x@y.example tls:own.example:465 (control/sender-routes:1)"},
		{"the domain's row goes before the sender's", bob, "x@far.example", "remote x@far.example 127.0.0.1:2525 mx (control/routes:7)"},
		{"an extension of the sender is another sender", "bob+a@example.net", "x@y.example", "remote x@y.example smart.example:25 (control/routes:8)"},
		{"a sender's domain that is refused", "eve@Example.com", "x@y.example", "550 5.7.1 no mail from here"},
		{"reports that are held", "", "x@y.example", "held x@y.example hold (control/sender-routes:3)"},
		{"a domain that is refused", alice, "x@gone.example", "550 5.1.6 it is now example.net"},
		{"an alias to it", alice, "gone@example.net", "550 5.1.6 it is now example.net"},
		{"an alias to it and nobody", alice, "two@example.net", "550 5.1.6 it is now example.net"},
		{"a domain that is held", alice, "x@wait.example", "held x@wait.example hold (control/routes:5)"},
		{"a local domain by its row", alice, "dan@lists.example.net", "local dan@lists.example.net"},
		{"a local subdomain by its row", alice, "dan@deep.lists.example.net", "local dan@deep.lists.example.net"},
		{"no mailbox there", alice, "eve@lists.example.net", "550 5.1.1 no such mailbox: eve@lists.example.net"},
		{"a subdomain apart", alice, "dan@out.lists.example.net", "remote dan@out.lists.example.net mx (control/routes:3)"},
		{"a local domain and the sender's rows", bob, "alice@example.net", "local alice@example.net"},
		{"backup MX", alice, "x@backup.example", "remote x@backup.example smart.example:25 (control/routes:8)"},
		{"an address that is listed", alice, "VIP+a@list.example", "remote VIP+a@list.example smart.example:25 (control/routes:8)"},
		{"an address that is not", alice, "x@list.example", "550 5.1.1 no such mailbox: x@list.example"},
		{"postmaster, where addresses are listed", alice, "postmaster@list.example", "remote postmaster@list.example smart.example:25 (control/routes:8)"},
		{"an alias to all kinds", alice, "all@example.net", "local alice@example.net; refused x@gone.example error: 5.1.6 it is now example.net " +
			"(control/routes:4); held y@wait.example hold (control/routes:5); remote z@far.example 127.0.0.1:2525 mx (control/routes:7)"},
	}
	_, c := home(t, elsewhereFiles)
	for _, tt := range tests {
		targets, err := Resolve(c, tt.from, parseOrBare(t, tt.ask), nil)
		got := strings.Join(withRoutes(targets), "; ")
		if err != nil {
			_, enhanced, text := status.Reply(err)
			got = "550 " + enhanced + " " + text
		}
		if got != tt.want || status.IsTemporary(err) && err != nil {
			t.Errorf("%s: %s, want %s (%v)", tt.about, got, tt.want, err)
		}
	}
}

// withRoutes formats targets with their routes.
func withRoutes(targets []Target) []string {
	list := lines(targets)
	for i, t := range targets {
		if t.Route != nil {
			list[i] += " " + t.Route.String() + " (" + t.Route.Where + ")"
		}
	}
	for i, l := range list {
		list[i], _, _ = strings.Cut(l, " in ")
	}
	return list
}

// A broken row affects mail for its own domain alone, and never mail that stays here.
func TestBrokenRouteRow(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users, "routes": "a.example: tsl:x.example:1\n.: smart.example\n"})
	if _, err := Resolve(c, "", parseOrBare(t, "x@a.example"), nil); !status.IsTemporary(err) {
		t.Error(err)
	}
	for _, other := range []string{"x@b.example", "alice@example.net"} {
		if _, err := Resolve(c, "", parseOrBare(t, other), nil); err != nil {
			t.Error(other, err)
		}
	}
}

func TestAnswerElsewhere(t *testing.T) {
	_, c := home(t, elsewhereFiles)
	for ask, want := range map[string]string{
		"x@far.example":      "relay x@far.example via 127.0.0.1:2525 mx (control/routes:7)",
		"y@wait.example":     "hold y@wait.example (control/routes:5)",
		"x@gone.example":     "refuse x@gone.example: it is now example.net (control/routes:4)",
		"x@list.example":     "unknown x@list.example (control/relayto:3)",
		"x@s.backup.example": "relay x@s.backup.example via smart.example:25 (control/routes:8)",
	} {
		var trail explain.Trail
		a, _ := Ask(c, "alice@example.net", ask, &trail)
		if len(a.Destinations) != 1 || a.Destinations[0].String() != want {
			t.Errorf("%s: %+v, want %s", ask, a.Destinations, want)
		}
	}
}

func (p *path) set(files map[string]string) {
	for name, text := range files {
		write(p.t, p.home, name, text)
	}
	p.stage.Control = control.Open(p.home, p.stage.Now)
	settled := func() { p.time = p.time.Add(3600e9) }
	settled()
}

// What a row holds waits in hold/ with a reason that names it; a message only for such
// addresses is moved there, without a copy.
func TestHeldByRow(t *testing.T) {
	p := newPath(t, "")
	p.set(elsewhereFiles)
	alone := p.accept("alice@example.net", "ESMTPSA", "a@wait.example", "b@wait.example")
	mixed := p.accept("alice@example.net", "ESMTPSA", "c@wait.example", "bob@example.net", "d@far.example", "e@later.example")
	p.run()
	if e, err := p.sp.Find(alone); err != nil || e.Inbox != spool.InboxHold || len(e.Envelope.To) != 2 {
		t.Errorf("%+v %v", e, err)
	}
	held, _ := filepath.Glob(filepath.Join(p.home, "spool/hold/new/*"))
	if len(held) != 3 {
		t.Error(held)
	}
	reasons := map[string]int{}
	list, _ := filepath.Glob(filepath.Join(p.home, "spool/hold/reason/*"))
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, why, _ := strings.Cut(string(text), "held: ")
		reasons[strings.TrimSpace(why)]++
	}
	if reasons["control/routes:5 holds mail for wait.example (change the row, then release it)"] != 2 ||
		reasons["control/routes:6 holds mail for later.example (change the row, then release it)"] != 1 {
		t.Error(reasons)
	}
	if e, err := p.sp.Find(mixed); err == nil {
		t.Errorf("%+v", e)
	}
	for _, want := range []string{"spool/relay/new/*", "spool/deliver/new/*"} {
		if list, _ := filepath.Glob(filepath.Join(p.home, want)); len(list) != 1 {
			t.Error(want, list)
		}
	}
}

// A refused domain fails its recipient alone, with the text of the row.
func TestRefusedByRow(t *testing.T) {
	p := newPath(t, "")
	p.set(elsewhereFiles)
	p.accept("alice@example.net", "ESMTPSA", "x@gone.example", "bob@example.net")
	p.run()
	var all strings.Builder
	list, _ := filepath.Glob(filepath.Join(p.home, "spool/deliver/new/*"))
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	if len(list) != 2 || strings.Count(all.String(), "\nStatus: 5.1.6\n") != 1 ||
		!strings.Contains(all.String(), "it is now example.net") {
		t.Errorf("%d entries:\n%s", len(list), &all)
	}
}
