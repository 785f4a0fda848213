package control

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// SenderRule is what a row of control/user-checks says of a sender.
type SenderRule struct {
	Wish   Wish
	Sender string // an address, "@domain" or "*"
	Where  string
}

// UserRules returns what a user wants of senders: what their own row says, then that of
// their domain.
func (c *Control) UserRules(user string) (list []SenderRule, err error) {
	f := userChecksFile(c)
	_, domain := addr.Split(user)
	for _, key := range slices.Compact([]string{user, "@" + domain}) {
		row, _, err := find[userRow](c, f, addr.FoldAddress(key))
		if err != nil {
			return nil, err
		}
		if row != nil {
			for _, r := range row.rules {
				list = append(list, SenderRule{r.wish, r.pattern, row.where})
			}
		}
	}
	return list, nil
}

// SetWish writes into control/user-checks what the owner of a mailbox, or "@domain" for all
// of one, wants of senders, in place of what they wanted before; Indifferent takes senders
// out, and it is an error if one is not there. Other rows and comments stay as they are.
func (c *Control) SetWish(key string, wish Wish, senders []string) error {
	if err := checkUserKey(key); err != nil {
		return status.UsageError("%q %v", key, err)
	}
	for _, s := range senders {
		if err := checkPattern(s); err != nil {
			return status.UsageError("sender %q %v", s, err)
		}
	}
	unlock, err := c.lock()
	if err != nil {
		return broken(err)
	}
	defer unlock()
	data, _, err := read(c.path("user-checks"), maxTable)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return failFile("user-checks", "%w", err)
	}
	edited, err := editWishes(string(data), key, wish, senders)
	if err != nil {
		return err
	}
	if err := Write(c.path("user-checks"), []byte(edited), 0o644); err != nil {
		return broken(fmt.Errorf("write control/user-checks: %w", err))
	}
	return nil
}

// editWishes edits the row of key, which may have several lines, in the text of the table.
func editWishes(text, key string, wish Wish, senders []string) (string, error) {
	before, row, after := cutRow(text, key)
	var words []string
	if row != "" {
		if _, err := parseUserChecks("control/user-checks", strings.Join(strings.Fields(row), " ")); err != nil {
			return "", refuse("the row of %s in control/user-checks is broken: %v: correct it first", key, err)
		}
		words = strings.Fields(row[keyEnd(row)+1:])
	}
	if _, twice, _ := cutRow(after, key); twice != "" {
		return "", refuse("control/user-checks has two rows of %s: make them one first", key)
	}
	for _, s := range senders {
		folded := addr.FoldAddress(atDomain(s))
		had := len(words)
		words = slices.DeleteFunc(words, func(w string) bool {
			_, pattern, _ := strings.Cut(w, "=")
			return addr.FoldAddress(atDomain(pattern)) == folded
		})
		switch {
		case wish != Indifferent:
			words = append(words, string(wish)+"="+s)
		case len(words) == had:
			return "", refuse("control/user-checks has nothing about %s for %s", s, key)
		}
	}
	if len(words) > 0 {
		before += wrapRow(key+":", words)
	}
	return before + after, nil
}

// cutRow returns the row of key with the lines that continue it, and what is above and below
// it; a missing row is at the end. Comments between the lines of the row are below it: what
// continues a row may come behind them.
func cutRow(text, key string) (before, row, after string) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	folded := addr.FoldAddress(key)
	var above, own, below strings.Builder
	part := &above
	for line := range strings.Lines(text) {
		blank := isBlank(strings.TrimSuffix(line, "\n"))
		if !blank && !strings.ContainsAny(line[:1], " \t") {
			i := keyEnd(line)
			switch {
			case own.Len() > 0:
				part = &below
			case i > 0 && addr.FoldAddress(strings.Trim(line[:i], " \t")) == folded:
				part = &own
			}
		}
		if blank && part == &own {
			below.WriteString(line)
		} else {
			part.WriteString(line)
		}
	}
	return above.String(), own.String(), below.String()
}

// wrapRow writes a row with lines of a width that people can read.
func wrapRow(key string, words []string) string {
	var b strings.Builder
	b.WriteString(key)
	line := len(key)
	for _, w := range words {
		if line+1+len(w) > 78 {
			b.WriteString("\n")
			line = 0
		}
		b.WriteString(" " + w)
		line += 1 + len(w)
	}
	return b.String() + "\n"
}
