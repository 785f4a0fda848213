package smtpd

import (
	"strings"

	"paperpath/internal/status"
)

// command is a row of the command table. run answers the client; an error ends the
// session.
type command struct {
	verb string
	run  func(c *Conn, arg string) error
}

// commands returns the command table.
func commands() []command {
	hello := func(verb string) func(*Conn, string) error {
		return func(c *Conn, arg string) error { return c.hello(verb, arg) }
	}
	return []command{
		{"EHLO", hello("EHLO")},
		{"HELO", hello("HELO")},
		{"LHLO", hello("LHLO")},
		{"MAIL", (*Conn).mail},
		{"RCPT", (*Conn).rcpt},
		{"DATA", (*Conn).data},
		{"BDAT", (*Conn).bdat},
		{"RSET", (*Conn).rset},
		{"NOOP", (*Conn).noop},
		{"QUIT", (*Conn).quit},
		{"VRFY", (*Conn).vrfy},
		{"HELP", (*Conn).help},
		{"STARTTLS", (*Conn).startTLS},
		{"AUTH", (*Conn).auth},
		{"XCLIENT", (*Conn).xclient},
	}
}

// run executes one command line. An error ends the session.
func (c *Conn) run(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	arg = strings.Trim(arg, " \t")
	verb = strings.ToUpper(strings.TrimRight(verb, "\t"))
	for _, cmd := range commands() {
		if cmd.verb == verb {
			return cmd.run(c, arg)
		}
	}
	return c.unknown(verb)
}

// rset handles RSET. Like the next three it counts as a command without mail.
func (c *Conn) rset(arg string) error {
	c.junk++
	if arg != "" {
		c.fail(501, "5.5.4", "RSET takes no parameters")
		return nil
	}
	if c.tx != nil {
		c.junk-- // reset counts the transaction instead
	}
	c.reset()
	c.wire.reply(250, "2.0.0", "reset")
	return nil
}

func (c *Conn) noop(string) error {
	c.junk++
	c.wire.reply(250, "2.0.0", "done")
	return nil
}

// help handles HELP: it lists the commands of this session.
func (c *Conn) help(string) error {
	c.junk++
	var verbs []string
	for _, cmd := range commands() {
		switch cmd.verb {
		case "EHLO", "HELO", "LHLO":
			if !strings.Contains(c.hellos(), cmd.verb) {
				continue
			}
		case "XCLIENT":
			if !c.cfg.XClient {
				continue
			}
		}
		verbs = append(verbs, cmd.verb)
	}
	c.wire.reply(214, "2.0.0", strings.Join(verbs, " "), "see RFC 5321")
	return nil
}

// vrfy handles VRFY. It does not reveal whether a mailbox exists (RFC 5321 7.3).
func (c *Conn) vrfy(arg string) error {
	c.junk++
	if arg == "" {
		c.fail(501, "5.5.4", "VRFY needs a name")
		return nil
	}
	c.wire.reply(252, "2.5.2", "cannot verify the address; RCPT accepts or refuses it")
	return nil
}

func (c *Conn) quit(arg string) error {
	if arg != "" {
		c.fail(501, "5.5.4", "QUIT takes no parameters")
		return nil
	}
	c.wire.reply(221, "2.0.0", "goodbye")
	return errQuit
}

// unknown answers commands that we do not have. One of HTTP ends the session: what
// follows it is not SMTP.
func (c *Conn) unknown(verb string) error {
	switch verb {
	case "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE":
		// A page can make a browser send SMTP commands in a request body (ALPACA).
		return c.end("4.7.0", "protocol error: HTTP request")
	case "EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML":
		c.fail(502, "5.5.1", "command not implemented")
	case "":
		c.fail(500, "5.5.2", "empty command")
	default:
		c.fail(500, "5.5.1", "unknown command")
	}
	return nil
}

// maxHelo is the longest name in EHLO (RFC 5321 4.5.3.1.2).
const maxHelo = 255

// hellos returns the verbs that begin a session: LMTP has its own, so that neither
// protocol is mistaken for the other (RFC 2033 4.1).
func (c *Conn) hellos() string {
	if c.cfg.LMTP {
		return "LHLO"
	}
	return "EHLO HELO"
}

func (c *Conn) hello(verb, arg string) error {
	esmtp := verb != "HELO"
	switch {
	case (verb == "LHLO") != c.cfg.LMTP:
		c.fail(500, "5.5.1", "use "+strings.ReplaceAll(c.hellos(), " ", " or "))
		return nil
	case arg == "":
		c.fail(501, "5.5.4", "missing hostname")
		return nil
	case len(arg) > maxHelo:
		c.fail(501, "5.5.4", "hostname too long")
		return nil
	case c.helo != "":
		c.junk++
	}
	c.reset() // RFC 5321 4.1.4
	name := heloName(arg)
	if err := c.ask(func() error { return c.session.Hello(c.ctx, name, esmtp) }); err != nil {
		c.errors++
		return c.refuse(err)
	}
	c.helo, c.esmtp = name, esmtp
	lines := []string{c.cfg.Hostname}
	if esmtp {
		lines = append(lines, c.extensions()...)
	}
	c.wire.reply(250, "", lines...) // without an enhanced code: RFC 2034 4
	return nil
}

