package submit

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/home"
	"paperpath/internal/milter/miltertest"
	"paperpath/internal/spool"
)

// withMilter sets control/filters to a milter with these answers.
func withMilter(t *testing.T, h *home.Home, options string, answers map[byte][]byte) *miltertest.Server {
	t.Helper()
	m := (&miltertest.Server{Answers: answers}).Start(t)
	path := filepath.Join(h.Dir, "control", "filters")
	if err := os.WriteFile(path, []byte("test: milter:unix:"+m.Path+" "+options+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	return m
}

// dialogue is a session with one message; what follows each command is its reply.
func dialogue(ehlo, mail, rcpt, data, end string) []string {
	list := []string{"EHLO peer.example", ehlo}
	for _, step := range [][2]string{{"MAIL FROM:<x@far.example> BODY=8BITMIME", mail}, {"RCPT TO:<alice@example.net>", rcpt},
		{"DATA", data}, {testMessage, end}} {
		if step[1] != "" {
			list = append(list, step[0], step[1])
		}
	}
	return list
}

// A milter's answer at each stage is the reply to that command.
func TestMilterReplies(t *testing.T) {
	reply := miltertest.Packet('y', "550 5.7.9 go away\x00")
	for stage, talks := range map[byte][]string{
		'H': dialogue("550 5.7.9 go away", "503 ", "", "", ""),
		'M': dialogue("250 ", "550 5.7.9 go away", "503 ", "", ""),
		'R': dialogue("250 ", "250 ", "550 5.7.9 go away", "", ""),
		'L': dialogue("250 ", "250 ", "250 ", "354 ", "550 5.7.9 go away"),
		'N': dialogue("250 ", "250 ", "250 ", "354 ", "550 5.7.9 go away"),
		'B': dialogue("250 ", "250 ", "250 ", "354 ", "550 5.7.9 go away"),
		'E': dialogue("250 ", "250 ", "250 ", "354 ", "550 5.7.9 go away"),
	} {
		h, log := newHome(t)
		withMilter(t, h, "", map[byte][]byte{stage: reply})
		talk(t, h, MX, talks...)
		if got := entries(t, h, spool.InboxRoute); len(got) > 0 {
			t.Errorf("%c: stored %v", stage, got)
		}
		if stage > 'H' && stage != 'L' && !strings.Contains(log.String(), "go away") {
			t.Errorf("%c: %s", stage, log)
		}
	}
}

// A milter may refuse the client at its connection: the reply is the greeting.
func TestMilterRefusesTheConnection(t *testing.T) {
	for answer, want := range map[string]string{"550 5.7.9 no\x00": "550 5.7.9 no\r\n", "421 4.7.9 later\x00": "421 4.7.9 later\r\n"} {
		h, log := newHome(t)
		withMilter(t, h, "", map[byte][]byte{'C': miltertest.Packet('y', answer)})
		s, err := newServer(h, MX)
		if err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.serve(t.Context(), &home.Client{Conn: server}) }()
		client.SetDeadline(time.Now().Add(time.Minute))
		got, err := io.ReadAll(client)
		if string(got) != want || err != nil {
			t.Errorf("%q %v", got, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "event=refused") {
			t.Errorf("%s", log)
		}
	}
}

// What a milter inserts stands directly below our Received, with its macros it has learnt
// what the entry is called, and two messages of a session pass one connection.
func TestMilterChangesTheEntry(t *testing.T) {
	h, _ := newHome(t)
	m := withMilter(t, h, "", map[byte][]byte{'E': miltertest.Packets(miltertest.Packet('h', "X-Seen\x00yes\x00"),
		miltertest.Packet('+', "<bob@example.net>\x00"), miltertest.Packet('c'))})
	once := dialogue("250 ", "250 ", "250 ", "354 ", "250 2.0.0 accepted as ")
	talk(t, h, MX, append(once, once[2:]...)...)
	list := entries(t, h, spool.InboxRoute)
	if len(list) != 2 {
		t.Fatalf("%d entries", len(list))
	}
	keys := map[string]bool{}
	for _, l := range list {
		text, err := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", l.Name))
		if err != nil || !strings.Contains(string(text), "\nX-Seen: yes\n"+strings.TrimSuffix(testMessage, "\n.")) &&
			!strings.Contains(string(text), "\nX-Seen: yes\nFrom: ") || !strings.Contains(string(text), "\nDelivered-To: bob@example.net\n") {
			t.Errorf("%v\n%s", err, text)
		}
		keys[string(l.Key)] = true
	}
	seen := strings.Join(m.Saw(), " ")
	if strings.Count(seen, "Clocalhost|4") != 1 || strings.Count(seen, "Hpeer.example|") != 1 ||
		strings.Count(seen, "M<x@far.example>|BODY=8BITMIME|") != 2 {
		t.Errorf("%s", seen)
	}
	if key, _, _ := strings.Cut(strings.TrimPrefix(m.Macros('M'), "i|"), "|"); !keys[key] {
		t.Errorf("macro i=%s, keys %v", key, keys)
	}
	if got := m.Macros('C'); !strings.Contains(got, "j|mx.example.net|{daemon_name}|mx|") || !strings.Contains(got, "{client_addr}|127.0.0.1|") {
		t.Errorf("%s", got)
	}
}

// A login is known to the milter, which is asked only once it is.
func TestMilterAndLogin(t *testing.T) {
	h, _ := newHome(t)
	m := withMilter(t, h, "for=submitted", nil)
	talk(t, h, Submission, "EHLO pc.example", "250 ", loginAlice, "235 ",
		"MAIL FROM:<alice@example.net>", "250 ", "RCPT TO:<bob@example.net>", "250 ", "DATA", "354 ",
		"From: alice@example.net\nTo: bob@example.net\n\nx\n.", "250 ")
	if got := m.Macros('M'); !strings.Contains(got, "{auth_type}|PLAIN|{auth_authen}|alice@example.net|{auth_author}|alice@example.net|") {
		t.Errorf("%s in %s", got, m.Saw())
	}
}

// Discarded is accepted, and nothing is stored; quarantine is hold/, with the message as
// it came.
func TestMilterDiscardsAndHolds(t *testing.T) {
	for stage := range map[byte]bool{'C': true, 'H': true, 'M': true, 'R': true, 'L': true, 'B': true, 'E': true} {
		h, _ := newHome(t)
		withMilter(t, h, "", map[byte][]byte{stage: miltertest.Packet('d')})
		talk(t, h, MX, dialogue("250 ", "250 ", "250 ", "354 ", "250 2.0.0 accepted as ")...)
		if got := entries(t, h, spool.InboxRoute); len(got) > 0 {
			t.Errorf("%c: %v", stage, got)
		}
	}
	h, _ := newHome(t)
	withMilter(t, h, "", map[byte][]byte{'E': miltertest.Packets(miltertest.Packet('h', "X-Bad\x00yes\x00"),
		miltertest.Packet('q', "virus\x00"), miltertest.Packet('c'))})
	talk(t, h, MX, dialogue("250 ", "250 ", "250 ", "354 ", "250 2.0.0 accepted as ")...)
	list := entries(t, h, spool.InboxHold)
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	text, err := os.ReadFile(filepath.Join(h.Dir, "spool/hold/new", list[0].Name))
	if err != nil || strings.Contains(string(text), "X-Bad") || !strings.Contains(list[0].LastReason, "virus") {
		t.Errorf("%v %s\n%s", err, list[0].LastReason, text)
	}
}

// A milter that is away: mail waits or passes, never silently.
func TestMilterAwayInTheSession(t *testing.T) {
	for away, talks := range map[string][]string{
		"tempfail": dialogue("250 ", "451 4.7.1", "503 ", "", ""),
		"accept":   dialogue("250 ", "250 ", "250 ", "354 ", "250 "),
		"tag":      dialogue("250 ", "250 ", "250 ", "354 ", "250 "),
	} {
		h, log := newHome(t)
		m := withMilter(t, h, "away="+away, nil)
		m.Hang('C')
		talk(t, h, MX, talks...)
		if got := strings.Count(log.String(), "event=filter-away"); got != 1 {
			t.Errorf("%s: %d events\n%s", away, got, log)
		}
	}
}
