package milter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-milter"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/visible"
)

// Changes is what a milter wants changed in a message.
type Changes struct {
	From       *addr.Address     // the new reverse path
	Recipients []RecipientChange // in order
	Held       bool              // a person shall look at the message (quarantine)
	Reason     string            // why
	Fields     []Said            // what it has added and changed, in order
	Ignored    []string          // what it wanted and did not get, in words

	top   []string // fields for the top, as they will stand there
	edits []message.Edit
	body  Scratch
}

// RecipientChange adds a recipient, or takes one away.
type RecipientChange struct {
	Add  bool
	Addr addr.Address
}

// Said is a field that a milter has added or changed.
type Said struct{ Name, Value string }

// Close frees the new body.
func (c *Changes) Close() error {
	if c.body == nil {
		return nil
	}
	return c.body.Close()
}

// Text reports whether Apply returns another text.
func (c *Changes) Text() bool { return c.body != nil || len(c.top)+len(c.edits) > 0 }

// Header is how many fields are added, changed or removed.
func (c *Changes) Header() int { return len(c.top) + len(c.edits) }

// NewBody reports whether the milter has replaced the body.
func (c *Changes) NewBody() bool { return c.body != nil }

// Apply returns the message with the changes: what is added stands at the top, thus
// directly below our Received, and all that is not changed keeps its octets. It reads the
// old text and the new body, which must stay open as long as it. A first line that is no
// field is edited as the spool does, or it would fold into what stands above it.
func (c *Changes) Apply(t Text) (Body, error) {
	if !c.Text() {
		return t.Body, nil
	}
	lead, _, err := message.Leading(t.Body, t.Body.Size())
	if err != nil {
		return nil, err
	}
	var p message.Pieces
	for _, f := range c.top {
		p.Text(f)
	}
	edits := append(lead, c.edits...)
	slices.SortStableFunc(edits, func(a, b message.Edit) int { return cmp.Compare(a.Start, b.Start) })
	switch {
	case c.body == nil:
		p.Edited(t.Body, t.Body.Size(), edits)
		return &p, nil
	case t.Header.End > 0 || t.Header.Blank:
		p.Edited(t.Body, t.start(), edits)
	}
	if !t.Header.Blank {
		p.Text("\n")
	}
	p.Stretch(c.body, 0, c.body.Size())
	return &p, nil
}

// collector makes Changes of a milter's packets.
type collector struct {
	Changes
	fields  []field // as they were sent
	leading bool
	changed map[int]string // by their index in fields: the new text; "" removes it
}

func (c *collector) take(act milter.ModifyAction) {
	switch act.Code {
	case milter.ActAddHeader:
		c.add(len(c.top), act)
	case milter.ActInsertHeader:
		// Ours and other mail systems' Received, which the milter does not see, is
		// before 1 and after 0. All that is inserted stays together at the top.
		ours := len(slices.DeleteFunc(slices.Clone(c.fields), func(f field) bool { return !f.ours }))
		c.add(min(max(int(act.HeaderIndex)-1-ours, 0), len(c.top)), act)
	case milter.ActChangeHeader:
		c.change(act)
	case milter.ActAddRcpt, milter.ActDelRcpt:
		c.recipient(act.Code == milter.ActAddRcpt, act.Rcpt)
	case milter.ActChangeFrom:
		c.sender(act.From, act.FromArgs)
	case milter.ActQuarantine:
		c.Held, c.Reason = true, visible.Shorten(visible.Line(act.Reason), 200)
	}
}

// ignore notes what is not done.
func (c *collector) ignore(format string, args ...any) {
	if len(c.Ignored) < 20 {
		c.Ignored = append(c.Ignored, visible.Shorten(visible.ASCII(fmt.Sprintf(format, args...)), 200))
	}
}

// add puts a field at a place of the top.
func (c *collector) add(at int, act milter.ModifyAction) {
	text, ok := c.format(act)
	if !ok {
		return
	}
	c.top = slices.Insert(c.top, at, text)
	c.say(act)
}

