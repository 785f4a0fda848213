package smtpd

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// extensions is the answer to EHLO behind the name.
func (c *Conn) extensions() []string {
	list := []string{"PIPELINING", fmt.Sprintf("SIZE %d", c.cfg.MaxSize), "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN",
		fmt.Sprintf("LIMITS RCPTMAX=%d", c.cfg.MaxRecipients), "ENHANCEDSTATUSCODES"}
	if c.tls != nil {
		list = append(list, "REQUIRETLS") // RFC 8689 3: not in clear
	}
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
	a, rest, err := addr.ParsePath(arg)
	if err != nil || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return a, nil, syntax(501, enhanced, "the address does not parse")
	}
	if a.Domain == "" && a.Local != "" && prefix != "TO:" {
		return a, nil, syntax(501, enhanced, "the address has no domain")
	}
	return a, strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' }), nil
}

// needsUTF8 refuses an address beyond ASCII for which nobody asked (RFC 6531 3.5).
func needsUTF8() error {
	return syntax(553, "5.6.7", "the address is not ASCII: SMTPUTF8 was not asked for")
}
