package relay

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"paperpath/internal/status"
)

// caller is a server that notes from which address a client comes, and what it says in
// EHLO.
func caller(t *testing.T) (address string, seen func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var list []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "220 peer.example\r\n")
			line, _ := bufio.NewReader(c).ReadString('\n')
			mu.Lock()
			list = append(list, c.RemoteAddr().(*net.TCPAddr).IP.String()+" "+strings.TrimSpace(line))
			mu.Unlock()
			fmt.Fprint(c, "421 seen\r\n")
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(list, ", ")
	}
}

// TestSource: mail comes from the address and under the name that control/source says
// for its destination or sender, and without a row as ever.
func TestSource(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"other.example: ip=127.0.0.2", "127.0.0.1 EHLO mx.example.net"},
		{".example: ip=127.0.0.2 ip=2001:db8::1\n@example.net: ip=127.0.0.3", "127.0.0.2 EHLO mx.example.net"},
		{"@example.net: ip=127.0.0.3 helo=three.example", "127.0.0.3 EHLO three.example"},
		{"alice@example.net: helo=four.example", "127.0.0.1 EHLO four.example"},
		{".: ip=2001:db8::1 helo=five.example", "127.0.0.1 EHLO five.example"}, // another family
	} {
		l := newLab(t)
		address, seen := caller(t)
		l.set("routes", "elsewhere.example: "+address)
		l.set("source", c.source)
		if err := l.send(far)[0].Err; !status.IsTemporary(err) || seen() != c.want {
			t.Errorf("%s: %q, want %q (%v)", c.source, seen(), c.want, err)
		}
	}
}

// TestSourceNotOurs: mail that would come from an address which this machine does not
// have is deferred, with an event, and the host is not to blame.
func TestSourceNotOurs(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", p)
	l.set("source", ".: ip=192.0.2.7")
	for range 2 {
		err := l.send(far)[0].Err
		if status.Enhanced(err) != "4.3.5" || !strings.Contains(err.Error(), "does not have the address 192.0.2.7 of control/source") {
			t.Errorf("%v", err)
		}
	}
	if log := l.log(); !strings.Contains(log, "event=trouble") || !strings.Contains(log, "192.0.2.7") {
		t.Errorf("no event: %s", log)
	}
	l.set("source", ".: ip=127.0.0.1")
	if err := l.send(far)[0].Err; err != nil {
		t.Error(err)
	}
}

// TestSourceApart: recipients with one route, but rows of their own in control/source,
// do not share a transaction.
func TestSourceApart(t *testing.T) {
	t.Parallel() // it waits
	l, p := newLab(t), newPeer(t, kind)
	l.set("routes", ".: "+p.addr)
	l.set("source", "a.example: helo=one.example\nb.example: helo=two.example")
	for _, res := range l.send("x@a.example", "y@b.example", "z@a.example", "w@c.example") {
		if res.Err != nil {
			t.Error(res.Err)
		}
	}
	if p.count("MAIL") != 3 || p.count("EHLO one.example") != 1 || p.count("EHLO two.example") != 1 || p.count("EHLO mx.example.net") != 1 {
		_, commands, _ := p.seen()
		t.Errorf("%q", commands)
	}
}

// TestTermsOfSource: sessions from other addresses or under other names are not shared.
func TestTermsOfSource(t *testing.T) {
	l := newLab(t)
	l.set("source", "@a.example: helo=one.example\n@c.example: ip=127.0.0.2\n@d.example: ip=127.0.0.3")
	h := host{routed: true, addr: netip.MustParseAddrPort("127.0.0.1:25")}
	all := map[terms]bool{}
	for _, from := range []string{"x@a.example", "y@b.example", "z@a.example", "c@c.example", "d@d.example", "e@d.example"} {
		s, err := l.Control.Source(from, "elsewhere.example")
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.terms(l.message(letter, far), destination{source: s}, h)
		if err != nil {
			t.Fatal(err)
		}
		all[got] = true
	}
	if len(all) != 4 {
		t.Errorf("%d terms", len(all))
	}
}
