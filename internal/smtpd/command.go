package smtpd

import (
	"strings"

	"paperpath/internal/status"
)

// run runs one command line. An error ends the session.
func (c *Conn) run(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	arg = strings.Trim(arg, " \t")
	switch verb = strings.ToUpper(strings.TrimRight(verb, "\t")); verb {
	case "EHLO", "HELO", "LHLO":
		return c.hello(verb, arg)
	case "MAIL":
		return c.mail(arg)
	case "RCPT":
		return c.rcpt(arg)
	case "DATA":
		return c.data(arg)
	case "BDAT":
		return c.bdat(arg)
	case "AUTH":
		return c.auth(arg)
	case "STARTTLS":
		return c.startTLS(arg)
	case "XCLIENT":
		return c.xclient(arg)
	case "QUIT":
		return c.quit(arg)
	case "RSET", "NOOP", "VRFY", "HELP":
		return c.idle(verb, arg)
	}
	return c.unknown(verb)
}

// idle runs the commands that bring no mail forward.
func (c *Conn) idle(verb, arg string) error {
	c.junk++
	switch {
	case verb == "RSET" && arg != "":
		c.fail(501, "5.5.4", "RSET has no parameters")
	case verb == "RSET":
		if c.tx != nil {
			c.junk-- // the transaction is counted
		}
		c.reset()
		c.wire.reply(250, "2.0.0", "reset")
	case verb == "NOOP":
		c.wire.reply(250, "2.0.0", "done")
	case verb == "HELP":
		c.wire.reply(214, "2.0.0", c.hellos()+" MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH", "see RFC 5321")
	case arg == "":
		c.fail(501, "5.5.4", "VRFY needs a name")
	default:
		// RFC 5321 7.3: whether there is such a mailbox is not told.
		c.wire.reply(252, "2.5.2", "cannot verify, but take mail for it or say so at RCPT")
	}
	return nil
}

func (c *Conn) quit(arg string) error {
	if arg != "" {
		c.fail(501, "5.5.4", "QUIT has no parameters")
		return nil
	}
	c.wire.reply(221, "2.0.0", "goodbye")
	return errQuit
}

// unknown answers the commands that are not ours. What would be followed by
// something that is no command ends the connection.
func (c *Conn) unknown(verb string) error {
	switch verb {
	case "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE":
		// A browser that was led here would speak SMTP in the body (ALPACA).
		return c.end("4.7.0", "this is not HTTP")
	case "EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML":
		c.fail(502, "5.5.1", "not implemented")
	case "":
		c.fail(500, "5.5.2", "empty command")
	default:
		c.fail(500, "5.5.1", "unknown command")
	}
	return nil
}

// maxHelo is the longest name in EHLO (RFC 5321 4.5.3.1.2).
const maxHelo = 255

// hellos are the verbs that begin a session: LMTP has one of its own, so that
// nobody takes one protocol for the other (RFC 2033 4.1).
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
		c.fail(500, "5.5.1", "here it is "+strings.ReplaceAll(c.hellos(), " ", " or "))
		return nil
	case arg == "":
		c.fail(501, "5.5.4", "a name is missing")
		return nil
	case len(arg) > maxHelo:
		c.fail(501, "5.5.4", "the name is too long")
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

// heloName is what may be in a name, for logs and trace fields.
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

// mail is MAIL (RFC 5321 4.1.1.2).
func (c *Conn) mail(arg string) error {
	switch {
	case c.helo == "":
		c.fail(503, "5.5.1", strings.ReplaceAll(c.hellos(), " ", " or ")+" comes first")
		return nil
	case c.tx != nil:
		c.fail(503, "5.5.1", "a transaction is open already")
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
	c.wire.reply(250, "2.1.0", "sender accepted")
	return nil
}

// rcpt is RCPT (RFC 5321 4.1.1.3).
func (c *Conn) rcpt(arg string) error {
	if c.tx == nil {
		c.fail(503, "5.5.1", "MAIL comes first")
		return nil
	}
	to, words, err := parsePath(arg, "TO:", "5.1.3")
	if err == nil && to.IsNull() {
		err = syntax(501, "5.1.3", "the recipient is empty")
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
		// Not an error of the client's: an old list has many of them.
		c.junk++
		c.tx.refused++
		return c.refuse(err)
	}
	c.tx.accepted++
	c.wire.reply(250, "2.1.5", "recipient accepted")
	return nil
}

// data is DATA (RFC 5321 4.1.1.4).
func (c *Conn) data(arg string) error {
	switch {
	case arg != "":
		c.fail(501, "5.5.4", "DATA has no parameters")
		return nil
	case c.tx == nil:
		c.fail(503, "5.5.1", "MAIL comes first")
		return nil
	case c.tx.accepted == 0 && c.tx.refused > 0:
		c.fail(554, "5.5.1", "no valid recipients")
		return nil
	case c.tx.accepted == 0:
		c.fail(503, "5.5.1", "RCPT comes first")
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
	took := c.recipients()
	c.reset()
	return c.answer(&d.text, took, reply, err)
}

// recipients is how many replies a message gets: LMTP has one for each
// recipient that was accepted (RFC 2033 4.2).
func (c *Conn) recipients() int {
	if c.cfg.LMTP && c.tx != nil {
		return c.tx.accepted
	}
	return 1
}

// answer is the reply to a message, said so many times. A flaw that the reader
// saw goes before what the Session made of it.
func (c *Conn) answer(t *text, times int, reply string, err error) error {
	if t.lost != nil {
		return c.lost(t.lost)
	}
	if t.flaw != nil {
		err = t.flaw
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
	c.wire.took()
	for range times {
		c.wire.reply(250, "2.0.0", reply)
	}
	return nil
}
