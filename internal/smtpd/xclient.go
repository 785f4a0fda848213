package smtpd

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"paperpath/internal/auth"
	"paperpath/internal/params"
)

// Truster is a Session that accepts a login from a host that may use XCLIENT.
type Truster interface {
	// Trust logs that user in, without a password.
	Trust(ctx context.Context, login string) error
}

// The attributes of XCLIENT, by which a filter or gateway in front of us names its
// client (Postfix's XCLIENT_README).
const xclientAttributes = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"

// front holds what XCLIENT has said so far; "" for what is unknown.
type front struct{ name, ip, proto, helo, login string }

// xclient handles XCLIENT. The session begins anew for the client that it names, and
// the reply is the greeting.
func (c *Conn) xclient(arg string) error {
	switch {
	case !c.cfg.XClient:
		c.fail(550, "5.7.0", "insufficient authorization")
		return nil
	case c.tx != nil:
		c.fail(503, "5.5.1", "not allowed during a mail transaction")
		return nil
	}
	f := front{name: c.name, ip: c.ip, login: c.login}
	if err := f.read(arg); err != nil {
		c.errors++
		return c.refuse(err)
	}
	// A private connection to the front does not make its client private.
	if ip, _ := netip.ParseAddr(f.ip); f.ip != c.ip && !ip.IsLoopback() {
		c.private = false
		c.sasl.ClientCA = nil // the certificate is the front's
	}
	c.name, c.ip, c.login = f.name, f.ip, ""
	c.helo, c.esmtp = "", false
	if err := c.ask(func() error { return c.begin(f) }); err != nil {
		c.errors++
		return c.refuse(err)
	}
	return c.greet()
}

// begin opens a Session for the client that f names.
func (c *Conn) begin(f front) error {
	c.session = c.open(c)
	if f.login != "" {
		t, ok := c.session.(Truster)
		if !ok {
			return syntax(550, "5.7.0", "LOGIN not supported")
		}
		if err := t.Trust(c.ctx, f.login); err != nil {
			return err
		}
		c.login = f.login
	}
	if f.helo == "" {
		return nil
	}
	esmtp := f.proto != "SMTP"
	if err := c.session.Hello(c.ctx, f.helo, esmtp); err != nil {
		return err
	}
	c.helo, c.esmtp = f.helo, esmtp
	return nil
}

// read parses the attributes of one command.
func (f *front) read(arg string) error {
	words := strings.Fields(arg)
	if len(words) == 0 {
		return syntax(501, "5.5.4", "missing attribute")
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		value, plain := params.Decode(value)
		if strings.EqualFold(value, "[UNAVAILABLE]") || strings.EqualFold(value, "[TEMPUNAVAIL]") {
			value = ""
		} else if value == "" || len(value) > maxHelo {
			plain = false
		}
		if !ok || !plain || !f.set(strings.ToUpper(name), value) {
			return syntax(501, "5.5.4", "bad attribute "+name)
		}
	}
	return nil
}

// set sets one attribute. An empty value means unknown.
func (f *front) set(name, value string) bool {
	switch name {
	case "NAME":
		f.name = heloName(value)
	case "REVERSE_NAME": // Postfix's, not verified
	case "HELO":
		f.helo = heloName(value)
	case "LOGIN":
		f.login = value
		return value == "" || auth.WellFormed(value)
	case "PROTO":
		f.proto = strings.ToUpper(value)
		return value == "" || f.proto == "SMTP" || f.proto == "ESMTP"
	case "ADDR", "DESTADDR":
		ip, ok := frontAddr(value)
		if name == "ADDR" {
			f.ip = ip
		}
		return ok
	case "PORT", "DESTPORT":
		_, err := strconv.ParseUint(value, 10, 16)
		return value == "" || err == nil
	default:
		return false
	}
	return true
}

// frontAddr parses an IPv4 address, or an IPv6 address behind "IPV6:".
func frontAddr(value string) (ip string, ok bool) {
	if value == "" {
		return "", true
	}
	rest, v6 := value, false
	if len(value) > 5 && strings.EqualFold(value[:5], "IPV6:") {
		rest, v6 = value[5:], true
	}
	a, err := netip.ParseAddr(rest)
	if err != nil || a.Zone() != "" || !v6 && !a.Is4() {
		return "", false
	}
	return a.Unmap().String(), true
}
