package relay

import (
	"bytes"
	"errors"
	"io"

	"paperpath/internal/message"
)

// Limits of the header that is read. Of a longer one its beginning counts.
const (
	maxHeader = 1 << 20
	maxFields = 5000
)

// facts are what the header of a message says that matters here.
type facts struct {
	err         error           // why it could not be read
	signed      bool            // by DKIM or ARC
	from        []message.Field // From
	tlsRequired []message.Field // TLS-Required
}

// facts reads the header once.
func (m *Message) facts() *facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.said != nil {
		return m.said
	}
	m.said = &facts{}
	if m.Content == nil {
		return m.said
	}
	h, err := message.Read(io.NewSectionReader(m.Content, 0, m.Content.Size()), maxHeader, maxFields)
	if !errors.Is(err, message.ErrTooLong) && !errors.Is(err, message.ErrTooMany) {
		m.said.err = err
	}
	m.said.signed = h.Has("DKIM-Signature") || h.Has("ARC-Message-Signature")
	m.said.from, m.said.tlsRequired = h.All("From"), h.All("TLS-Required")
	return m.said
}

// maxInMemory is the size of a text that is read once and kept in memory for its attempt.
// There may be a thousand attempts at a time.
const maxInMemory = 32 << 10

// loaded returns a small text in memory. A text that cannot be read whole stays where it
// is: whoever reads it finds out why.
func loaded(text *io.SectionReader) *io.SectionReader {
	if text.Size() > maxInMemory {
		return text
	}
	octets := make([]byte, text.Size())
	if n, _ := text.ReadAt(octets, 0); n < len(octets) {
		return text
	}
	return io.NewSectionReader(bytes.NewReader(octets), 0, text.Size())
}
