package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

func dnsError(kind error) error { return &dns.Error{Kind: kind, Name: "x", Type: "MX"} }

// TestWhere: where mail goes, depending on what the DNS and the settings say.
func TestWhere(t *testing.T) {
	mx := func(l *lab, list ...dns.MX) { l.w.mx["elsewhere.example"] = list }
	for _, c := range []struct {
		name     string
		make     func(l *lab)
		to       string
		want     string // the outcome of explain
		exit     int
		enhanced string
	}{
		{"best MX", func(l *lab) {
			mx(l, dns.MX{Host: "b.example", Pref: 20}, dns.MX{Host: "a.example", Pref: 10})
			l.host("a.example", "192.0.2.1", nil)
			l.host("b.example", "192.0.2.2", nil)
		}, far, "relay to a.example [192.0.2.1]:25", 0, ""},
		{"no MX, own address", func(l *lab) { l.host("elsewhere.example", "2001:db8::1", nil) }, far,
			"relay to elsewhere.example [2001:db8::1]:25", 0, ""},
		{"no MX, no address", func(l *lab) {}, far, "fail", 69, "5.4.4"},
		{"null MX", func(l *lab) { mx(l, dns.MX{}) }, far, "fail: the domain elsewhere.example does not accept mail (null MX)", 69, "5.1.10"},
		{"no domain", func(l *lab) { l.w.errs["MX elsewhere.example"] = dnsError(dns.ErrNoDomain) }, far, "fail", 69, "5.1.2"},
		{"DNS trouble", func(l *lab) { l.w.errs["MX elsewhere.example"] = dnsError(dns.ErrTemporary) }, far, "defer", 75, "4.4.3"},
		{"unknown trouble", func(l *lab) { l.w.errs["MX elsewhere.example"] = errors.New("?") }, far, "defer", 75, "4.4.3"},
		{"MX without address", func(l *lab) { mx(l, dns.MX{Host: "a.example"}) }, far, "fail", 69, "5.4.4"},
		{"one MX without address, one unknown", func(l *lab) {
			mx(l, dns.MX{Host: "b.example"}, dns.MX{Host: "a.example", Pref: 1})
			l.w.errs["A b.example"] = dnsError(dns.ErrTemporary)
		}, far, "defer", 75, "4.4.3"},
		{"we are the best MX", func(l *lab) {
			mx(l, dns.MX{Host: "mx.example.net", Pref: 10}, dns.MX{Host: "a.example", Pref: 10})
			l.host("a.example", "192.0.2.1", nil)
		}, far, "fail: mail for elsewhere.example loops back", 69, "5.4.6"},
		{"we are a backup MX", func(l *lab) {
			mx(l, dns.MX{Host: "mx.example.net", Pref: 20}, dns.MX{Host: "a.example", Pref: 10})
			l.host("a.example", "192.0.2.1", nil)
		}, far, "relay to a.example [192.0.2.1]:25", 0, ""},
		{"MX on loopback", func(l *lab) {
			mx(l, dns.MX{Host: "a.example", Pref: 10})
			l.host("a.example", "127.0.0.1", nil)
		}, far, "defer", 75, "4.4.4"},
		{"MX is one of our addresses", func(l *lab) {
			mx(l, dns.MX{Host: "a.example", Pref: 10})
			l.host("a.example", "192.0.2.99", nil)
		}, far, "defer", 75, "4.4.4"},
		{"MX on no address", func(l *lab) {
			mx(l, dns.MX{Host: "a.example", Pref: 10})
			l.host("a.example", "0.0.0.0", nil)
		}, far, "defer", 75, "4.4.4"},
		{"literal", func(l *lab) {}, "x@[192.0.2.7]", "relay to 192.0.2.7:25", 0, ""},
		{"literal, IPv6", func(l *lab) {}, "x@[IPv6:2001:db8::7]", "relay to [2001:db8::7]:25", 0, ""},
		{"literal of this machine", func(l *lab) {}, "x@[127.0.0.1]", "defer", 75, "4.4.4"},
		{"route to loopback", func(l *lab) { l.set("routes", "elsewhere.example: 127.0.0.1:2525") }, far,
			"relay to 127.0.0.1:2525", 0, ""},
		{"route to a name, without its MX", func(l *lab) {
			l.set("routes", "elsewhere.example: hub.example")
			l.w.mx["hub.example"] = []dns.MX{{Host: "no.example"}}
			l.host("hub.example", "192.0.2.5", nil)
		}, far, "relay to hub.example [192.0.2.5]:25", 0, ""},
		{"route to a name that has gone", func(l *lab) { l.set("routes", "elsewhere.example: hub.example") }, far, "defer", 75, "4.3.5"},
		{"smarthost", func(l *lab) { l.set("routes", ".: [2001:db8::5]:587") }, far, "relay to [2001:db8::5]:587", 0, ""},
		{"broken routes", func(l *lab) { l.set("routes", "elsewhere.example 127.0.0.1") }, far, "defer: control/routes:1", 75, "4.3.5"},
		{"no hostname", func(l *lab) {
			mx(l, dns.MX{Host: "a.example", Pref: 10})
			l.set("hostname", "")
		}, far, "defer", 75, "4.3.5"},
		{"U-labels", func(l *lab) {
			l.w.mx["xn--bcher-kva.example"] = []dns.MX{{Host: "a.example"}}
			l.host("a.example", "192.0.2.1", nil)
		}, "x@Bücher.example", "relay to a.example [192.0.2.1]:25", 0, ""},
		{"no domain in the address", func(l *lab) {}, "postmaster", "fail", 69, "5.1.3"},
		{"no DNS name", func(l *lab) {}, "x@" + strings.Repeat("a.", 127) + "b", "fail", 69, "5.1.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			c.make(l)
			var trail explain.Trail
			err := l.Explain(context.Background(), "", c.to, &trail)
			if got := status.Exit(err); got != c.exit || !strings.HasPrefix(trail.Outcome, c.want) {
				t.Fatalf("exit %d, %q; want %d, %q", got, trail.Outcome, c.exit, c.want)
			}
			if c.exit == 0 {
				return
			}
			if got := status.Enhanced(err); got != c.enhanced {
				t.Errorf("enhanced %s, want %s", got, c.enhanced)
			}
			// What is explained is what is done.
			if done := l.send(c.to)[0].Err; status.Exit(done) != c.exit || status.Enhanced(done) != c.enhanced {
				t.Errorf("sending: %v", done)
			}
		})
	}
}

