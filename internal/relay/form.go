package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// form is how a host gets the text of a message. A text is made once for each form that
// is asked for: converted first, then signed, so that a signature covers what is sent.
type form struct {
	seven bool // no octet beyond ASCII in the body: the host does not offer 8BITMIME
}

// rendering is a text in a form.
type rendering struct {
	once   sync.Once
	err    error            // why there is none
	fields []byte           // in front of the text, with CRLF line ends: signatures
	octets int64            // as they are sent, without dot-stuffing (RFC 1870 3)
	plain  func() io.Reader // what follows them
}

// open opens the text: CRLF line ends, no bare CR or LF, the last line ended.
func (r *rendering) open() io.Reader { return io.MultiReader(bytes.NewReader(r.fields), r.plain()) }

// formFor returns the form that a host gets.
func (m *Message) formFor(offers func(string) bool) form {
	return form{seven: m.shape.eightBit && !offers("8BITMIME")}
}

// as returns the text in a form. It may be called at any time by several goroutines.
func (m *Message) as(f form) (*rendering, error) {
	m.mu.Lock()
	if m.forms == nil {
		m.forms = map[form]*rendering{}
	}
	r := m.forms[f]
	if r == nil {
		r = &rendering{}
		m.forms[f] = r
	}
	m.mu.Unlock()
	r.once.Do(func() { r.err = m.render(f, r) })
	return r, r.err
}

// render makes the text in a form.
func (m *Message) render(_ form, r *rendering) error {
	r.plain, r.octets = m.cleaned, m.shape.octets
	if m.sign == nil {
		return nil
	}
	var err error
	if r.fields, err = m.sign(r.plain()); err != nil {
		return fmt.Errorf("sign the message: %w", err)
	}
	if len(r.fields) > 0 && !bytes.HasSuffix(r.fields, []byte("\r\n")) {
		return errors.New("sign the message: the fields have no end")
	}
	r.octets += int64(len(r.fields))
	return nil
}
