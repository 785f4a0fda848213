package smtpd

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// extensions is the answer to EHLO behind the name.
func (c *Conn) extensions() []string {
	list := []string{"PIPELINING", fmt.Sprintf("SIZE %d", c.cfg.MaxSize), "8BITMIME", "ENHANCEDSTATUSCODES"}
	if c.cfg.TLS != nil && c.tls == nil && c.login == "" {
		list = append(list, "STARTTLS")
	}
	if m := c.mechanisms(); len(m) > 0 {
		list = append(list, "AUTH "+strings.Join(m, " "))
	}
	if c.cfg.XClient {
		list = append(list, "XCLIENT "+xclientAttributes)
	}
	return append(list, c.cfg.Keywords...)
}

// syntax is a refusal of the engine's own.
func syntax(code int, enhanced, text string) error {
	return &status.Error{Exit: status.Refused, Reply: code, Enhanced: enhanced, Text: text}
}

// parsePath reads "FROM:<path> words" or "TO:<path> words". Blanks behind the
// colon, which RFC 5321 3.3 does not have, are what many clients send.
func parsePath(arg, prefix, enhanced string) (a addr.Address, words []string, err error) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return a, nil, syntax(501, "5.5.4", prefix+"<address> is missing")
	}
	arg = strings.TrimLeft(arg[len(prefix):], " \t")
	for i := range len(arg) {
		if arg[i] >= 0x80 {
			return a, nil, syntax(553, "5.6.7", "the address is not ASCII")
		}
	}
	a, rest, err := addr.ParsePath(arg)
	if err != nil || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return a, nil, syntax(501, enhanced, "the address does not parse")
	}
	if a.Domain == "" && a.Local != "" && prefix != "TO:" {
		return a, nil, syntax(501, enhanced, "the address has no domain")
	}
	return a, strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' }), nil
}

// mailParams reads the parameters of MAIL.
func (c *Conn) mailParams(words []string) (p MailParams, err error) {
	if len(words) > 0 && !c.esmtp {
		return p, syntax(555, "5.5.4", "parameters need EHLO")
	}
	seen := make(map[string]bool)
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		name = strings.ToUpper(name)
		if seen[name] {
			return p, syntax(501, "5.5.4", "a parameter is there twice")
		}
		seen[name] = true
		if err := c.mailParam(&p, name, value); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (c *Conn) mailParam(p *MailParams, name, value string) (err error) {
	switch name {
	case "SIZE":
		p.Size, err = parseSize(value)
		if most := c.cfg.MaxSize; err == nil && most > 0 && p.Size > most {
			err = tooBig(most)
		}
		return err
	case "BODY":
		p.Body = strings.ToUpper(value)
		if p.Body != "7BIT" && p.Body != "8BITMIME" {
			return syntax(501, "5.5.4", "BODY is 7BIT or 8BITMIME")
		}
		return nil
	case "AUTH":
		// RFC 4954 5: who wrote the message, in the client's opinion. We trust
		// no client that far, which the RFC allows; the value must parse.
		if c.cfg.Auth && printable(value) == value && value != "" && len(value) <= 500 {
			return nil
		}
		if c.cfg.Auth {
			return syntax(501, "5.5.4", "AUTH= does not parse")
		}
	}
	return syntax(555, "5.5.4", "unknown parameter")
}

// parseSize reads a size of 1 to 20 digits (RFC 1870 3). What no int64 holds
// is the largest one.
func parseSize(s string) (int64, error) {
	if len(s) == 0 || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		return 0, syntax(501, "5.5.4", "SIZE is not a number")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, nil
	}
	return n, nil
}
