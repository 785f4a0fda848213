package milter

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/message"
)

// scripted is a milter that speaks raw packets. Whatever the script does not say is
// answered as a filter would that finds nothing.
type scripted struct {
	t      *testing.T
	filter Filter

	options []byte          // of the answer to the negotiation; nil: version 6, all actions, nothing left out
	answers map[byte][]byte // to a command: whole packets; empty: none, and the connection stays open
	hangUp  byte            // the command at which it closes the connection

	mu   sync.Mutex
	seen []string // commands with their data, NULs shown as |
	body []byte
	done sync.WaitGroup
}

// silence is the script for no answer.
var silence = []byte{}

func packet(code byte, data ...string) []byte {
	text := strings.Join(data, "")
	b := binary.BigEndian.AppendUint32(nil, uint32(len(text))+1)
	return append(append(b, code), text...)
}

func packets(list ...[]byte) []byte { return bytes.Join(list, nil) }

// words returns the options of a negotiation.
func words(version, actions, protocol uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	b = binary.BigEndian.AppendUint32(b, actions)
	return binary.BigEndian.AppendUint32(b, protocol)
}

// start runs the milter until the test ends.
func (m *scripted) start(t *testing.T) *scripted {
	m.t = t
	path := filepath.Join(t.TempDir(), "milter")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	m.filter = Filter{Name: "test", Network: "unix", Address: path, Connect: time.Second, Send: time.Second,
		Read: time.Second, End: time.Second, MaxBody: 1 << 20, Scratch: func() Scratch { return &memory{} }}
	m.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.done.Go(func() { defer c.Close(); m.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); m.done.Wait() })
	return m
}

func (m *scripted) serve(c net.Conn) {
	for {
		code, data, err := m.read(c)
		if err != nil || code == 'Q' || code == m.hangUp {
			return
		}
		if _, err := c.Write(m.answer(code, data)); err != nil {
			return
		}
	}
}

func (m *scripted) read(c net.Conn) (byte, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	data := make([]byte, binary.BigEndian.Uint32(head[:4])-1)
	_, err := io.ReadFull(c, data)
	m.mu.Lock()
	defer m.mu.Unlock()
	if head[4] == 'B' {
		m.body = append(m.body, data...)
	} else if head[4] != 'O' {
		m.seen = append(m.seen, string(head[4])+strings.ReplaceAll(string(data), "\x00", "|"))
	}
	return head[4], data, err
}

func (m *scripted) answer(code byte, data []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.answers[code]; ok {
		return a
	}
	switch code {
	case 'O':
		options := m.options
		if options == nil {
			options = words(6, binary.BigEndian.Uint32(data[4:]), 0)
		}
		return packet('O', string(options))
	case 'D', 'A':
		return nil
	}
	return packet('c')
}

// saw returns the commands so far, macros left out.
func (m *scripted) saw() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, s := range m.seen {
		if s[0] != 'D' {
			list = append(list, s)
		}
	}
	return list
}

// macros returns those of a stage.
func (m *scripted) macros(code byte) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.seen {
		if s[0] == 'D' && s[1] == code {
			return s[2:]
		}
	}
	return ""
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
		Client: netip.MustParseAddrPort("192.0.2.7:40000"), Name: "mail.example.org", PTR: "mail.example.org", Count: 2}
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
