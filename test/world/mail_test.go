package world

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// Every shape of message reaches each server as it was sent, over STARTTLS; the server
// hands it on to the sink, where the octets are compared.
func TestOctets(t *testing.T) {
	for domain, run := range map[string]func(*world){
		"postfix.example":   func(w *world) { w.postfix("") },
		"exim.example":      func(w *world) { w.exim("") },
		"opensmtpd.example": func(w *world) { w.opensmtpd("") },
	} {
		t.Run(domain, func(t *testing.T) {
			w := newWorld(t)
			run(w)
			sent := harness.Shapes()
			for _, message := range sent {
				w.submit(message, "user@"+domain)
			}
			if domain == "exim.example" { // it ends every header with an empty line
				sent["no body"] = append(sent["no body"], '\n')
			}
			w.run("mailcheck", "mailroute", "mailrelay")
			w.reached(len(sent))
			for _, m := range w.sink.Received() {
				shape := harness.ShapeOf(m.Data)
				got := harness.Body(harness.Body(m.Data)) // below the trace fields of two hosts
				if shape == "long lines" {                // beyond what SMTP allows
					got = harness.Unconverted(got)
				}
				sameOctets(t, shape, got, sent[shape])
			}
			for _, line := range w.home.Events("event=relayed") {
				if !strings.Contains(line, `tls="TLS`) && domain != "opensmtpd.example" {
					t.Errorf("not by TLS: %s", line)
				}
			}
		})
	}
}

// reached waits until the messages at the sink have n recipients together, each of them
// each message once.
func (w *world) reached(n int) {
	w.t.Helper()
	err := harness.Wait(fmt.Sprintf("%d recipients at the sink", n), time.Minute, func() bool {
		got := 0
		for _, m := range w.sink.Received() {
			got += len(m.To)
		}
		return got >= n
	})
	seen := map[string]bool{}
	for _, m := range w.sink.Received() {
		for _, to := range m.To {
			id := harness.ShapeOf(m.Data) + " to " + to
			if seen[id] {
				w.t.Errorf("%s arrived twice", id)
			}
			seen[id] = true
		}
	}
	if err != nil || len(seen) != n {
		w.t.Errorf("%d recipients at the sink, not %d: %v\n%s", len(seen), n, err, w.home.Describe())
	}
}

func sameOctets(t *testing.T, what string, got, want []byte) {
	t.Helper()
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	if n < max(len(got), len(want)) {
		t.Errorf("%s: %d octets, want %d; they differ from octet %d on:\n got %.200q\nwant %.200q",
			what, len(got), len(want), n, got[n:], want[n:])
	}
}