// TestMXOrder: by preference, at random among equals.
func TestMXOrder(t *testing.T) {
	l := newLab(t)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a", Pref: 5}, {Host: "b", Pref: 10}, {Host: "c", Pref: 10}, {Host: "d", Pref: 20}}
	seen := map[string]int{}
	for range 100 {
		list, err := l.exchangers(context.Background(), l.lookups(), destination{domain: "elsewhere.example"}, control.RouteTarget{Kind: control.ToMX}, nil)
		if err != nil {
			t.Fatal(err)
		}
		order := ""
		for _, x := range list {
			order += x.name
		}
		seen[order]++
	}
	if len(seen) != 2 || seen["abcd"] == 0 || seen["acbd"] == 0 {
		t.Errorf("orders: %v", seen)
	}
}

// TestGroups: recipients go together by destination, whatever the spelling.
func TestGroups(t *testing.T) {
	l := newLab(t)
	l.set("routes", "one.example: 127.0.0.1:2525\ntwo.example: 127.0.0.1:2525")
	m := l.message(letter, "a@one.example", "b@three.example", "c@TWO.example", "d@Three.Example", "e@[192.0.2.1]", "not an address")
	m.To[5].Addr = "not an address"
	failed := map[int]*failure{}
	got := map[string][]int{}
	for _, g := range l.groups(m, []int{0, 1, 2, 3, 4, 5}, failed) {
		got[g.name] = g.todo
	}
	want := map[string][]int{"127.0.0.1:2525": {0, 2}, "three.example": {1, 3}, "[192.0.2.1]": {4}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if f := failed[5]; f == nil || status.Enhanced(f.err) != "5.1.3" {
		t.Errorf("%+v", f)
	}
}

// TestSlowDestination: a destination that hangs does not hold up the others.
func TestSlowDestination(t *testing.T) {
	t.Parallel() // it waits
	l := newLab(t)
	served := make(chan struct{})
	slow := newPeer(t, func(_ int, command string) string {
		if command == "" {
			<-served // it greets only once the other has the message
		}
		return ""
	})
	fast := newPeer(t, func(_ int, command string) string {
		if command == "." {
			close(served)
		}
		return ""
	})
	l.set("routes", fmt.Sprintf("slow.example: %s\nfast.example: %s", slow.addr, fast.addr))
	for _, res := range l.send("x@slow.example", "y@fast.example") {
		if res.Err != nil {
			t.Error(res.Err)
		}
	}
}

// TestPanic: it is temporary, for its group alone.
func TestPanic(t *testing.T) {
	l := newLab(t)
	p := newPeer(t, kind)
	l.route("elsewhere.example", p)
	l.DNS = panics{l.w}
	res := l.send("x@boom.example", far)
	if !status.IsTemporary(res[0].Err) || res[1].Err != nil {
		t.Errorf("%v", res)
	}
	if !strings.Contains(l.log(), "panic: boom") {
		t.Error("the panic is not in the log")
	}
}

type panics struct{ *world }

func (panics) MX(context.Context, string) ([]dns.MX, error) { panic("boom") }

func TestParseVia(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:2525": "127.0.0.1:2525", "mx.example.org": "mx.example.org:25", "MX.example.org:587": "mx.example.org:587",
		"[::1]:25": "[::1]:25", "[2001:db8::1]": "[2001:db8::1]:25", "192.0.2.1": "192.0.2.1:25", "2001:db8::1": "[2001:db8::1]:25",
		"tls:a.example": "tls:a.example:465", "a b:26": "a:25 b:26",
		"": "", "a:0": "", "a:99999": "", "a:smtp": "", "a:b:c": "", "-x;y": "", "hold": "", "local": "", "error: x": "",
	} {
		got := ""
		if r, err := ParseVia(in); err == nil {
			got = r.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
