package smtpd

import (
	"net"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Limits of a reply.
const (
	maxReplyText  = 480 // octets of text per line; RFC 5321 4.5.3.1.5 allows 512 for the whole line
	maxReplyLines = 20
)

// appendReply appends a reply. Each line has the enhanced code (RFC 2034); "" omits
// it, as RFC 2034 4 wants for the greeting, EHLO and 3xx. Text is reduced to
// printable ASCII of limited length.
func appendReply(b []byte, code int, enhanced string, lines ...string) []byte {
	if len(lines) > maxReplyLines {
		lines = lines[:maxReplyLines]
	}
	for i, text := range lines {
		b = strconv.AppendInt(b, int64(code), 10)
		if i < len(lines)-1 {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if enhanced != "" {
			b = append(append(b, enhanced...), ' ')
		}
		b = append(append(b, visible.Shorten(visible.ASCII(text), maxReplyText)...), "\r\n"...)
	}
	return b
}

// refusal returns the reply for an error of the Session. Whatever the error says, the
// reply is a failure, and its enhanced code matches its code.
func refusal(err error) (code int, enhanced string, lines []string) {
	code, enhanced, text := status.Reply(err)
	if code < 400 || code > 599 {
		code, enhanced, text = 451, "4.3.0", "temporary failure, please try again"
	}
	if class := strconv.Itoa(code / 100); !validEnhanced(enhanced) || enhanced[:1] != class {
		enhanced = class + ".0.0"
	}
	return code, enhanced, strings.Split(strings.TrimRight(text, "\r\n"), "\n")
}

// syntax returns a refusal by the engine itself.
func syntax(code int, enhanced, text string) error {
	return &status.Error{Exit: status.Refused, Reply: code, Enhanced: enhanced, Text: text}
}

// validEnhanced reports whether s is class.subject.detail (RFC 3463 2).
func validEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return false
	}
	for _, p := range parts {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n > 999 || len(p) > 3 {
			return false
		}
	}
	return len(parts[0]) == 1
}

// Unavailable refuses a client with one line in place of the greeting, within a short
// deadline: 554 if code is permanent, otherwise 421 (RFC 5321 3.1, 3.8). The
// connection stays open.
func Unavailable(conn net.Conn, code int, enhanced string) {
	if code/100 == 5 {
		code = 554
	} else {
		code = 421
	}
	_, enhanced, _ = refusal(&status.Error{Reply: code, Enhanced: enhanced})
	line := appendReply(nil, code, enhanced, "service not available")
	if conn.SetWriteDeadline(time.Now().Add(2*time.Second)) == nil {
		// The client may have gone.
		_, _ = conn.Write(line)
	}
}
