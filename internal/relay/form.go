package relay

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"paperpath/internal/sevenbit"
	"paperpath/internal/status"
)

// form is how a host gets the text of a message. A text is made once for each form that
// is asked for: converted first, then signed, so that a signature covers what is sent.
type form struct {
	seven bool // no octet beyond ASCII in the body: the host does not offer 8BITMIME
	fold  bool // lines of at most 998 octets (RFC 5321 4.5.3.1.6)
}

// rendering is a text in a form.
type rendering struct {
	once   sync.Once
	err    error            // why there is none
	fields string           // in front of the text, with CRLF line ends: signatures
	signed string           // who signed it, for the log
	octets int64            // as they are sent, without dot-stuffing (RFC 1870 3)
	plain  func() io.Reader // what follows them
}

// open opens the text: CRLF line ends, no bare CR or LF, the last line ended.
func (r *rendering) open() io.Reader { return io.MultiReader(strings.NewReader(r.fields), r.plain()) }

// formFor returns the form that a host gets. Without 8BITMIME a signed message is
// converted too: a signature that is broken counts as none (RFC 6376 6.1), and otherwise
// the message would have to bounce. A long line alone is no reason to break one, since
// most hosts take it.
func (m *Message) formFor(offers func(string) bool) form {
	seven := m.shape.eightBit && !offers("8BITMIME")
	return form{seven: seven, fold: seven || m.shape.long && !m.shape.signed}
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

// render makes the text in a form. The error is a *sevenbit.Refusal if it has no such
// form.
func (m *Message) render(f form, r *rendering) error {
	r.plain, r.octets = m.cleaned, m.shape.octets
	if f != (form{}) {
		if err := m.convert(f, r); err != nil {
			return err
		}
	}
	if m.sign == nil {
		return nil
	}
	s, err := m.sign(r.plain())
	if err != nil {
		return fmt.Errorf("sign the message: %w", err)
	}
	r.fields, r.signed = s.Fields, signedBy(s.Domain, s.Selectors)
	if len(r.fields) > 0 && !strings.HasSuffix(r.fields, "\r\n") {
		return errors.New("sign the message: the fields have no end")
	}
	r.octets += int64(len(r.fields))
	return nil
}

// formless returns the failure of a message that has no text for a host. If it cannot be
// converted, another host may take it as it is.
func formless(h host, err error) *failure {
	var refusal *sevenbit.Refusal
	if errors.As(err, &refusal) {
		return unsuited(h, 554, "5.6.3", "the host does not offer 8BITMIME, and the message cannot be converted: "+refusal.Why)
	}
	return &failure{host: h, ours: true, err: status.Temp("4.3.0", "", err)}
}

// unsuited returns the failure of a message that a host cannot get; another one may.
func unsuited(h host, code int, enhanced, why string) *failure {
	return &failure{host: h, elsewhere: true, err: &status.Error{Exit: status.Unavailable,
		Reply: code, Enhanced: enhanced, Text: fmt.Sprintf("%s: %s", h, why)}}
}

// convert makes the text what a host without 8BITMIME, or for short lines, gets.
func (m *Message) convert(f form, r *rendering) error {
	plan, err := sevenbit.Scan(m.cleaned(), sevenbit.Options{Seven: f.seven, Fold: f.fold})
	if err != nil {
		return fmt.Errorf("convert the message: %w", err)
	}
	if plan.Empty() {
		return nil
	}
	r.plain = func() io.Reader { return plan.Apply(m.cleaned()) }
	if r.octets, err = io.Copy(io.Discard, r.plain()); err != nil {
		return fmt.Errorf("convert the message: %w", err)
	}
	return nil
}
