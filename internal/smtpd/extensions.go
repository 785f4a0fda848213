package smtpd

import (
	"fmt"
	"strings"
)

// extensions returns the lines of the EHLO response after the hostname.
func (c *Conn) extensions() []string {
	list := []string{"PIPELINING", fmt.Sprintf("SIZE %d", c.cfg.MaxSize),
		"8BITMIME", "SMTPUTF8", "CHUNKING", "DSN",
		fmt.Sprintf("LIMITS RCPTMAX=%d", c.cfg.MaxRecipients), "ENHANCEDSTATUSCODES"}
	if c.tls != nil {
		list = append(list, "REQUIRETLS") // RFC 8689 3: only in TLS
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
