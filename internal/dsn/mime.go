package dsn

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/quotedprintable"
	"strings"

	"github.com/emersion/go-message/textproto"

	"paperpath/internal/addr"
	"paperpath/internal/visible"
)

// part is a MIME part.
type part struct {
	description, kind string
	text              []byte // LF line ends
	quoted            bool   // it may be encoded, as a message/rfc822 may not (RFC 2046 5.2.1)
}

// encoding is how the part is transferred. 8-bit text is declared on the part and on the
// whole (RFC 2045 6.4).
func (p part) encoding() string {
	switch {
	case addr.IsASCII(string(p.text)):
		return "7bit"
	case p.quoted:
		return "quoted-printable"
	}
	return "8bit"
}

// write writes the part's text, with CRLF line ends and no line over the limit of 998
// octets (RFC 5322 2.1.1).
func (p part) write(w *bytes.Buffer) error {
	if p.encoding() == "quoted-printable" {
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write(p.text); err != nil {
			return err
		}
		return q.Close()
	}
	for line := range bytes.Lines(p.text) {
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		for len(text) > maxOctets {
			w.Write(text[:maxOctets])
			w.WriteString("\r\n")
			text = text[maxOctets:]
		}
		w.Write(text)
		if ended {
			w.WriteString("\r\n")
		}
	}
	return nil
}

// assemble makes the message of the parts. It uses go-message's writers of headers and
// parts, but not its message.Writer, which takes the Content-Transfer-Encoding off a
// message of several parts: 8-bit parts would travel in a message that claims to be 7-bit.
func (r *Report) assemble(parts []part) ([]byte, error) {
	var b bytes.Buffer
	boundary := r.boundary(parts)
	if err := textproto.WriteHeader(&b, r.fields(parts, boundary)); err != nil {
		return nil, fmt.Errorf("write the header: %w", err)
	}
	b.WriteString("This is a report in MIME format (RFC 3464).\r\n\r\n")
	w := textproto.NewMultipartWriter(&b)
	if err := w.SetBoundary(boundary); err != nil {
		return nil, err
	}
	for _, p := range parts {
		var h textproto.Header // fields are added from the last to the first
		h.Add("Content-Transfer-Encoding", p.encoding())
		if p.quoted {
			h.Add("Content-Language", "en")
		}
		h.Add("Content-Type", p.kind)
		h.Add("Content-Description", p.description)
		if _, err := w.CreatePart(h); err != nil {
			return nil, err
		}
		if err := p.write(&b); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")), nil
}

// fields is the header of the report itself. Auto-Submitted keeps responders away (RFC
// 3834 5); References and In-Reply-To show it beside the message.
func (r *Report) fields(parts []part, boundary string) textproto.Header {
	to := make([]string, len(r.Recipients))
	for i := range r.Recipients {
		to[i] = r.Recipients[i].Address
	}
	words, host := r.Kind.phrases(), bounded(r.Host)
	sum := sha256.Sum256([]byte(words.seed + "\n" + r.Key + "\n" + strings.Join(to, "\n")))
	list := [][2]string{
		{"From", "Mail Delivery System <MAILER-DAEMON@" + host + ">"},
		{"To", "<" + visible.Field(r.Sender) + ">"},
		{"Subject", "Your message " + words.subject},
		{"Date", date(r.Now)},
		{"Message-ID", fmt.Sprintf("<%s.%s@%s>", r.Key, hex.EncodeToString(sum[:6]), host)},
	}
	if id, thread := r.thread(); id != "" {
		list = append(list, [2]string{"In-Reply-To", id}, [2]string{"References", thread})
	}
	list = append(list, [2]string{"Auto-Submitted", "auto-replied"}, [2]string{"MIME-Version", "1.0"},
		[2]string{"Content-Type", "multipart/report; report-type=delivery-status;\r\n boundary=\"" +
			boundary + "\""})
	for _, p := range parts {
		if p.encoding() == "8bit" {
			list = append(list, [2]string{"Content-Transfer-Encoding", "8bit"})
			break
		}
	}
	var h textproto.Header
	for i := len(list) - 1; i >= 0; i-- { // a field is added above those that are there
		h.AddRaw([]byte(list[i][0] + ": " + list[i][1] + "\r\n"))
	}
	return h
}

// boundary is a text that no part holds. A remote host knows the key, and must not be able
// to end a part with its reply.
func (r *Report) boundary(parts []part) string {
	for i := 0; ; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "boundary %d %s", i, r.Key))
		b := "=_" + hex.EncodeToString(sum[:16])
		found := false
		for _, p := range parts {
			found = found || bytes.Contains(p.text, []byte(b))
		}
		if !found {
			return b
		}
	}
}

// thread returns the message's own id, "" if it has no valid one, and the ids of the
// thread that it belongs to, with its own as the last (RFC 5322 3.6.4).
func (r *Report) thread() (id, thread string) {
	if r.header == nil {
		return "", ""
	}
	id = r.header.Value("Message-ID")
	if !isID(id) {
		return "", ""
	}
	ids := []string{id}
	before := strings.Fields(r.header.Value("References"))
	if len(before) == 0 {
		before = strings.Fields(r.header.Value("In-Reply-To"))
	}
	for i := len(before) - 1; i >= 0 && len(ids) < maxThread; i-- {
		if isID(before[i]) {
			ids = append(ids, before[i])
		}
	}
	for i := len(ids) - 1; i >= 0; i-- {
		thread += "\r\n " + ids[i]
	}
	return id, strings.TrimPrefix(thread, "\r\n ")
}

// isID reports whether a text is one Message-ID that can stand in a header of ours.
func isID(id string) bool {
	inside, ok := strings.CutPrefix(id, "<")
	inside, closed := strings.CutSuffix(inside, ">")
	return ok && closed && inside != "" && len(id) <= maxID && !strings.ContainsAny(inside, "<> ") &&
		bounded(id) == id
}
