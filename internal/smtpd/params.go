package smtpd

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"paperpath/internal/addr"
	"paperpath/internal/params"
	"paperpath/internal/status"
)

// MailParams are the parameters of MAIL.
type MailParams struct {
	Size       int64  // SIZE= (RFC 1870), or 0
	Body       string // BODY= (RFC 6152): "7BIT", "8BITMIME" or ""
	UTF8       bool   // SMTPUTF8 (RFC 6531)
	Ret        string // RET= (RFC 3461 4.3): "FULL", "HDRS" or ""
	EnvID      string // ENVID= (RFC 3461 4.4), as xtext
	RequireTLS bool   // REQUIRETLS (RFC 8689)
}

// Words returns the parameters that an envelope keeps: those of RFC 3461 and
// RFC 8689.
func (p MailParams) Words() string {
	var words []string
	if p.Ret != "" {
		words = append(words, "RET="+p.Ret)
	}
	if p.EnvID != "" {
		words = append(words, "ENVID="+p.EnvID)
	}
	if p.RequireTLS {
		words = append(words, "REQUIRETLS")
	}
	return strings.Join(words, " ")
}

// All returns all parameters, as a client writes them.
func (p MailParams) All() []string {
	var words []string
	if p.Size > 0 {
		words = append(words, "SIZE="+strconv.FormatInt(p.Size, 10))
	}
	if p.Body != "" {
		words = append(words, "BODY="+p.Body)
	}
	if p.UTF8 {
		words = append(words, "SMTPUTF8")
	}
	return append(words, strings.Fields(p.Words())...)
}

// RcptParams are the parameters of RCPT.
type RcptParams struct {
	Notify string // NOTIFY= (RFC 3461 4.1) in capitals: "NEVER", a list or ""
	Orcpt  string // ORCPT= (RFC 3461 4.2): "type;xtext", or ""
}

// Words returns the parameters that an envelope keeps for this recipient. It leaves
// out the default NOTIFY, and an ORCPT that equals the recipient.
func (p RcptParams) Words(to addr.Address) string {
	var words []string
	if p.Notify != "" && p.Notify != "FAILURE" {
		words = append(words, "NOTIFY="+p.Notify)
	}
	if kind, text, _ := strings.Cut(p.Orcpt, ";"); p.Orcpt != "" {
		if orig, ok := params.Decode(text); !ok || !strings.EqualFold(kind, "rfc822") || orig != to.String() {
			words = append(words, "ORCPT="+p.Orcpt)
		}
	}
	return strings.Join(words, " ")
}

// Maximum lengths (RFC 3461 4.2, 4.4; RFC 4954 5).
const (
	maxEnvID = 100
	maxOrcpt = 500
	maxAuth  = 500
)

// eachParam calls take for every parameter. None may occur twice.
func (c *Conn) eachParam(words []string, take func(name, value string) error) error {
	if len(words) > 0 && !c.esmtp {
		return syntax(555, "5.5.4", "parameters require EHLO")
	}
	seen := make(map[string]bool)
	for _, word := range words {
		name, value, valued := strings.Cut(word, "=")
		name = strings.ToUpper(name)
		if valued && value == "" && name != "" { // RFC 5321 4.1.2: a value has at least one octet
			return syntax(501, "5.5.4", "empty parameter value")
		}
		if seen[name] {
			return syntax(501, "5.5.4", "duplicate parameter")
		}
		seen[name] = true
		if err := take(name, value); err != nil {
			return err
		}
	}
	return nil
}

// mailParams parses the parameters of MAIL.
func (c *Conn) mailParams(words []string) (p MailParams, err error) {
	err = c.eachParam(words, func(name, value string) error { return c.mailParam(&p, name, value) })
	return p, err
}