func (c *collector) say(act milter.ModifyAction) {
	c.Fields = append(c.Fields, Said{act.HeaderName, strings.Join(strings.Fields(act.HeaderValue), " ")})
}

// change replaces or removes the field of that name and number, counted in the message as
// it was sent. One that does not exist is added.
func (c *collector) change(act milter.ModifyAction) {
	n := max(int64(act.HeaderIndex), 1)
	for i, f := range c.fields {
		if !strings.EqualFold(f.Name, act.HeaderName) {
			continue
		}
		if n--; n > 0 {
			continue
		}
		if f.ours {
			c.ignore("change of our own field %s", act.HeaderName)
			return
		}
		c.replace(i, act)
		return
	}
	if act.HeaderValue != "" {
		c.add(len(c.top), act)
	}
}

func (c *collector) replace(i int, act milter.ModifyAction) {
	var text string
	if act.HeaderValue != "" {
		var ok bool
		if text, ok = c.format(act); !ok {
			return
		}
		c.say(act)
	}
	if c.changed == nil {
		c.changed = map[int]string{}
	}
	c.changed[i] = text
}

// edits returns what is changed in the text, in its order.
func (c *collector) edits() []message.Edit {
	var list []message.Edit
	for i, text := range c.changed {
		list = append(list, message.Edit{Start: c.fields[i].Start, End: c.fields[i].End, Text: text})
	}
	slices.SortFunc(list, func(a, b message.Edit) int { return cmp.Compare(a.Start, b.Start) })
	return list
}

// format returns the field as it stands in a message, with its line end.
func (c *collector) format(act milter.ModifyAction) (text string, ok bool) {
	name, _, ok := message.CutField([]byte(act.HeaderName + ":"))
	if !ok || name != act.HeaderName || strings.Contains(name, ":") {
		c.ignore("field with the name %q", act.HeaderName)
		return "", false
	}
	colon := ": "
	if c.leading {
		colon = ":"
	}
	return name + colon + fold(act.HeaderValue) + "\n", true
}

// fold returns the value of a field so that it stays one field: a further line begins
// with a blank, no line is blank, and no control character is left but TAB.
func fold(value string) string {
	var lines []string
	for i, line := range strings.Split(value, "\n") {
		line = printable(strings.TrimRight(line, "\r"))
		switch blank := strings.Trim(line, " \t") == ""; {
		case i == 0:
		case blank:
			continue
		case line[0] != ' ' && line[0] != '\t':
			line = "\t" + line
		}
		lines = append(lines, line)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), " \t")
}

// printable returns a line with a blank for each control character but TAB.
func printable(line string) string {
	b := []byte(line)
	for i, c := range b {
		if addr.IsControl(rune(c)) && c != '\t' {
			b[i] = ' '
		}
	}
	return string(b)
}

// recipient adds or removes one.
func (c *collector) recipient(add bool, path string) {
	a, err := address(path)
	if err != nil || a.IsNull() {
		c.ignore("recipient %s", path)
		return
	}
	c.Recipients = append(c.Recipients, RecipientChange{add, a})
}

// sender changes the reverse path. Parameters stay as they are.
func (c *collector) sender(path string, args []string) {
	a, err := address(path)
	if err != nil {
		c.ignore("sender %s", path)
		return
	}
	c.From = &a
	if args = slices.DeleteFunc(args, func(s string) bool { return s == "" }); len(args) > 0 {
		c.ignore("parameters of the new sender: %s", strings.Join(args, " "))
	}
}

// address reads an address with or without angle brackets.
func address(path string) (addr.Address, error) {
	path = strings.TrimSpace(path)
	if inside, ok := strings.CutPrefix(path, "<"); ok {
		path = strings.TrimSuffix(inside, ">")
	}
	if path == "" {
		return addr.Address{}, nil
	}
	a, err := addr.Parse(path)
	if err == nil && a.Domain == "" {
		err = fmt.Errorf("%s has no domain", path)
	}
	return a, err
}
