package relay

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/dns"
)

// turnsTLS is a host that offers STARTTLS once it is told to. see, if there is one, hears
// each command.
func turnsTLS(t *testing.T, l *lab, see func(n int, command string)) (p *peer, has *atomic.Bool) {
	t.Helper()
	has = new(atomic.Bool)
	conf := serverTLS(t)
	l.trust(conf)
	p = newPeer(t, func(n int, command string) string {
		if see != nil {
			see(n, command)
		}
		if strings.HasPrefix(command, "EHLO") && has.Load() {
			return "250-peer.example\r\n250 STARTTLS"
		}
		return ""
	})
	p.secure = accepts(conf)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
	l.host("a.example", "192.0.2.1", p)
	return p, has
}

// later makes it time to ask the memory again.
func (l *lab) later() {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	for _, line := range l.pool.lines {
		line.looked = time.Time{}
	}
}

// TestClearSessionIsOutgrown: a session in the clear is not used further once another
// process has seen TLS at the host, unless a person or the message has decided otherwise.
func TestClearSessionIsOutgrown(t *testing.T) {
	for name, c := range map[string]struct {
		file, row string
		secure    int
	}{
		"the ratchet":       {"tls-ratchet", "30d", 1},
		"no ratchet":        {"tls-ratchet", "off", 0},
		"a row":             {"tls-policy", "elsewhere.example: may", 0},
		"a row of TLS":      {"tls-policy", "elsewhere.example: encrypt", 1},
		"another one's row": {"tls-policy", "other.example: may", 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			p, has := turnsTLS(t, l, nil)
			if c.row != "elsewhere.example: encrypt" {
				l.set(c.file, c.row)
			}
			for range 2 {
				if err := l.send(far)[0].Err; err != nil {
					t.Fatal(err)
				}
			}
			has.Store(true)
			if err := l.another().send(far)[0].Err; err != nil { // in a session of its own
				t.Fatal(err)
			}
			clear, secure := p.where()
			if c.row == "elsewhere.example: encrypt" {
				l.set(c.file, c.row)
			}
			l.later()
			for range 2 {
				if err := l.send(far)[0].Err; err != nil {
					t.Fatal(err)
				}
			}
			nowClear, nowSecure := p.where()
			if nowSecure-secure != 2*c.secure || nowClear-clear != 2-2*c.secure {
				t.Errorf("%d in TLS and %d in the clear", nowSecure-secure, nowClear-clear)
			}
			if sessions, _, _ := p.seen(); sessions != 2+c.secure {
				t.Errorf("%d sessions", sessions)
			}
		})
	}
}

// TestUnprovenSessionIsOutgrown: the same for a certificate that does not prove the name.
func TestUnprovenSessionIsOutgrown(t *testing.T) {
	l := newLab(t)
	l.set("tls-ratchet", "30d verify")
	p, has := turnsTLS(t, l, nil) // and not a.example
	has.Store(true)
	for range 2 {
		if err := l.send(far)[0].Err; err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Ratchet.Worked("a.example:25", true, l.now); err != nil {
		t.Fatal(err)
	}
	l.later()
	waits(t, l, p, "4.7.5", "may (default)", "it had a valid certificate on ")
}

// TestQueueOutgrowsASession: what waits for a session in the clear goes in another one,
// too, as soon as this process sees TLS at the host.
func TestQueueOutgrowsASession(t *testing.T) {
	l := newLab(t)
	l.set("concurrency", "destination: 1")
	reached, hold, once := make(chan struct{}), make(chan struct{}), sync.Once{}
	p, has := turnsTLS(t, l, func(_ int, command string) {
		if strings.HasPrefix(command, "MAIL") {
			once.Do(func() { close(reached); <-hold })
		}
	})
	var all sync.WaitGroup
	all.Go(func() {
		for _, err := range l.together(5) {
			if err != nil {
				t.Error(err)
			}
		}
	})
	<-reached
	l.queued(4)
	has.Store(true)
	l.Ratchet.Worked("a.example:25", false, time.Now())
	l.retire(host{name: "a.example", addr: netip.MustParseAddrPort("192.0.2.1:25")})
	close(hold)
	all.Wait()
	if clear, secure := p.where(); clear != 1 || secure != 4 {
		t.Errorf("%d in the clear and %d in TLS", clear, secure)
	}
}
