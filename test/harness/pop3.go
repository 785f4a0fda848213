package harness

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Fetched is one message as POP3 gave it, with LF line ends.
type Fetched struct {
	UID    string
	Octets int // as LIST said
	Data   []byte
}

// Pop logs into the POP3 server at addr and fetches every message; if remove is set it
// deletes them.
func Pop(addr, user, password string, remove bool) ([]Fetched, error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Fetch(user, password, func(Fetched) bool { return remove })
}

// Fetch is a whole POP3 session: it logs in, fetches every message and deletes
// those that remove chooses.
func (c *Conversation) Fetch(user, password string, remove func(Fetched) bool) ([]Fetched, error) {
	for _, cmd := range []string{"", "USER " + user, "PASS " + password} {
		if err := c.ok(cmd); err != nil {
			return nil, err
		}
	}
	all, err := c.fetchAll(remove)
	if err != nil {
		return nil, err
	}
	return all, c.ok("QUIT")
}

func (c *Conversation) fetchAll(remove func(Fetched) bool) ([]Fetched, error) {
	sizes, err := c.list("LIST")
	if err != nil {
		return nil, err
	}
	uids, err := c.list("UIDL")
	if err != nil {
		return nil, err
	}
	var all []Fetched
	for n := range sizes {
		data, err := c.multi(fmt.Sprintf("RETR %d", n+1))
		if err != nil {
			return nil, err
		}
		octets, err := strconv.Atoi(sizes[n])
		if err != nil {
			return nil, err
		}
		all = append(all, Fetched{uids[n], octets, data})
		if remove(all[n]) {
			if err := c.ok(fmt.Sprintf("DELE %d", n+1)); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// ok sends a command ("" for none) that has to be answered with +OK.
func (c *Conversation) ok(command string) error {
	if command != "" {
		if err := c.Send("%s", command); err != nil {
			return err
		}
	}
	line, err := c.Line()
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = fmt.Errorf("%.20q answered %q", command, line)
	}
	return err
}

// multi sends a command and returns the lines of the answer, dots unstuffed,
// with LF line ends (RFC 1939 3).
func (c *Conversation) multi(command string) ([]byte, error) {
	if err := c.ok(command); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		body, crlf := bytes.CutSuffix(line, []byte("\r\n"))
		if !crlf {
			return nil, fmt.Errorf("%s: a line ends without CRLF: %.60q", command, line)
		}
		if string(body) == "." {
			return b.Bytes(), nil
		}
		b.Write(bytes.TrimPrefix(body, []byte(".")))
		b.WriteByte('\n')
	}
}

// list returns the second column of a LIST or UIDL answer.
func (c *Conversation) list(command string) ([]string, error) {
	text, err := c.multi(command)
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		n, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n != strconv.Itoa(len(all)+1) {
			return nil, fmt.Errorf("%s: line %q out of order", command, line)
		}
		all = append(all, rest)
	}
	return all, nil
}

// Body returns what is below the trace fields of a stored, fetched or relayed message:
// the message as it came. The end of the first Received is the end of what the system
// wrote, except for the names of the aliases that led to another host.
func Body(data []byte) []byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	n := 0
	for n < len(lines) && !bytes.HasPrefix(lines[n], []byte("Received:")) {
		n++
	}
	for n++; n < len(lines) && len(lines[n]) > 0 && (lines[n][0] == ' ' || lines[n][0] == '\t'); n++ {
	}
	for n < len(lines) && bytes.HasPrefix(lines[n], []byte("Delivered-To: ")) {
		n++
	}
	if n > len(lines) {
		return nil
	}
	return bytes.Join(lines[n:], nil)
}
