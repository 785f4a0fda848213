package dsn

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/params"
	"paperpath/internal/visible"
)

// status is the part for programs (RFC 3464 2.2, 2.3). It is written here and not by
// go-message, which folds fields anywhere: an address may hold blanks.
func (r *Report) status() string {
	var b strings.Builder
	if id := params.Get(r.SenderParams, "ENVID"); id != "" {
		b.WriteString(field("Original-Envelope-Id", bounded(decoded(id))))
	}
	b.WriteString(field("Reporting-MTA", "dns; "+bounded(r.Host)))
	b.WriteString(field("Arrival-Date", date(r.Arrival)))
	b.WriteString(field("X-Paperpath-Key", r.Key))
	for _, to := range r.Recipients {
		b.WriteString("\n" + r.recipient(to))
	}
	return b.String()
}

// recipient is the group of fields of one recipient.
func (r *Report) recipient(to Recipient) string {
	var b strings.Builder
	if kind, address, ok := strings.Cut(params.Get(to.Params, "ORCPT"), ";"); ok {
		b.WriteString(field("Original-Recipient", bounded(kind)+"; "+bounded(decoded(address))))
	}
	kind := "rfc822"
	if !addr.IsASCII(to.Address) {
		kind = "utf-8" // RFC 6533 3
	}
	// Never folded: an address may hold blanks.
	fmt.Fprintf(&b, "Final-Recipient: %s; %s\n", kind, visible.Field(to.Address))
	b.WriteString(field("Action", string(r.Kind)))
	b.WriteString(field("Status", bounded(r.Kind.status(to.Err))))
	if to.RemoteMTA != "" {
		b.WriteString(field("Remote-MTA", "dns; "+bounded(to.RemoteMTA)))
	}
	if to.Diagnostic != "" {
		b.WriteString(field("Diagnostic-Code", "smtp; "+bounded(to.Diagnostic)))
	} else if to.Err != nil {
		b.WriteString(field("Diagnostic-Code", "x-paperpath; "+public(to.Err)))
	}
	b.WriteString(field("Last-Attempt-Date", date(r.Now)))
	if !r.RetryUntil.IsZero() {
		b.WriteString(field("Will-Retry-Until", date(r.RetryUntil)))
	}
	return b.String()
}
