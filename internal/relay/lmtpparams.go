package relay

import (
	"strings"

	"github.com/emersion/go-smtp"

	"paperpath/internal/params"
)

// mailOptions returns the parameters of MAIL for delivery reports (RFC 3461 4.3, 4.4) as
// go-smtp's client takes them; it sends them to a server that knows them.
func mailOptions(words string) *smtp.MailOptions {
	o := &smtp.MailOptions{}
	if ret := params.Get(words, "RET"); ret == "FULL" || ret == "HDRS" {
		o.Return = smtp.DSNReturn(ret)
	}
	if id := params.Get(words, "ENVID"); params.IsXtext(id) {
		o.EnvelopeID, _ = params.Decode(id)
	}
	return o
}

// rcptOptions returns the parameters of RCPT (RFC 3461 4.1, 4.2).
func rcptOptions(words string) *smtp.RcptOptions {
	o := &smtp.RcptOptions{}
	for _, word := range params.Notify(words) {
		o.Notify = append(o.Notify, smtp.DSNNotify(word))
	}
	original, address := params.HandedOn(words)
	switch kind, _, _ := strings.Cut(original, ";"); kind {
	case "rfc822":
		o.OriginalRecipientType = smtp.DSNAddressTypeRFC822
	case "utf-8":
		o.OriginalRecipientType = smtp.DSNAddressTypeUTF8
	}
	o.OriginalRecipient = address
	return o
}
