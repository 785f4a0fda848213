package submit

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// composer makes of what came the message that goes into the spool: fields that
// submission adds stand directly below our Received, fields that it drops are
// left out, addresses get the domain that they lack, all else stays octet for
// octet.
type composer struct {
	host   string // in Message-ID
	domain string // of addresses without one; "": they stay so
	now    time.Time
	edits  []message.Edit
	gone   map[int64]bool // where the fields begin that are left out
	add    strings.Builder
	added  []message.Field
}

// header reads the header of what came, by read, and notes what its first lines
// need so that they can stand below fields of ours.
func (c *composer) header(read headerReader, from spool.Body) (*message.Header, error) {
	edits, _, err := message.Leading(from, from.Size())
	if err != nil {
		return nil, err
	}
	c.edits = append(c.edits, edits...)
	return read(from)
}

// headerReader reads a header within limits.
type headerReader func(spool.Body) (*message.Header, error)

// drop leaves fields out.
func (c *composer) drop(fields []message.Field) {
	if c.gone == nil {
		c.gone = map[int64]bool{}
	}
	for _, f := range fields {
		if !c.dropped(f) {
			c.gone[f.Start] = true
			c.edits = append(c.edits, message.Edit{Start: f.Start, End: f.End})
		}
	}
}

// dropped reports whether a field is left out.
func (c *composer) dropped(f message.Field) bool { return c.gone[f.Start] }

// field adds one.
func (c *composer) field(name, value string) {
	fmt.Fprintf(&c.add, "%s: %s\n", name, value)
	c.added = append(c.added, message.Field{Name: name, Value: value})
}

// finish completes a message of a user of ours (RFC 6409 8): what nobody else
// may see goes, so do fields that have to hold something and are empty;
// addresses get their domain; From, Sender, Date and Message-ID are added where
// they are missing, and the same for the topmost of the blocks of a message
// that was sent again (RFC 5322 3.6.6). h knows of the new fields then, but not
// where they stand.
func (c *composer) finish(h *message.Header, from spool.Body, p identity) error {
	c.drop(private(h))
	c.drop(empty(h))
	if strings.Contains(p.flags, "f") {
		c.drop(h.All("From"))
	}
	if strings.Contains(p.flags, "i") {
		c.drop(h.All("Message-ID"))
	}
	block := resent(h)
	if err := c.qualify(h, block, from); err != nil {
		return err
	}
	c.complete(h.Fields, "", p)
	if len(block) > 0 {
		c.complete(block, "Resent-", p)
	}
	h.Fields = slices.DeleteFunc(h.Fields, c.dropped)
	if strings.Contains(p.flags, "t") && !h.Has("To") && !h.Has("Cc") {
		c.field("Cc", "recipient list not shown: ;")
	}
	h.Fields = append(h.Fields, c.added...)
	return nil
}

// complete adds what is missing of From, Sender, Date and Message-ID, whose
// names begin with prefix.
func (c *composer) complete(fields []message.Field, prefix string, p identity) {
	has := func(name string) *message.Field {
		for i, f := range fields {
			if strings.EqualFold(f.Name, prefix+name) && !c.dropped(f) {
				return &fields[i]
			}
		}
		return nil
	}
	switch author := has("From"); {
	case p.author.IsNull(): // nobody is known whom it could name
	case author == nil:
		c.field(prefix+"From", mailbox(p))
	case has("Sender") != nil:
	default:
		// RFC 5322 3.6.2
		if list, err := addr.ParseList(author.Value); err == nil && len(list) > 1 {
			c.field(prefix+"Sender", p.author.String())
		}
	}
	if has("Date") == nil {
		c.field(prefix+"Date", message.Date(c.now))
	}
	if has("Message-ID") == nil {
		var random [8]byte
		rand.Read(random[:]) // never fails (crypto/rand)
		c.field(prefix+"Message-ID", fmt.Sprintf("<%d.%s@%s>", c.now.UnixNano(), hex.EncodeToString(random[:]), c.host))
	}
}

