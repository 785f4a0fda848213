package check

import (
	"io"
	"strings"

	"paperpath/internal/authres"
	"paperpath/internal/compose"
	"paperpath/internal/control"
	"paperpath/internal/message"
)

// resultFields returns the Authentication-Results field of host (RFC 8601 2.2); none where
// no method was tried. Received-SPF stands below it where control/results wants it.
func (s *Session) resultFields(found []Found) []string {
	methods := append(make([]authres.Method, 0, 8), s.at.loggedIn(s.wanted)...)
	for _, f := range found {
		methods = append(methods, f.Methods...)
		if f.Action == control.CheckTag {
			methods = append(methods, f.mark(string(f.Action)))
		}
	}
	for _, f := range found {
		if f.Action == control.CheckJunk { // one is enough to file it by
			methods = append(methods, f.mark(authres.Junk))
			break
		}
	}
	if len(methods) == 0 {
		return nil
	}
	fields := []string{authres.Format(s.Host, methods)}
	if s.wanted.ReceivedSPF && s.at.SPF != nil {
		fields = append(fields, authres.FormatSPF(s.at.receivedSPF()))
	}
	return fields
}

// loggedIn is the result for mail of a user who logged in (RFC 8601 2.7.4). Who that is, is
// nobody's business but the administrator's, unless they want it shown.
func (m *Case) loggedIn(wanted control.Results) []authres.Method {
	if m.Login == "" || !wanted.Auth {
		return nil
	}
	auth := authres.Method{Name: "auth", Result: "pass"}
	if wanted.Login {
		auth.Properties = []authres.Property{authres.Mailbox("smtp.auth", m.Login)}
	}
	return []authres.Method{auth}
}

// receivedSPF is what SPF found, for a Received-SPF field: of the reverse path that the
// client gave, whatever filters have made of it since.
func (m *Case) receivedSPF() authres.ReceivedSPF {
	env := m.Envelope
	if m.original != nil {
		env = m.original.Envelope
	}
	return authres.ReceivedSPF{Result: string(m.SPF.Status), Why: m.SPF.Reason, Receiver: m.Host,
		Client: m.Client, From: env.From.Addr, Helo: m.Helo, Identity: string(m.SPF.Scope)}
}

// mark is how our results say what a check wants to become of a message that passes.
func (f *Found) mark(verdict string) authres.Method {
	return authres.Method{Name: authres.Paperpath, Result: verdict, Reason: f.Name, Comment: f.Reason}
}

// WithResults is the message as a filter passes it on: our result on top, everything else
// as the verdict has it.
func WithResults(v Verdict, host string) *message.Pieces {
	fields := v.Results
	if len(fields) == 0 {
		fields = []string{authres.Format(host, nil)}
	}
	lines := strings.Join(fields, "")
	if v.Header.CRLF {
		lines = strings.ReplaceAll(lines, "\n", "\r\n")
	}
	// Text before the first field (an mbox From line) stays there, so that it cannot
	// become a continuation line of ours.
	at := v.Header.End
	if len(v.Header.Fields) > 0 {
		at = v.Header.Fields[0].Start
	}
	var out message.Pieces
	out.Stretch(v.Body, 0, at)
	out.Text(lines)
	out.Stretch(v.Body, at, v.Body.Size()-at)
	return &out
}

// dropForged removes the results that claim to be ours. The checks before it see the bytes
// as they came.
func (m *Case) dropForged() error {
	forged := compose.Forged(m.Header, m.Host)
	if len(forged) == 0 {
		return nil
	}
	size := m.Body.Size()
	var p message.Pieces
	p.Without(io.NewSectionReader(m.Body, 0, size), size, forged)
	return m.become(&Change{Body: &p, Envelope: m.Envelope})
}

// change takes the message as a filter has changed it.
func (m *Case) change(c *Change) error {
	if m.original == nil {
		m.original = &Change{Body: m.Body, Envelope: m.Envelope}
	}
	return m.become(c)
}

func (m *Case) become(c *Change) (err error) {
	m.Body, m.Envelope = c.Body, c.Envelope
	m.Header, err = ReadHeader(m.Control, m.Body)
	m.from = nil
	return err
}
