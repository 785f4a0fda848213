// Package miltertest is a milter for tests, which speaks raw packets.
package miltertest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Server is a milter that speaks raw packets. Whatever the script does not say is answered
// as a filter would that finds nothing.
type Server struct {
	Path    string          // of its Unix socket
	Options []byte          // of the answer to the negotiation; nil: version 6, all actions, nothing left out
	Answers map[byte][]byte // to a command: whole packets; empty: none, and the connection stays open
	HangUp  byte            // the command at which it closes the connection

	mu   sync.Mutex
	seen []string // commands with their data, NULs shown as |
	body []byte
	done sync.WaitGroup
}

// Silence is the script for no answer.
func Silence() []byte { return []byte{} }

// Packet is one packet.
func Packet(code byte, data ...string) []byte {
	text := strings.Join(data, "")
	b := binary.BigEndian.AppendUint32(nil, uint32(len(text))+1)
	return append(append(b, code), text...)
}

// Packets are several packets of one answer.
func Packets(list ...[]byte) []byte { return bytes.Join(list, nil) }

// Words returns the options of a negotiation.
func Words(version, actions, protocol uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	b = binary.BigEndian.AppendUint32(b, actions)
	return binary.BigEndian.AppendUint32(b, protocol)
}

// Start runs the milter until the test ends.
func (m *Server) Start(t testing.TB) *Server {
	m.Path = filepath.Join(t.TempDir(), "milter")
	l, err := net.Listen("unix", m.Path)
	if err != nil {
		t.Fatal(err)
	}
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

func (m *Server) serve(c net.Conn) {
	for {
		code, data, err := m.read(c)
		if err != nil || code == 'Q' || m.hangsUp(code) {
			return
		}
		if _, err := c.Write(m.answer(code, data)); err != nil {
			return
		}
	}
}

func (m *Server) read(c net.Conn) (byte, []byte, error) {
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

func (m *Server) answer(code byte, data []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.Answers[code]; ok {
		return a
	}
	switch code {
	case 'O':
		options := m.Options
		if options == nil {
			options = Words(6, binary.BigEndian.Uint32(data[4:]), 0)
		}
		return Packet('O', string(options))
	case 'D', 'A':
		return nil
	}
	return Packet('c')
}

// Saw returns the commands so far, macros left out.
func (m *Server) Saw() []string {
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

// Macros returns those of a stage.
func (m *Server) Macros(code byte) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.seen {
		if s[0] == 'D' && s[1] == code {
			return s[2:]
		}
	}
	return ""
}

// Body returns what it has seen of bodies.
func (m *Server) Body() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.body)
}

// Script sets the answers from now on.
func (m *Server) Script(answers map[byte][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Answers = answers
}

// Hang sets the command at which it closes the connection from now on; 0: at none.
func (m *Server) Hang(code byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.HangUp = code
}

func (m *Server) hangsUp(code byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return code == m.HangUp
}

// Numbered is a change of a header field with a number.
func Numbered(code byte, n uint32, name, value string) []byte {
	return Packet(code, string(binary.BigEndian.AppendUint32(nil, n)), name, "\x00", value, "\x00")
}
