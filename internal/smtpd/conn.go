package smtpd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"paperpath/internal/auth"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// Conn is one session of the engine. Its exported methods are for the Session.
type Conn struct {
	cfg     Config
	conn    net.Conn
	wire    *stream
	session Session
	open    func(c *Conn) Session
	ctx     context.Context // of the calls of Session

	ip    string
	name  string // of the client, from XCLIENT
	tls   *tls.ConnectionState
	leaf  *x509.Certificate // our certificate in TLS
	helo  string            // "" before EHLO or HELO
	esmtp bool
	login string

	private bool        // Config.AuthInClear, until XCLIENT names a remote client
	sasl    auth.Policy // Config.SASL; without client certificates from then on

	tx *transaction // nil outside one

	dropChunks bool // BDAT belongs to a message that has been refused

	errors, junk, logins int
	panicked             error
}

// transaction is what MAIL opened.
type transaction struct {
	accepted, refused, over int // recipients; over: beyond the limit
	utf8                    bool
	sent                    bool // the client began to send the message
}

// junk returns how many commands without mail a transaction counts as: none if a
// message was sent; otherwise one, unless its refused recipients have been counted,
// and a tenth of the accepted recipients, because each was looked up.
func (t *transaction) junk() int {
	n := t.accepted / 10
	switch {
	case t.sent:
		return 0
	case t.refused == 0:
		n++
	}
	return n
}

// ClientIP returns the client's IP address as text, "" if it has none.
func (c *Conn) ClientIP() string { return c.ip }

// ClientName returns the client's name that a trusted host gave by XCLIENT, or "".
func (c *Conn) ClientName() string { return c.name }

// TLSInfo returns the TLS version and cipher, "TLS1.3 TLS_AES_128_GCM_SHA256", or ""
// without TLS.
func (c *Conn) TLSInfo() string {
	if c.tls == nil {
		return ""
	}
	return maillog.TLS(c.tls)
}

// TLSState returns the state of TLS, or nil without TLS.
func (c *Conn) TLSState() *tls.ConnectionState { return c.tls }

// With returns the protocol for the Received field (RFC 3848, and RFC 6531 4.3 for
// SMTPUTF8).
func (c *Conn) With() string {
	with := "ESMTP"
	switch {
	case c.cfg.LMTP && c.tx != nil && c.tx.utf8:
		with = "UTF8LMTP"
	case c.cfg.LMTP:
		with = "LMTP"
	case c.tx != nil && c.tx.utf8:
		with = "UTF8SMTP"
	}
	if c.tls != nil {
		with += "S"
	}
	if c.login != "" {
		with += "A"
	}
	if with == "ESMTP" && !c.esmtp {
		return "SMTP"
	}
	return with
}

// New returns a session on conn before its first octet. open is called before the greeting,
// and again after each XCLIENT.
func New(conn net.Conn, cfg Config, open func(c *Conn) Session) *Conn {
	return newConn(conn, cfg.withDefaults(), open)
}

func newConn(conn net.Conn, cfg Config, open func(c *Conn) Session) *Conn {
	c := &Conn{cfg: cfg, conn: conn, open: open, ip: clientIP(conn.RemoteAddr()), private: cfg.AuthInClear, sasl: cfg.SASL}
	c.wire = newStream(conn, &c.cfg)
	return c
}

// Serve runs a whole session, as New makes it.
func Serve(ctx context.Context, conn net.Conn, cfg Config, open func(c *Conn) Session) error {
	return New(conn, cfg, open).Serve(ctx)
}

// Serve runs the whole session, from the greeting (or the TLS handshake) to the close. It
// returns nil after QUIT, otherwise what ended the session. An idle session is below it:
// what it and its callers have on their stacks costs memory for each.
func (c *Conn) Serve(ctx context.Context) (err error) {
	defer c.conn.Close()
	defer status.Catch(&err)
	defer context.AfterFunc(ctx, c.wire.interrupt)()
	inner, cancel := withGrace(ctx, c.cfg.DrainTimeout)
	defer cancel()
	c.ctx = inner

	if c.cfg.Implicit {
		if err := c.handshake(); err != nil {
			return err
		}
	}
	if err := c.ask(func() error { c.session = c.open(c); return nil }); err != nil {
		c.wire.reply(421, "4.3.0", "temporary failure, please try again")
		return c.close(c.panicked)
	}
	if err := c.greetDelay(); err != nil {
		return c.close(err)
	}
	if err := c.greet(); err != nil {
		return c.close(err)
	}
	return c.close(c.commands())
}

// greet sends the greeting; an error ends the session instead.
func (c *Conn) greet() error {
	if g, ok := c.session.(Greeter); ok {
		if err := c.ask(func() error { return g.Greet(c.ctx) }); err != nil {
			_ = c.refuse(err)
			return fmt.Errorf("%w: %w", errEnded, err)
		}
	}
	protocol := " ESMTP"
	if c.cfg.LMTP {
		protocol = " LMTP"
	}
	c.wire.reply(220, "", c.cfg.Hostname+protocol)
	return nil
}

