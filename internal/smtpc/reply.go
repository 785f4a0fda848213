package smtpc

import (
	"errors"
	"fmt"
	"strings"
)

// Sizes, in octets.
const (
	maxReadLine = 8 << 10  // of a line of a reply
	maxReply    = 64 << 10 // of a whole reply
	keptReply   = 4 << 10  // of a reply, kept for people
)

// Why a host's answer ends the session. What follows can no longer be matched to a
// command, so nothing without a final reply counts as done.
var (
	ErrEarly      = errors.New("it answers before it is asked")
	ErrImpossible = errors.New("an answer that this command cannot have")
	ErrLong       = fmt.Errorf("its reply is longer than %d octets", maxReply)
	ErrCut        = errors.New("it closed the connection")
	ErrTime       = errors.New("no answer in time")
)

// Reply is a whole reply of a host. The zero Reply means that there is none.
type Reply struct {
	Code int    // 200 to 599
	Text string // its lines as they came, joined by blanks: printable ASCII, at most 4 KiB
}

// Class is the first digit, which is all that an unknown code says (RFC 5321 4.3.2); 0
// if there is no reply.
func (r Reply) Class() int { return r.Code / 100 }

// Enhanced is the status code of the reply (RFC 2034 4), or one that says as
// much as its first digit.
func (r Reply) Enhanced() string {
	class := byte('4')
	switch r.Class() {
	case 2, 5:
		class = byte('0' + r.Class())
	}
	if len(r.Text) > 4 {
		word, _, _ := strings.Cut(r.Text[4:], " ")
		parts := strings.Split(word, ".")
		if len(parts) == 3 && parts[0] == string(class) && digits(parts[1]) && digits(parts[2]) {
			return word
		}
	}
	return string(class) + ".0.0"
}

// digits reports whether s is a number of one to three digits.
func digits(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

// splitReply reads the code of a reply line, and whether another line follows
// (RFC 5321 4.2.1).
func splitReply(line string) (code int, more, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, false, false
		}
		code = code*10 + int(line[i]-'0')
	}
	return code, len(line) > 3 && line[3] == '-', code >= 200 && code < 600
}