// heloName replaces what a hostname cannot have, for logs and trace fields.
func heloName(arg string) string {
	out := []byte(arg)
	for i, b := range out {
		letter := b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if !letter && strings.IndexByte("-._:[]", b) < 0 {
			out[i] = '?'
		}
	}
	return string(out)
}

// mail handles MAIL (RFC 5321 4.1.1.2).
func (c *Conn) mail(arg string) error {
	switch {
	case c.helo == "":
		c.fail(503, "5.5.1", "send "+strings.ReplaceAll(c.hellos(), " ", " or ")+" first")
		return nil
	case c.tx != nil:
		c.fail(503, "5.5.1", "nested MAIL command")
		return nil
	}
	from, words, err := parsePath(arg, "FROM:", "5.1.7")
	if err != nil {
		c.errors++
		return c.refuse(err)
	}
	p, err := c.mailParams(words)
	if err == nil && from.NeedsUTF8() && !p.UTF8 {
		err = needsUTF8()
	}
	if err == nil {
		err = c.ask(func() error { return c.session.Mail(c.ctx, from, p) })
	}
	if err != nil {
		c.errors++
		return c.refuse(err)
	}
	c.tx, c.dropChunks = &transaction{utf8: p.UTF8}, false
	c.wire.setBusy(true)
	c.wire.Resize(bufSize)
	c.wire.reply(250, "2.1.0", "sender accepted")
	return nil
}

// rcpt handles RCPT (RFC 5321 4.1.1.3).
func (c *Conn) rcpt(arg string) error {
	if c.tx == nil {
		c.fail(503, "5.5.1", "send MAIL first")
		return nil
	}
	to, words, err := parsePath(arg, "TO:", "5.1.3")
	if err == nil && to.IsNull() {
		err = syntax(501, "5.1.3", "empty recipient address")
	}
	if err == nil && to.NeedsUTF8() && !c.tx.utf8 {
		err = needsUTF8()
	}
	var p RcptParams
	if err == nil {
		p, err = c.rcptParams(words)
	}
	if err != nil {
		c.errors++
		c.tx.refused++
		return c.refuse(err)
	}
	if c.tx.accepted >= c.cfg.MaxRecipients {
		c.tx.over++
		c.wire.reply(452, "4.5.3", "too many recipients")
		return nil
	}
	if err := c.ask(func() error { return c.session.Rcpt(c.ctx, to, p) }); err != nil {
		// No error of the client: an old mailing list has many dead addresses.
		c.junk++
		c.tx.refused++
		return c.refuse(err)
	}
	c.tx.accepted++
	c.wire.reply(250, "2.1.5", "recipient accepted")
	return nil
}

// data handles DATA (RFC 5321 4.1.1.4).
func (c *Conn) data(arg string) error {
	switch {
	case arg != "":
		c.fail(501, "5.5.4", "DATA takes no parameters")
		return nil
	case c.tx == nil:
		c.fail(503, "5.5.1", "send MAIL first")
		return nil
	case c.tx.accepted == 0 && c.tx.refused > 0:
		c.fail(554, "5.5.1", "no valid recipients")
		return nil
	case c.tx.accepted == 0:
		c.fail(503, "5.5.1", "send RCPT first")
		return nil
	}
	c.tx.sent = true
	c.wire.reply(354, "", "go ahead, end with a dot on a line by itself")
	c.wire.Resize(dataBufSize)
	d := &dataReader{text: text{wire: c.wire}}
	var reply string
	err := c.ask(func() (err error) { reply, err = c.session.Data(c.ctx, d); return err })
	d.drain()
	c.wire.Resize(bufSize)
	replies := c.recipients()
	c.reset()
	return c.answer(&d.text, replies, reply, err)
}

// recipients returns how many replies a message gets: in LMTP one for each accepted
// recipient (RFC 2033 4.2).
func (c *Conn) recipients() int {
	if c.cfg.LMTP && c.tx != nil {
		return c.tx.accepted
	}
	return 1
}

// answer replies to a message, that many times. A defect that the reader found takes
// precedence over the Session's result.
func (c *Conn) answer(t *text, times int, reply string, err error) error {
	if t.lost != nil {
		return c.lost(t.lost)
	}
	if t.defect != nil {
		err = t.defect
	}
	if err != nil {
		if !status.IsTemporary(err) {
			c.errors++
		}
		for range times - 1 {
			if end := c.refuse(err); end != nil {
				return end
			}
		}
		return c.refuse(err)
	}
	c.errors, c.junk = 0, 0
	c.wire.accepted()
	for range times {
		c.wire.reply(250, "2.0.0", reply)
	}
	return nil
}