// greetDelay waits before the greeting. A client that sends something before it is
// refused (RFC 5321 4.3.1).
func (c *Conn) greetDelay() error {
	if c.cfg.GreetPause <= 0 || c.cfg.Implicit {
		return nil
	}
	switch err := c.wire.fill(time.Now().Add(c.cfg.GreetPause), errSilent); err {
	case errSilent:
		return nil
	case nil:
		c.wire.reply(554, "5.5.1", "protocol error: data before greeting")
		return errEarly
	default:
		return c.lost(err)
	}
}

// withGrace returns a context that outlives ctx by the given time.
func withGrace(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(after, cancel)
		context.AfterFunc(inner, func() { t.Stop() })
	})
	return inner, func() { stop(); cancel() }
}

func clientIP(a net.Addr) string {
	if ip := listen.IP(a); ip.IsValid() {
		return ip.String()
	}
	return ""
}

// Why a session ended, besides errors of the connection.
var (
	errQuit   = errors.New("quit")
	errEnded  = errors.New("ended by 421")
	errEarly  = errors.New("data before greeting")
	errSilent = errors.New("silence") // as a client is supposed to
)

// commands runs one command after the other and returns why it stopped. The client
// has had its reply, if there is one.
func (c *Conn) commands() error {
	for {
		if c.wire.stopping() {
			return c.lost(errDrain)
		}
		line, err := c.wire.readLine(maxLine)
		switch {
		case err == errLong:
			c.fail(500, "5.5.2", "line too long")
		case err == errBytes:
			c.fail(500, "5.5.2", "bare CR, bare LF or NUL in the command")
		case err != nil:
			return c.lost(err)
		default:
			err = c.run(string(line))
		}
		if err == nil || err == errLong || err == errBytes {
			err = c.limits()
		}
		if err != nil {
			return err
		}
	}
}

// hurriedJunk is how many commands without mail are allowed in haste.
const hurriedJunk = 5

// spared returns the junk that is allowed even in haste: in the current transaction
// as many refused recipients as there are accepted ones. An old mailing list has dead
// addresses, and must get through while we are under attack.
func (c *Conn) spared() int {
	if c.tx == nil {
		return 0
	}
	return min(c.tx.refused, c.tx.accepted)
}

// limits ends a session that has exceeded a limit.
func (c *Conn) limits() error {
	switch {
	case c.panicked != nil:
		return c.panicked
	case c.errors >= c.cfg.MaxErrors:
		return c.end("4.7.0", "too many errors")
	case c.junk > c.cfg.MaxJunk, c.junk-c.spared() > hurriedJunk && c.wire.haste() > 0:
		return c.end("4.7.0", "too many commands without mail")
	case c.logins >= c.cfg.MaxLogins:
		return c.end("4.7.0", "too many failed logins")
	case c.tx != nil && c.tx.over > c.cfg.MaxRecipients:
		return c.end("4.5.3", "too many recipients")
	}
	return nil
}

// end replies 421, after which the connection is closed (RFC 5321 3.8).
func (c *Conn) end(enhanced, why string) error {
	c.wire.reply(421, enhanced, why+", closing the connection")
	return fmt.Errorf("%w: %s", errEnded, why)
}

// lost replies 421 if the client is still there, and returns err.
func (c *Conn) lost(err error) error {
	switch {
	case errors.Is(err, errDrain):
		c.wire.reply(421, "4.3.2", "service shutting down, closing the connection")
	case errors.Is(err, errIdle), errors.Is(err, errSlow), errors.Is(err, errOld):
		c.wire.reply(421, "4.4.2", "timeout, closing the connection")
	case err == io.EOF:
		return errors.New("the client closed the connection")
	}
	return err
}

// close flushes the output and closes the connection.
func (c *Conn) close(err error) error {
	c.reset()
	sent := c.wire.Flush() == nil
	if err == errQuit {
		c.wire.Close()
		return c.panicked
	}
	if sent {
		c.wire.Linger()
	}
	c.wire.Close()
	return err
}

// ask calls the Session. A panic there is a temporary error and ends the session.
func (c *Conn) ask(call func() error) (err error) {
	panicked := status.Guard(func() error { err = call(); return nil })
	if panicked != nil {
		c.panicked = panicked
		return status.Temp("4.3.0", "", panicked)
	}
	return err
}

// fail refuses a command that was in error, and counts it.
func (c *Conn) fail(code int, enhanced, text string) {
	c.errors++
	c.wire.reply(code, enhanced, text)
}

// refuse replies with an error of the Session or the engine. It returns an error if
// that ends the session.
func (c *Conn) refuse(err error) error {
	code, enhanced, lines := refusal(err)
	c.wire.reply(code, enhanced, lines...)
	if code == 421 {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return nil
}

// reset ends the transaction.
func (c *Conn) reset() {
	if c.tx == nil {
		return
	}
	c.junk += c.tx.junk()
	c.tx = nil
	c.wire.setBusy(false)
	// limits finds a panic.
	_ = c.ask(func() error { c.session.Reset(c.ctx); return nil })
}
