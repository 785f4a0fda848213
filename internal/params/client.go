package params

import (
	"strings"

	"github.com/emersion/go-smtp"
)

// MailOptions returns the parameters of MAIL for delivery reports (RFC 3461 4.3, 4.4) as
// go-smtp's client takes them; it sends them to a server that knows them.
func MailOptions(words string) *smtp.MailOptions {
	o := &smtp.MailOptions{}
	if ret := Get(words, "RET"); ret == "FULL" || ret == "HDRS" {
		o.Return = smtp.DSNReturn(ret)
	}
	if id := Get(words, "ENVID"); IsXtext(id) {
		o.EnvelopeID, _ = Decode(id)
	}
	return o
}

// RcptOptions returns the parameters of RCPT (RFC 3461 4.1, 4.2).
func RcptOptions(words string) *smtp.RcptOptions {
	o := &smtp.RcptOptions{}
	for _, word := range Notify(words) {
		o.Notify = append(o.Notify, smtp.DSNNotify(word))
	}
	kind, text, _ := strings.Cut(Get(words, "ORCPT"), ";")
	if strings.EqualFold(kind, "rfc822") && IsXtext(text) {
		o.OriginalRecipientType = smtp.DSNAddressTypeRFC822
		o.OriginalRecipient, _ = Decode(text)
	}
	return o
}
