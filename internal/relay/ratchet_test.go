package relay

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/status"
	"paperpath/internal/tlsrule"
)

// TestHeldToTLS: a host that had TLS is held to it; then it is let go.
func TestHeldToTLS(t *testing.T) {
	l := newLab(t)
	l.now = time.Now()
	conf := serverTLS(t)
	var mu sync.Mutex
	has := true
	p := newPeer(t, func(_ int, command string) string {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(command, "EHLO") && has {
			return "250-peer.example\r\n250 STARTTLS"
		}
		return ""
	})
	p.secure = accepts(conf)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
	l.host("a.example", "192.0.2.1", p)
	if err := l.send(far)[0].Err; err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	has = false
	mu.Unlock()
	waits(t, l, p, "4.7.4", "may (default)", "it does not offer STARTTLS; it had TLS on ")
	match(t, l.log(), "`mailrelay forget a.example:25` or a row of control/tls-policy ends that")

	m := l.message("TLS-Required: no\n"+letter, far)
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Errorf("TLS-Required: No: %v", err)
	}
	l.set("tls-policy", "elsewhere.example: may")
	if err := l.send(far)[0].Err; err != nil {
		t.Errorf("a row: %v", err)
	}
	l.set("tls-policy", "#")
	waits(t, l, p, "4.7.4", "may (default)", "it had TLS on ")
	l.now = l.now.Add(48 * time.Hour)
	if err := l.send(far)[0].Err; err != nil {
		t.Errorf("after two days: %v", err)
	}
	match(t, l.log(), `event=forgot key=- host=a.example:25 reason="it had TLS on \S+ and not since \S+"`)

	for range 2 {
		mu.Lock()
		has = !has
		mu.Unlock()
		l.part()
		err := l.send(far)[0].Err
		if has && err != nil || !has && status.Enhanced(err) != "4.7.4" {
			t.Errorf("again, with TLS %v: %v", has, err)
		}
	}
	if host, had, err := l.Forget("a.example"); host != "a.example:25" || !strings.HasPrefix(had, "TLS on ") || err != nil {
		t.Errorf("%s: %s, %v", host, had, err)
	}
	if err := l.send(far)[0].Err; err != nil {
		t.Errorf("forgotten: %v", err)
	}
	match(t, l.log(), `event=forgot key=- host=a.example:25 reason="mailrelay forget"`)
	if _, _, err := l.Forget("a b"); status.Exit(err) != status.Usage {
		t.Error(err)
	}
}

// Without its file the ratchet holds nothing, and says so.
func TestRatchetWithoutItsFile(t *testing.T) {
	l := newLab(t)
	l.Ratchet = tlsrule.OpenRatchet(control.Open(filepath.Join(l.home, "nowhere"), time.Now))
	p := offersTLS(t, accepts(serverTLS(t)), nil)
	l.route("elsewhere.example", p)
	if err := l.send(far)[0].Err; err != nil {
		t.Fatal(err)
	}
	match(t, l.log(), `event=trouble key=KEY op="remember the TLS of `)
}
