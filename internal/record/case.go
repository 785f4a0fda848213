package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Case is how mailcheck was called. A pointer is nil where the option was not given.
type Case struct {
	Time                      time.Time
	From, Client, Helo, Login *string
	To                        []string
}

const caseHead = "# What mailcheck was asked. `mailcheck explain --replay .` here says again what it found.\n"

// options are the fields of c by the name of their option.
func (c *Case) options() []struct {
	name  string
	value **string
} {
	return []struct {
		name  string
		value **string
	}{{"from", &c.From}, {"client", &c.Client}, {"helo", &c.Helo}, {"login", &c.Login}}
}

// maxRecipients bounds those of a case.
const maxRecipients = 100000

func (c Case) write(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(caseHead)
	fmt.Fprintf(&b, "time: %s\n", c.Time.Format(time.RFC3339Nano))
	for _, o := range c.options() {
		if v := *o.value; v != nil {
			fmt.Fprintf(&b, "%s: %s\n", o.name, strconv.QuoteToASCII(*v))
		}
	}
	for _, to := range c.To {
		fmt.Fprintf(&b, "to: %s\n", strconv.QuoteToASCII(to))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func readCase(data []byte) (c Case, err error) {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		if err := c.line(text); err != nil {
			return c, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if c.Time.IsZero() {
		return c, errors.New("no time")
	}
	return c, nil
}

func (c *Case) line(text string) error {
	name, value, _ := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	if name == "time" {
		t, err := time.Parse(time.RFC3339Nano, value)
		c.Time = t.UTC()
		return err
	}
	v, err := strconv.Unquote(value)
	if err != nil {
		return fmt.Errorf("%.60q is not in quotes", value)
	}
	if name == "to" {
		if c.To = append(c.To, v); len(c.To) > maxRecipients {
			return fmt.Errorf("more than %d recipients", maxRecipients)
		}
		return nil
	}
	for _, o := range c.options() {
		if o.name != name {
			continue
		}
		if *o.value != nil {
			return fmt.Errorf("%s is there twice", name)
		}
		*o.value = &v
		return nil
	}
	return fmt.Errorf("%.60q is not time, from, client, helo, login or to", name)
}
