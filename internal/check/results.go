package check

import (
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// results returns the Authentication-Results field of host (RFC 8601 2.2).
// Without a method that was tried it says none.
func results(host string) []string {
	return []string{"Authentication-Results: " + host + "; none\n"}
}

// Forged returns the Authentication-Results fields that claim to be host's: a
// message comes without them (RFC 8601 5).
func Forged(h *message.Header, host string) []message.Field {
	var forged []message.Field
	for _, f := range h.All("Authentication-Results") {
		if claims(f.Value, host) {
			forged = append(forged, f)
		}
	}
	return forged
}

// claims reports whether the value begins with host as its authserv-id, behind
// comments and in quotes too.
func claims(value, host string) bool {
	id := strings.TrimLeft(value, " \t")
	for strings.HasPrefix(id, "(") {
		end := strings.IndexByte(id, ')')
		if end < 0 {
			return true // nobody else's parser shall find us in it
		}
		id = strings.TrimLeft(id[end+1:], " \t")
	}
	id = strings.TrimLeft(id, "\"")
	if end := strings.IndexAny(id, " \t;\"("); end >= 0 {
		id = id[:end]
	}
	return addr.Fold(strings.TrimSuffix(id, ".")) == addr.Fold(host)
}

// Marked is the message as a filter passes it on: our result on top, forged
// ones removed, all else as it came.
func Marked(v Verdict, body spool.Body, host string) *message.Pieces {
	var out message.Pieces
	for _, field := range results(host) {
		out.Text(field)
	}
	out.Without(body, body.Size(), Forged(v.Header, host))
	return &out
}
