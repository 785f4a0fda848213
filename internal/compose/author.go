package compose

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"mime"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
)

// Author is who wrote a message that does not say so.
type Author struct {
	Address addr.Address // null: no From is added
	Name    string       // full name
	Flags   string       // letters of QMAILINJECT (qmail-inject(8)): c, f, i and t
}

func (a Author) flag(letter byte) bool { return strings.IndexByte(a.Flags, letter) >= 0 }

// mailbox is the value of a From field.
func (a Author) mailbox() string {
	switch {
	case a.Name == "":
		return a.Address.String()
	case a.flag('c'):
		return a.Address.String() + " (" + comment(a.Name) + ")"
	}
	return phrase(a.Name) + " <" + a.Address.String() + ">"
}

// addMissing adds what fields lack of From, Sender, Date and Message-ID; prefix
// is "" or "Resent-".
func (m *Message) addMissing(fields []message.Field, prefix string, o Origin) {
	find := func(name string) *message.Field {
		for i, f := range fields {
			if strings.EqualFold(f.Name, prefix+name) && !m.isDropped(f) {
				return &fields[i]
			}
		}
		return nil
	}
	switch from := find("From"); {
	case o.Author.Address.IsNull():
	case from == nil:
		m.addAs(prefix+"From", o.Author.mailbox(), o.shown.mailbox())
	case find("Sender") != nil:
	default:
		// RFC 5322 3.6.2
		if list, err := addr.ParseList(from.Value); err == nil && len(list) > 1 {
			m.addAs(prefix+"Sender", o.Author.Address.String(), o.shown.Address.String())
		}
	}
	if find("Date") == nil {
		m.add(prefix+"Date", message.Date(o.Now))
	}
	if find("Message-ID") == nil {
		var random [8]byte
		rand.Read(random[:]) // never fails (crypto/rand)
		id := fmt.Sprintf("<%d.%s@%s>", o.Now.UnixNano(), hex.EncodeToString(random[:]), o.Host)
		m.add(prefix+"Message-ID", id)
	}
}

// phrase is a display name (RFC 5322 3.2.5, RFC 2047).
func phrase(name string) string {
	name = withoutControls(name)
	if word, ok := encoded(name); ok {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// comment is a name as a comment (RFC 5322 3.2.2), without its parentheses.
func comment(name string) string {
	name = withoutControls(name)
	if word, ok := encoded(name); ok {
		return word
	}
	return strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(name)
}

// encoded writes a name that is not ASCII as encoded words. Characters that
// RFC 2047 5 forbids in a phrase need the B encoding, which has none of them.
func encoded(name string) (string, bool) {
	encoding := mime.QEncoding
	if strings.ContainsAny(name, "\"#$%&'(),.:;<>@[]^`{|}~\\") {
		encoding = mime.BEncoding
	}
	word := encoding.Encode("utf-8", name)
	return word, word != name
}

// withoutControls returns a name with a blank for each control character.
func withoutControls(name string) string {
	return strings.Map(func(r rune) rune {
		if addr.IsControl(r) {
			return ' '
		}
		return r
	}, name)
}