// mailbox is what stands in a From field that is added.
func mailbox(p identity) string {
	switch {
	case p.name == "":
		return p.author.String()
	case strings.Contains(p.flags, "c"):
		return p.author.String() + " (" + comment(p.name) + ")"
	}
	return phrase(p.name) + " <" + p.author.String() + ">"
}

// phrase is a display name as RFC 5322 3.2.5 and RFC 2047 want it.
func phrase(name string) string {
	name = printing(name)
	if word, ok := encoded(name); ok {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// comment is a name as a comment (RFC 5322 3.2.2), without its parentheses.
func comment(name string) string {
	name = printing(name)
	if word, ok := encoded(name); ok {
		return word
	}
	return strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(name)
}

// encoded writes a name that is not ASCII as encoded words. What RFC 2047 5
// does not allow inside them in a phrase asks for the B encoding, which has
// none of it.
func encoded(name string) (string, bool) {
	encoding := mime.QEncoding
	if strings.ContainsAny(name, "\"#$%&'(),.:;<>@[]^`{|}~\\") {
		encoding = mime.BEncoding
	}
	word := encoding.Encode("utf-8", name)
	return word, word != name
}

// printing is a name without control characters.
func printing(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, name)
}

// body is the message as it goes into the spool.
func (c *composer) body(from spool.Body) spool.Body {
	added := c.add.String()
	if added == "" && len(c.edits) == 0 {
		return from
	}
	slices.SortStableFunc(c.edits, func(a, b message.Edit) int { return cmp.Compare(a.Start, b.Start) })
	var p message.Pieces
	p.Text(added)
	p.Edited(from, from.Size(), c.edits)
	return &p
}

// private returns the fields that are not for the recipients: a blind copy's
// address reaches nobody else, whatever the client left in.
func private(h *message.Header) []message.Field {
	var fields []message.Field
	for _, name := range []string{"Return-Path", "Bcc", "Resent-Bcc"} {
		fields = append(fields, h.All(name)...)
	}
	return fields
}

// empty returns the fields that say nothing though they must (RFC 5322 3.6).
func empty(h *message.Header) []message.Field {
	var fields []message.Field
	for _, f := range h.Fields {
		if f.Value != "" {
			continue
		}
		switch strings.TrimPrefix(addr.Fold(f.Name), "resent-") {
		case "from", "sender", "reply-to", "to", "cc", "date", "message-id":
			fields = append(fields, f)
		}
	}
	return fields
}

// resent returns the fields of the topmost block that says that the message
// was sent again: a second field of one name, or any other field, ends it.
func resent(h *message.Header) []message.Field {
	var block []message.Field
	seen := map[string]bool{}
	for _, f := range h.Fields {
		name := addr.Fold(f.Name)
		switch is := strings.HasPrefix(name, "resent-"); {
		case !is && len(block) == 0:
			continue
		case !is || seen[name]:
			return block
		}
		seen[name] = true
		block = append(block, f)
	}
	return block
}

// qualify gives addresses without a domain ours.
func (c *composer) qualify(h *message.Header, block []message.Field, from spool.Body) error {
	if c.domain == "" {
		return nil
	}
	for _, f := range h.Fields {
		switch addr.Fold(f.Name) {
		case "from", "sender", "reply-to", "to", "cc":
		case "resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc":
			if !slices.Contains(block, f) {
				continue // it has been on its way before
			}
		default:
			continue
		}
		if c.dropped(f) {
			continue
		}
		text := make([]byte, f.End-f.Start)
		if _, err := from.ReadAt(text, f.Start); err != nil && err != io.EOF {
			return fmt.Errorf("read the message: %w", err)
		}
		_, value, _ := strings.Cut(string(text), ":")
		ends, err := addr.Unqualified(value)
		if err != nil {
			continue // as it came: a person may understand it
		}
		for _, at := range ends {
			at := f.End - int64(len(value)) + int64(at)
			c.edits = append(c.edits, message.Edit{Start: at, End: at, Text: "@" + c.domain})
		}
	}
	return nil
}

// forged leaves out results that claim to be ours.
func (c *composer) forged(h *message.Header) { c.drop(check.Forged(h, c.host)) }