func (c *Conn) mailParam(p *MailParams, name, value string) (err error) {
	switch name {
	case "SIZE":
		p.Size, err = parseSize(value)
		if most := c.cfg.MaxSize; err == nil && most > 0 && p.Size > most {
			err = status.TooLarge(most)
		}
		return err
	case "BODY":
		return oneOf(&p.Body, value, "BODY must be 7BIT or 8BITMIME", "7BIT", "8BITMIME")
	case "RET":
		return oneOf(&p.Ret, value, "RET must be FULL or HDRS", "FULL", "HDRS")
	case "ENVID":
		p.EnvID = value
		if !xtext(value) || value == "" || len(value) > maxEnvID {
			return syntax(501, "5.5.4", "invalid ENVID")
		}
		return nil
	case "SMTPUTF8":
		p.UTF8 = true
		return noValue(name, value)
	case "REQUIRETLS":
		if c.tls == nil {
			break
		}
		p.RequireTLS = true
		return noValue(name, value)
	case "AUTH":
		// RFC 4954 5: the author of the message, as the client claims. We trust no
		// client that far, which the RFC allows; the value must be valid.
		switch {
		case !c.cfg.Auth:
		case !authParam(value):
			return syntax(501, "5.5.4", "invalid AUTH parameter")
		default:
			return nil
		}
	}
	return syntax(555, "5.5.4", "unknown parameter")
}

// authParam reports whether value is xtext of a mailbox or <> (RFC 4954 5), or a path
// that is not encoded at all: curl sends AUTH=<a+b@example.org>.
func authParam(value string) bool {
	if len(value) > maxAuth || strings.Contains(value, "=") { // RFC 5321 4.1.2: not in a value
		return false
	}
	var who string
	switch {
	case strings.HasPrefix(value, "<") && strings.HasSuffix(value, ">"):
		who = value[1 : len(value)-1]
	case xtext(value):
		who, _ = params.Decode(value)
	}
	_, err := addr.Parse(who)
	return err == nil || value == "<>" || strings.EqualFold(value, "+3C+3E")
}

func oneOf(field *string, value, wrong string, choices ...string) error {
	for _, choice := range choices {
		if strings.EqualFold(value, choice) {
			*field = choice
			return nil
		}
	}
	return syntax(501, "5.5.4", wrong)
}

func noValue(name, value string) error {
	if value != "" {
		return syntax(501, "5.5.4", name+" takes no value")
	}
	return nil
}

// xtext reports whether s is valid xtext without encoded control characters.
func xtext(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '=' {
			return false
		}
	}
	_, ok := params.Decode(s)
	return ok
}

// parseSize parses a size of 1 to 20 digits (RFC 1870 3). One out of range is
// math.MaxInt64.
func parseSize(s string) (int64, error) {
	if len(s) == 0 || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		return 0, syntax(501, "5.5.4", "invalid SIZE")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, nil
	}
	return n, nil
}

// rcptParams parses the parameters of RCPT (RFC 3461 4).
func (c *Conn) rcptParams(words []string) (p RcptParams, err error) {
	err = c.eachParam(words, func(name, value string) (err error) {
		switch name {
		case "NOTIFY":
			var list []string
			if list, err = params.ParseNotify(value); err != nil {
				err = syntax(501, "5.5.4", err.Error())
			}
			p.Notify = strings.Join(list, ",")
		case "ORCPT":
			if p.Orcpt = value; !c.orcpt(value) {
				err = syntax(501, "5.5.4", "invalid ORCPT")
			}
		default:
			err = syntax(555, "5.5.4", "unknown parameter")
		}
		return err
	})
	return p, err
}

// orcpt reports whether value is "type;address" (RFC 3461 4.2). With SMTPUTF8 the
// address may be UTF-8 (RFC 6533 3).
func (c *Conn) orcpt(value string) bool {
	kind, text, ok := strings.Cut(value, ";")
	if !ok || kind == "" || text == "" || len(value) > maxOrcpt || strings.Trim(kind, atoms) != "" {
		return false
	}
	if c.tx.utf8 && strings.EqualFold(kind, "utf-8") {
		control := func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 }
		return utf8.ValidString(text) && !strings.ContainsFunc(text, control)
	}
	return xtext(text)
}

// atoms are the characters of an address type.
const atoms = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
