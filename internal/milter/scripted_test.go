package milter

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"paperpath/internal/message"
	"paperpath/internal/milter/miltertest"
)

// scripted is a milter and how it is asked.
type scripted struct {
	options []byte
	answers map[byte][]byte
	hangUp  byte
	filter  Filter
	*miltertest.Server
}

var (
	silence  = miltertest.Silence()
	packet   = miltertest.Packet
	packets  = miltertest.Packets
	words    = miltertest.Words
	numbered = miltertest.Numbered
)

// patience is how long a milter may take for a step where no test expects silence: a busy
// machine takes seconds.
const patience = 30 * time.Second

// start runs the milter until the test ends.
func (m *scripted) start(t *testing.T) *scripted {
	m.Server = (&miltertest.Server{Options: m.options, Answers: m.answers, HangUp: m.hangUp}).Start(t)
	m.filter = Filter{Name: "test", Network: "unix", Address: m.Path, Connect: patience, Send: patience,
		Read: patience, End: patience, MaxBody: 1 << 20, Scratch: func() Scratch { return &memory{} }}
	return m
}

// dial connects to it.
func (m *scripted) dial(t *testing.T) *Session {
	t.Helper()
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// begin connects and begins a message.
func (m *scripted) begin(t *testing.T) *Session {
	t.Helper()
	s := m.dial(t)
	if _, err := s.Sender(t.Context(), sender); err != nil {
		t.Fatal(err)
	}
	return s
}

// memory is a Scratch.
type memory struct {
	bytes.Buffer
	closed bool
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.Bytes()).ReadAt(p, off)
}
func (m *memory) Size() int64  { return int64(m.Len()) }
func (m *memory) Close() error { m.closed = true; return nil }

// textOf is a message.
func textOf(t testing.TB, s string) Text {
	body := strings.NewReader(s)
	h := &message.Header{}
	if _, header, err := message.Leading(body, body.Size()); err != nil {
		t.Fatal(err)
	} else if header {
		if h, err = message.Read(strings.NewReader(s), 1<<20, 1000); err != nil {
			t.Fatal(err)
		}
	}
	return Text{Body: body, Header: h}
}

func read(t testing.TB, b Body) string {
	p := make([]byte, b.Size())
	if n, err := b.ReadAt(p, 0); n < len(p) {
		t.Fatalf("%d of %d octets: %v", n, len(p), err)
	}
	return string(p)
}

var (
	peer = Peer{Host: "mx.example.net", Daemon: "mx", Version: "Paperpath 1", Local: netip.MustParseAddrPort("192.0.2.25:25"),
		Client: netip.MustParseAddrPort("192.0.2.7:40000"), Name: "mail.example.org", PTR: "mail.example.org"}
	greeting  = Greeting{Name: "mail.example.org", TLSVersion: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", CipherBits: 128}
	sender    = Sender{Addr: "a@example.org", Params: []string{"SIZE=100", "BODY=8BITMIME"}, Key: "KEY"}
	recipient = Recipient{Addr: "b@example.net", Params: []string{"NOTIFY=NEVER"}, Local: true}
)

const mail = "Subject:  two\n words\nX-A: 1\nx-a:2\n\nHello\n.\n"

// result is what a whole session came to: the stage at which the milter did not continue,
// and what it said there.
type result struct {
	at      Stage
	answer  Answer
	changes *Changes
	err     error
}

// converse shows the milter a session with one message.
func converse(ctx context.Context, t *testing.T, m *scripted) result {
	s, err := Dial(ctx, m.filter)
	if err != nil {
		return result{err: err}
	}
	defer s.Close()
	for at, ask := range []func() (Answer, error){
		func() (Answer, error) { return s.Hello(ctx, peer) },
		func() (Answer, error) { return s.Helo(ctx, greeting) },
		func() (Answer, error) { return s.Sender(ctx, sender) },
		func() (Answer, error) { return s.Recipient(ctx, recipient) },
	} {
		if a, err := ask(); err != nil || a.Kind != Continue {
			return result{at: Stage(at), answer: a, err: err}
		}
	}
	c, a, err := s.Message(ctx, textOf(t, mail))
	t.Cleanup(func() { c.Close() })
	return result{AtEnd, a, c, err}
}
