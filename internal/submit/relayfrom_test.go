package submit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// The Received field of a host that may relay says so, where it cannot be forged, and
// can be read back; that of a user who logs in from there does not.
func TestReceivedTellsRelayfrom(t *testing.T) {
	for role, hello := range map[Role][]string{MX: {"EHLO x.(relayfrom).example", "250 "},
		Submission: {"EHLO printer", "250 "}} {
		h, _ := newHome(t)
		set(t, h, "relayfrom", "127.0.0.1\n")
		talk(t, h, role, append(hello, "MAIL FROM:<app@example.net>", "250 ", "RCPT TO:<x@far.example>", "250 ", "DATA", "354 ", testMessage, "250 ")...)
		l := entries(t, h, spool.InboxRoute)[0]
		text, _ := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", l.Name))
		if !strings.Contains(string(text), "\n with ESMTP (relayfrom) id "+string(l.Key)+";") {
			t.Errorf("%s: the entry is\n%s", role, text)
		}
		sp, err := h.Spool()
		if err != nil {
			t.Fatal(err)
		}
		e, err := sp.Find(l.Key)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Relay || e.With != "ESMTP" || e.Client != "127.0.0.1" || e.Trusted() {
			t.Errorf("%s: it reads back as %q, %v, %q", role, e.With, e.Relay, e.Client)
		}
		e.Close()
	}
}

// A host that may relay is a submitter on port 25 too: its messages are completed,
// those of strangers are not.
func TestHostsOfRelayFromAreCompleted(t *testing.T) {
	const sent = "From: Printer <printer>\nTo: bob\nBcc: hidden@far.example\nSubject: x\n\npage\n."
	for _, c := range []struct {
		name, networks, reply string
		wrapper               bool
		completed             bool
	}{
		{name: "relayfrom", networks: "127.0.0.1\n", reply: "250 ", completed: true},
		{name: "RELAYCLIENT", networks: "", reply: "250 ", wrapper: true, completed: true},
		{name: "stranger", networks: "192.0.2.1\n", reply: "550 5.6.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := newHome(t)
			set(t, h, "relayfrom", c.networks)
			s, err := newServer(h, MX)
			if err != nil {
				t.Fatal(err)
			}
			play := talkTo
			if c.wrapper {
				t.Setenv("TCPREMOTEIP", "192.0.2.7")
				t.Setenv("RELAYCLIENT", "")
				play = func(t *testing.T, s *server, words ...string) { talkVia(t, s, "tcpserver", words...) }
			}
			play(t, s, "EHLO printer", "250 ", "MAIL FROM:<printer@example.net>", "250 ", "RCPT TO:<bob@example.net>", "250 ",
				"DATA", "354 ", sent, c.reply)
			list := entries(t, h, spool.InboxRoute)
			if !c.completed {
				if len(list) != 0 {
					t.Errorf("route/ holds %+v", list)
				}
				return
			}
			text, err := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", list[0].Name))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"\nFrom: Printer <printer@example.net>\n", "\nTo: bob@example.net\n", "\nDate: ", "\nMessage-ID: <", "\n\npage\n"} {
				if !strings.Contains(string(text), want) {
					t.Errorf("it lacks %q:\n%s", want, text)
				}
			}
			if strings.Contains(string(text), "hidden") {
				t.Errorf("the blind copy is visible:\n%s", text)
			}
		})
	}
	h, _ := newHome(t)
	talk(t, h, MX, "EHLO peer.example", "250 ", "MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<bob@example.net>", "250 ",
		"DATA", "354 ", testMessage, "250 ")
	text, _ := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", entries(t, h, spool.InboxRoute)[0].Name))
	if strings.Contains(string(text), "Date:") || strings.Contains(string(text), "Message-ID:") {
		t.Errorf("a stranger's message was completed:\n%s", text)
	}
}

func TestHostsOfRelayFromSendAnywhere(t *testing.T) {
	for _, c := range []struct{ networks, want string }{
		{"192.0.2.0/24\n127.0.0.0/8\n", "250 "},
		{"127.0.0.1\n", "250 "},
		{"192.0.2.0/24\n::1\n", "550 5.7.1"},
		{"here\n", "451 "},
	} {
		h, _ := newHome(t)
		path := filepath.Join(h.Dir, "control/relayfrom")
		old := time.Now().Add(-time.Hour)
		if err := os.WriteFile(path, []byte(c.networks), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, old, old)
		talk(t, h, MX, "EHLO peer.example", "250 ", "MAIL FROM:<x@far.example>", "250 ",
			"RCPT TO:<nobody@example.net>", "550 5.1.1", "RCPT TO:<y@far.example>", c.want)
	}
}
