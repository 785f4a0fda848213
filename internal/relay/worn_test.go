package relay

import (
	"strings"
	"sync"
	"testing"

	"paperpath/internal/status"
)

// Hosts that refuse MAIL for now after three messages, as OpenSMTPD does, get the next one
// in another session; what they say to the first MAIL of a session counts.
func TestWornSession(t *testing.T) {
	for _, words := range []string{"452 4.5.3 Too many messages sent", "451 4.7.1 enough"} {
		l := newLab(t)
		var mu sync.Mutex
		taken := map[int]int{}
		p := newPeer(t, func(session int, command string) string {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case taken[session] == 3 && strings.HasPrefix(command, "MAIL"):
				return words
			case taken[session] == 3 && (strings.HasPrefix(command, "RCPT") || command == "DATA"):
				return "503 5.5.1 MAIL first"
			case command == ".":
				taken[session]++
			}
			return ""
		})
		l.route("elsewhere.example", p)
		for i := range 10 {
			if err := l.send(far)[0].Err; err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if sessions, commands, texts := p.seen(); sessions != 4 || len(texts) != 10 {
			t.Errorf("%d sessions, %d texts\n%s", sessions, len(texts), strings.Join(commands, "\n"))
		}
	}
}

// A host that takes nothing is not called anew for each message.
func TestRefusedMail(t *testing.T) {
	l := newLab(t)
	p := newPeer(t, func(_ int, command string) string {
		if strings.HasPrefix(command, "MAIL") {
			return "450 4.7.1 too much mail"
		}
		return ""
	})
	l.route("elsewhere.example", p)
	for range 5 {
		if err := l.send(far)[0].Err; !status.IsTemporary(err) || !strings.Contains(err.Error(), "too much mail") {
			t.Errorf("%v", err)
		}
	}
	if sessions, _, _ := p.seen(); sessions > 2 {
		t.Errorf("%d sessions", sessions)
	}
}
