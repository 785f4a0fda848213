package check

import (
	"io"
	"strings"

	"paperpath/internal/authres"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// results returns the Authentication-Results field of host (RFC 8601 2.2).
// It says none while no method is tried.
func results(host string) []string { return []string{authres.Format(host, nil)} }

// Forged returns the Authentication-Results fields that claim to come from host, in
// their order: they are removed from a message (RFC 8601 5).
func Forged(h *message.Header, host string) []message.Field {
	var forged []message.Field
	for _, f := range h.All(authres.Name) {
		if authres.ClaimedBy(f.Value, host) {
			forged = append(forged, f)
		}
	}
	return forged
}

// WithResults is the message as a filter passes it on: our result on top, forged ones
// removed, everything else as it came.
func WithResults(v Verdict, body spool.Body, host string) *message.Pieces {
	lines := strings.Join(append(results(host), v.Results...), "")
	if v.Header.CRLF {
		lines = strings.ReplaceAll(lines, "\n", "\r\n")
	}
	// Text before the first field (an mbox From line) stays there, so that it cannot
	// become a continuation line of ours.
	at := v.Header.End
	if len(v.Header.Fields) > 0 {
		at = v.Header.Fields[0].Start
	}
	forged := Forged(v.Header, host)
	for i := range forged {
		forged[i].Start -= at
		forged[i].End -= at
	}
	var out message.Pieces
	out.Stretch(body, 0, at)
	out.Text(lines)
	out.Without(io.NewSectionReader(body, at, body.Size()-at), body.Size()-at, forged)
	return &out
}
