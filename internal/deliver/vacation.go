package deliver

import (
	"fmt"
	"mime"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/rules"
	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// vacation returns the answer to a message that the user is away, nil for none (RFC 3834).
// What is wrong with it keeps no mail from its mailbox.
func (m *mail) vacation(d *rules.Dir, delimiters string) []spool.Notice {
	v, err := d.Vacation()
	if v == nil && err == nil {
		return nil
	}
	var answer []spool.Notice
	if err == nil {
		answer, err = m.answer(d, v, delimiters)
	}
	if err != nil {
		m.log.Trouble(m.key, "vacation of "+m.user.Address, err)
	}
	return answer
}

func (m *mail) answer(d *rules.Dir, v *rules.Vacation, delimiters string) ([]spool.Notice, error) {
	sender := m.from.String()
	if robot(sender) || addr.FoldAddress(sender) == addr.FoldAddress(m.user.Address) {
		return nil, nil
	}
	if junk, err := m.about.Junk(); junk || err != nil {
		return nil, err
	}
	h, err := message.Read(m.message(), maxHeader, maxFields)
	if err != nil { // what cannot be read whole may be a list's
		return nil, nil
	}
	mine := append([]string{addr.FoldAddress(m.user.Address), addr.FoldAddress(m.to.String())}, v.Addresses...)
	if !names(h, mine, delimiters) {
		return nil, nil
	}
	if wish, err := m.about.Wish(); wish == control.Deny || err != nil {
		return nil, err
	}
	if ok, err := m.about.MayAnswer(); !ok || err != nil {
		return nil, err
	}
	if ok, err := d.Answer(v, sender, m.now(), m.about.Spend); !ok || err != nil {
		return nil, err
	}
	host, err := m.about.Hostname()
	if err != nil {
		return nil, err
	}
	a := away{v: v, h: h, host: host, from: m.user.Address, to: sender, key: m.key, date: message.Date(m.now())}
	return []spool.Notice{{To: sender, What: "vacation", Body: a.compose()}}, nil
}

// robots are the names of senders that are programs, or lists (RFC 3834 2).
var robots = []string{"mailer-daemon", "listserv", "majordomo", "noreply", "no-reply", "do-not-reply", "donotreply", "root", "nobody", "daemon"}

// robot reports whether an address is that of a program or a list, or none.
func robot(address string) bool {
	local, _ := addr.Split(addr.Fold(address))
	return local == "" || slices.Contains(robots, local) || strings.HasPrefix(local, "owner-") || strings.HasPrefix(local, "bounce-") ||
		strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner") || strings.HasSuffix(local, "-bounces") ||
		strings.HasPrefix(local, "srs0=") || strings.HasPrefix(local, "srs1=") || strings.HasPrefix(local, "prvs=")
}

// names reports whether the fields for recipients have one of these addresses (RFC 3834 2):
// who gets the message as a blind copy, or by a list, is not who was written to.
func names(h *message.Header, mine []string, delimiters string) bool {
	n := 0
	for _, f := range h.Fields {
		switch addr.Fold(f.Name) {
		case "to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc":
		default:
			continue
		}
		list, err := addr.ParseForeign(f.Value)
		if n += len(list); err != nil || n > maxFields {
			continue
		}
		for _, a := range list {
			for _, form := range a.Names(delimiters) {
				if slices.Contains(mine, addr.FoldAddress(form.String())) {
					return true
				}
			}
		}
	}
	return false
}

// away is an answer.
type away struct {
	v                         *rules.Vacation
	h                         *message.Header
	host, from, to, key, date string
}

const (
	maxSubject    = 200 // octets that are kept of a subject
	maxReferences = 900
)

// compose writes the answer (RFC 3834 3).
func (a away) compose() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\nTo: <%s>\nSubject: %s\n", a.from, a.to, a.subject())
	fmt.Fprintf(&b, "Date: %s\nMessage-ID: <vacation.%s@%s>\n", a.date, a.key, a.host)
	if id := messageID(a.h.Value("Message-ID")); id != "" {
		fmt.Fprintf(&b, "In-Reply-To: %s\nReferences: %s\n", id, strings.Join(append(a.references(), id), "\n "))
	}
	b.WriteString("Auto-Submitted: auto-replied (vacation)\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n")
	b.WriteString("Content-Transfer-Encoding: 8bit\n\n")
	b.WriteString(strings.TrimRight(a.v.Text, "\n") + "\n")
	return []byte(b.String())
}

// subject is the user's, else that of the message behind "Auto: " (RFC 3834 3.1.5).
func (a away) subject() string {
	text := a.v.Subject
	if text == "" {
		text = "Auto: " + strings.Join(strings.Fields(a.h.Value("Subject")), " ")
	}
	if len(text) > maxSubject {
		text = strings.ToValidUTF8(text[:maxSubject], "")
	}
	if visible.ASCII(text) == text { // with encoded words, if the message had them
		return text
	}
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", strings.ToValidUTF8(text, "?")), "\r\n", "\n")
}

// messageID is a message identifier that can stand in our own fields, or "".
func messageID(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 3 || len(s) > 250 || s[0] != '<' || s[len(s)-1] != '>' || strings.ContainsAny(s[1:len(s)-1], "<> \t") || visible.ASCII(s) != s {
		return ""
	}
	return s
}

// references are those of the message, as far as they fit.
func (a away) references() (list []string) {
	n := 0
	for _, word := range strings.Fields(a.h.Value("References")) {
		if id := messageID(word); id != "" && n+len(id) < maxReferences {
			n += len(id)
			list = append(list, id)
		}
	}
	return list
}

// answers is what a Settler says about answering by ourselves.
type answers interface {
	MayAnswer(e *spool.Entry) (bool, error)
	Spend() (bool, error)
}
