package milter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-milter"

	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Stage is where in a session a milter is asked.
type Stage int

// The stages, in their order. DATA and unknown commands are not shown to milters.
const (
	AtConnect Stage = iota
	AtHelo
	AtSender
	AtRecipient
	AtHeader
	AtHeaderEnd
	AtBody
	AtEnd
)

func (s Stage) String() string {
	return [...]string{"connect", "helo", "mail", "rcpt", "header", "end of header", "body", "end of message"}[s]
}

func (s Stage) code() milter.Code {
	return [...]milter.Code{milter.CodeConn, milter.CodeHelo, milter.CodeMail, milter.CodeRcpt,
		milter.CodeHeader, milter.CodeEOH, milter.CodeBody, milter.CodeEOB}[s]
}

// Kind is what a milter answers.
type Kind int

// The answers. After Accept the milter wants to see no more of the message, or of the
// session.
const (
	Continue Kind = iota
	Accept
	Reject
	TempFail
	Reply // with words of its own
	Discard
	Shutdown // of the SMTP session
)

func (k Kind) String() string {
	return [...]string{"continue", "accept", "reject", "tempfail", "reply", "discard", "shutdown"}[k]
}

// Answer is what a milter answered at one stage.
type Answer struct {
	Kind     Kind
	Code     int    // of Reply: 4yz or 5yz
	Enhanced string // of Reply
	Text     string // of Reply: printable ASCII, perhaps several lines
}

// Err returns the reply of an answer that refuses, and nil for others. Of a Discard the
// client must not learn.
func (a Answer) Err() error {
	switch a.Kind {
	case Reject:
		e := status.Refuse("5.7.1", "refused by a filter")
		e.Reply = 550
		return e
	case TempFail:
		return status.Temp("4.7.1", "a filter asks to try again later", nil)
	case Shutdown:
		e := status.Temp("4.7.0", "closing the connection", nil)
		e.Reply = 421
		return e
	case Reply:
		e := &status.Error{Exit: status.Refused, Reply: a.Code, Enhanced: a.Enhanced, Text: a.Text}
		if a.Code < 500 {
			e.Exit = status.TempFail
		}
		return e
	}
	return nil
}

// Bounds of a reply's text.
const (
	maxReplyLines = 32
	maxReplyLine  = 400 // octets; RFC 5321 4.5.3.1.5 allows 512 with code and line end
)

// answerOf checks what the client understood.
func answerOf(act *milter.Action) (Answer, error) {
	switch act.Code {
	case milter.ActContinue:
		return Answer{}, nil
	case milter.ActAccept:
		return Answer{Kind: Accept}, nil
	case milter.ActReject:
		return Answer{Kind: Reject}, nil
	case milter.ActTempFail:
		return Answer{Kind: TempFail}, nil
	case milter.ActDiscard:
		return Answer{Kind: Discard}, nil
	case milter.ActReplyCode:
		return replyOf(act.SMTPCode, act.SMTPText)
	}
	return Answer{}, fmt.Errorf("an answer without meaning (%q)", byte(act.Code))
}

// replyOf reads the text of a reply (SMFIR_REPLYCODE). Its first line comes without the
// code, further lines begin with it: "5.7.1 one\r\n550 5.7.1 two". A percent sign is
// doubled, as Sendmail has it.
func replyOf(code int, text string) (Answer, error) {
	if code < 400 || code > 599 {
		return Answer{}, fmt.Errorf("a reply with the code %d", code)
	}
	a := Answer{Kind: Reply, Code: code, Enhanced: strconv.Itoa(code/100) + ".7.1"}
	var lines []string
	for i, line := range strings.Split(strings.ReplaceAll(text, "%%", "%"), "\n") {
		if len(lines) == maxReplyLines {
			break
		}
		line = strings.TrimRight(line, "\r ")
		if i > 0 {
			line = afterCode(line, code)
		}
		enhanced, rest, _ := strings.Cut(line, " ")
		if isEnhanced(enhanced, code/100) {
			a.Enhanced, line = enhanced, rest
		}
		if line = visible.Shorten(visible.ASCII(line), maxReplyLine); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		lines = []string{"refused by a filter"}
	}
	a.Text = strings.Join(lines, "\n")
	return a, nil
}

// afterCode returns a further line of a reply without the code and its separator.
func afterCode(line string, code int) string {
	rest, ok := strings.CutPrefix(line, strconv.Itoa(code))
	if !ok {
		return line
	}
	return strings.TrimLeft(rest, "- ")
}

// isEnhanced reports whether s is a status of that class (RFC 3463 2).
func isEnhanced(s string, class int) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(class) {
		return false
	}
	for _, p := range parts[1:] {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n > 999 || len(p) > 3 {
			return false
		}
	}
	return true
}
