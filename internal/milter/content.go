package milter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-milter"

	"paperpath/internal/message"
)

// Text is a message as a milter sees it: without our own Received, as with other mail
// systems.
type Text struct {
	Body   Body
	Header *message.Header
	Ours   []string // our result fields, with their line ends, shown above it and never changed
}

// maxData is the most that one packet may hold for libmilter, in octets.
const maxData = milter.MaxBodyChunk

// start returns where the body begins.
func (t Text) start() int64 {
	switch h := t.Header; {
	case !h.Blank:
		return h.End
	case h.CRLF:
		return h.End + 2
	default:
		return h.End + 1
	}
}

// fields returns what the milter sees of the header, in its order.
func (t Text) fields() ([]field, error) {
	var list []field
	for _, line := range t.Ours {
		list = append(list, fieldOf([]byte(line), message.Field{}, true))
	}
	head := make([]byte, t.Header.End)
	if n, err := t.Body.ReadAt(head, 0); n < len(head) {
		return nil, &ownFault{fmt.Errorf("read the message: %w", err)}
	}
	for _, f := range t.Header.Fields {
		list = append(list, fieldOf(head[f.Start:f.End], f, false))
	}
	return list, nil
}

// field is a field as it is sent.
type field struct {
	message.Field
	raw  string // all after the colon, with LF inside and no line end
	ours bool
}

func fieldOf(text []byte, f message.Field, ours bool) field {
	name, raw, _ := bytes.Cut(text, []byte(":"))
	raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	if f.Name == "" {
		f.Name = strings.TrimRight(string(name), " \t")
	}
	return field{f, string(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))), ours}
}

// value is raw as this milter wants it. Without SMFIP_HDR_LEADSPC the first blank is left
// out, as Sendmail does. A longer value than a packet can hold is cut.
func (f field) value(leading bool) string {
	v := clean(f.raw)
	if !leading {
		v = strings.TrimPrefix(v, " ")
	}
	return v[:min(len(v), max(0, maxData-len(f.Name)-2))]
}

// Message shows the milter a whole message whose envelope it knows, and returns what it
// wants changed. The caller closes the changes. A message that it no longer wants to see
// has none.
func (s *Session) Message(ctx context.Context, t Text) (*Changes, Answer, error) {
	defer s.endMessage()
	fields, err := t.fields()
	if err != nil {
		return &Changes{}, Answer{}, err
	}
	a, err := s.header(ctx, fields)
	if err == nil && a.Kind == Continue && s.state == wantsAll {
		a, err = s.text(ctx, t)
	}
	if err != nil || a.Kind != Continue || s.state != wantsAll {
		return &Changes{}, a, err
	}
	return s.end(ctx, t, fields)
}

// header sends the fields and the end of the header.
func (s *Session) header(ctx context.Context, fields []field) (Answer, error) {
	leading := s.client.ProtocolOption(milter.OptHeaderLeadingSpace)
	for _, f := range fields {
		a, err := s.ask(ctx, AtHeader, nil, func() (*milter.Action, error) {
			return s.client.HeaderField(f.Name, f.value(leading))
		})
		if err != nil || a.Kind != Continue || s.state != wantsAll {
			return a, err
		}
	}
	m := macros{}
	m.set("i", s.sent.key)
	return s.ask(ctx, AtHeaderEnd, m, s.client.HeaderEnd)
}

// text sends the body with CRLF line ends, as far as the milter wants it.
func (s *Session) text(ctx context.Context, t Text) (Answer, error) {
	if s.client.ProtocolOption(milter.OptNoBody) {
		return Answer{}, nil
	}
	s.guard.skip = false
	start := t.start()
	in := &crlf{r: io.NewSectionReader(t.Body, start, max(0, t.Body.Size()-start))}
	chunk := make([]byte, maxData)
	for !s.guard.skip {
		n, err := io.ReadFull(in, chunk)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return Answer{}, fmt.Errorf("read the message: %w", err)
		}
		if n == 0 {
			break
		}
		a, err := s.ask(ctx, AtBody, nil, func() (*milter.Action, error) { return s.client.BodyChunk(chunk[:n]) })
		if err != nil || a.Kind != Continue || s.state != wantsAll {
			return a, err
		}
	}
	return Answer{}, nil
}

// end asks for the verdict.
func (s *Session) end(ctx context.Context, t Text, fields []field) (*Changes, Answer, error) {
	s.guard.body = &newBody{open: s.filter.Scratch, most: s.filter.MaxBody}
	defer func() { s.guard.body.drop(); s.guard.body = nil }()
	var wanted []milter.ModifyAction
	a, err := s.ask(ctx, AtEnd, s.sent.macros(t.Body.Size()), func() (act *milter.Action, err error) {
		wanted, act, err = s.client.End()
		return act, err
	})
	if err != nil || a.Err() != nil || a.Kind == Discard {
		return &Changes{}, a, err
	}
	c := &collector{fields: fields, leading: s.client.ProtocolOption(milter.OptHeaderLeadingSpace)}
	for _, act := range wanted {
		c.take(act)
	}
	c.Changes.edits = c.edits()
	if c.Changes.body, err = s.guard.body.end(); err != nil {
		s.failed = err
		return &Changes{}, a, err
	}
	return &c.Changes, a, nil
}

// crlf reads a text with LF line ends as one with CRLF.
type crlf struct {
	r    io.Reader
	buf  [16 << 10]byte
	have []byte // of buf, not given yet
	cr   bool   // the last octet was CR
	owed bool   // a LF whose CR was given
	err  error
}

// Read implements io.Reader.
func (c *crlf) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(c.have) == 0 {
			if c.err != nil {
				break
			}
			var got int
			got, c.err = c.r.Read(c.buf[:])
			c.have = c.buf[:got]
			continue
		}
		b := c.have[0]
		if b == '\n' && !c.cr && !c.owed {
			b, c.owed = '\r', true
		} else {
			c.owed = false
			c.have = c.have[1:]
		}
		c.cr = b == '\r'
		p[n] = b
		n++
	}
	if n == 0 {
		err = c.err
	}
	return n, err
}
