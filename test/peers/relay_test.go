package peers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// Each server takes messages of every shape and relays them to the role mx,
// by TLS; the octets that arrive in the mailbox are those that were sent.
func TestServersRelayToUs(t *testing.T) {
	for name, run := range servers {
		t.Run(name, func(t *testing.T) {
			unpacked(t, name)
			h := newHome(t)
			addUsers(t, h, recipients("crowd", alice)...)
			start(t, h)
			p := run(t, h, "127.0.0.1:9")
			sent := shapes()
			began := time.Now()
			for shape, message := range sent {
				inject(t, p.addr, recipients(shape, alice), message)
			}
			p.completes(sent)
			checkMailbox(t, h, sent)
			checkCrowd(t, h, sent["crowd"])
			harness.Report("measured: %s relayed %d shapes of messages to us in %.1f s", name, len(sent), time.Since(began).Seconds())
			checkWire(t, h, p)
		})
	}
}

// addUsers adds mailboxes to which nobody can log in.
func addUsers(t *testing.T, h *harness.Home, addresses ...string) {
	t.Helper()
	path := filepath.Join(h.Dir, "control", "users")
	users, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		user, domain, _ := strings.Cut(address, "@")
		users = fmt.Appendf(users, "%s:*::::mail/%s/%s::\n", address, domain, user)
	}
	if err := os.WriteFile(path, users, 0o600); err != nil {
		t.Fatal(err)
	}
}

// completes changes what was sent as the server does: Exim ends every header
// with an empty line, also where no body follows.
func (p *peer) completes(sent map[string][]byte) {
	if p.name == "exim" {
		sent["no body"] = append(sent["no body"], '\n')
	}
}

// checkMailbox waits for all that was sent to alice alone.
func checkMailbox(t *testing.T, h *harness.Home, sent map[string][]byte) {
	t.Helper()
	want := len(sent) - 1
	err := harness.Wait(fmt.Sprintf("%d messages for alice", want), time.Minute, func() bool {
		return len(arrived(h, "alice")) >= want
	})
	if err != nil {
		t.Error(err, h.Describe())
	}
	got := map[string][]byte{}
	for _, name := range arrived(h, "alice") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		shape := shapeOf(data)
		if got[shape] != nil {
			t.Errorf("%s arrived twice", shape)
		}
		got[shape] = data
	}
	for shape, message := range sent {
		if shape != "crowd" {
			sameBytes(t, shape, relayed(got[shape]), message)
		}
	}
}

// checkCrowd waits for one message, the same, in each mailbox of the crowd.
func checkCrowd(t *testing.T, h *harness.Home, want []byte) {
	t.Helper()
	for _, rcpt := range recipients("crowd", alice) {
		user, _, _ := strings.Cut(rcpt, "@")
		if err := harness.Wait("mail for "+user, time.Minute, func() bool { return len(arrived(h, user)) > 0 }); err != nil {
			t.Fatal(err, h.Describe())
		}
		names := arrived(h, user)
		data, err := os.ReadFile(names[0])
		if err != nil || len(names) != 1 {
			t.Fatalf("%s has %d messages: %v", user, len(names), err)
		}
		sameBytes(t, user, relayed(data), want)
	}
}

// checkWire asserts that each message came by TLS, and in chunks from a server
// that sends chunks: of the three only Exim does.
func checkWire(t *testing.T, h *harness.Home, p *peer) {
	t.Helper()
	accepted := h.Events("event=accepted", "prog=mailsubmit")
	for _, line := range accepted {
		if !strings.Contains(line, `tls="TLS`) {
			t.Errorf("not by TLS: %s", line)
		}
	}
	if p.name == "exim" {
		delivered, chunked := 0, 0
		for line := range strings.Lines(p.log()) {
			if strings.Contains(line, " => ") {
				delivered++
				if strings.Contains(line, " K C=") { // Exim's mark for BDAT
					chunked++
				}
			}
		}
		if delivered == 0 || chunked != delivered {
			t.Errorf("%d of %d messages came by BDAT", chunked, delivered)
		}
	}
}

func arrived(h *harness.Home, user string) []string {
	names, _ := filepath.Glob(h.Mailbox(user) + "/new/*")
	return names
}

// relayed returns a message below the trace fields of two hosts.
func relayed(data []byte) []byte { return harness.Body(harness.Body(data)) }

func sameBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	t.Errorf("%s: %d octets, want %d; they differ from octet %d on:\n got %.200q\nwant %.200q", what, len(got), len(want), n, got[n:], want[n:])
}

// The other way: mailrelay sends every shape to each server, by TLS, which
// passes it on to a recording sink.
func TestServersTakeFromUs(t *testing.T) {
	for name, run := range servers {
		t.Run(name, func(t *testing.T) {
			unpacked(t, name)
			sink, err := harness.NewSink("ok")
			if err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			h := newHome(t)
			p := run(t, h, sink.Addr)
			set(t, h, "routes", far+": "+p.addr)
			start(t, h)
			sent := shapes()
			for shape, message := range sent {
				args := append([]string{"-i", "-f", alice, "--"}, recipients(shape, "dora@"+far)...)
				if _, err := programs.Must(h.Dir, bytes.NewReader(message), "sendmail", args...); err != nil {
					t.Fatal(err)
				}
			}
			p.completes(sent)
			checkSink(t, h, sink, sent)
			checkRelayed(t, h, p)
		})
	}
}

// checkRelayed asserts that all went out by TLS. Where a server offers STARTTLS
// and then fails, as OpenSMTPD 6.8 does with OpenSSL 3, mailrelay says so and
// goes on in the clear (RFC 7435).
func checkRelayed(t *testing.T, h *harness.Home, p *peer) {
	t.Helper()
	if p.name == "opensmtpd" && len(h.Events("event=trouble", "continuing without TLS", "handshake")) > 0 {
		return
	}
	for _, line := range h.Events("event=relayed") {
		if !strings.Contains(line, `tls="TLS`) {
			t.Fatalf("not by TLS: %s", line)
		}
	}
}

// checkSink waits until every recipient of every shape is at the sink.
func checkSink(t *testing.T, h *harness.Home, sink *harness.Sink, sent map[string][]byte) {
	t.Helper()
	count := func() int {
		n := 0
		for _, m := range sink.Received() {
			n += len(m.To)
		}
		return n
	}
	want := len(sent) - 1 + crowd
	if err := harness.Wait(fmt.Sprintf("%d recipients at the sink", want), time.Minute, func() bool { return count() >= want }); err != nil {
		t.Errorf("%v, only %d\n%s", err, count(), h.Describe())
	}
	seen := map[string]bool{}
	for _, m := range sink.Received() {
		for _, rcpt := range m.To {
			id := shapeOf(m.Data) + " " + rcpt
			if seen[id] {
				t.Errorf("%s arrived twice", id)
			}
			seen[id] = true
		}
		got := relayed(m.Data)
		if shapeOf(m.Data) == "long lines" { // beyond what SMTP allows
			got = harness.Unconverted(got)
		}
		sameBytes(t, shapeOf(m.Data), got, sent[shapeOf(m.Data)])
	}
	for _, wrong := range sink.Wrong() {
		t.Error("at the sink:", wrong)
	}
}
