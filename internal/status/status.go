// Package status has the one table of error classes, exit statuses and the SMTP replies
// that go with them. An error without a class is temporary: mail is only refused for a
// positive reason.
package status

import (
	"errors"
	"fmt"
	"strconv"
)

// Exit statuses of every program: the part of sysexits.h that Paperpath uses. There are
// no others; 1 and 2 never occur.
const (
	OK          = 0  // done
	Usage       = 64 // the command line is wrong
	Refused     = 65 // the message is refused, or a check found something
	NoMailbox   = 67 // no such mailbox
	Unavailable = 69 // a remote host refused permanently
	TempFail    = 75 // try again; also any unknown error
	NotAllowed  = 77 // permission denied
)

// Error is an error with a class.
type Error struct {
	Exit     int    // one of the exit statuses above
	Reply    int    // SMTP reply code (RFC 5321 4.2); 0 derives it from Exit
	Enhanced string // RFC 3463 status; "" derives it from Exit
	Text     string // one line for people and peers: printable ASCII, no secrets
	Err      error  // the cause, for the log only; may be nil
	Log      string // the line for our own people; "": Text and Err
}

// Error returns the line for our own people.
func (e *Error) Error() string {
	switch {
	case e.Log != "":
		return e.Log
	case e.Err == nil:
		return e.Text
	case e.Text == "":
		return e.Err.Error()
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temp returns a temporary error: exit status 75, reply 451.
func Temp(enhanced, text string, cause error) *Error {
	return &Error{Exit: TempFail, Reply: 451, Enhanced: enhanced, Text: text, Err: cause}
}

// Ours returns a temporary error of this machine: others read text, and log, which names our
// settings, paths or hosts, is for our own people.
func Ours(enhanced, text, log string, cause error) *Error {
	e := Temp(enhanced, text, cause)
	e.Log = log
	return e
}

// Refuse returns a permanent refusal of a message: exit status 65, reply 554.
func Refuse(enhanced, text string) *Error {
	return &Error{Exit: Refused, Reply: 554, Enhanced: enhanced, Text: text}
}

// TooLarge returns the refusal of a message for its size. limit is control/databytes.
func TooLarge(limit int64) *Error { return TooLargeFor(limit, "control/databytes") }

// TooLargeFor returns the refusal of a message for its size: exit status 65, reply 552
// (RFC 5321 4.2.3). where is the setting that has the limit.
func TooLargeFor(limit int64, where string) *Error {
	return &Error{Exit: Refused, Reply: 552, Enhanced: "5.3.4",
		Text: fmt.Sprintf("message is larger than %d octets", limit),
		Log:  fmt.Sprintf("message is larger than %d octets (%s)", limit, where)}
}

// UsageError returns an error of the command line: exit status 64.
func UsageError(format string, args ...any) *Error {
	return &Error{Exit: Usage, Reply: 501, Enhanced: "5.5.4", Text: fmt.Sprintf(format, args...)}
}

// Exit returns the exit status for err: 0 for nil, 75 for an error without a class.
func Exit(err error) int {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) && e.Exit != 0 {
		return e.Exit
	}
	return TempFail
}

// Worse returns the error with the higher exit status, worst if both are equal: the
// result for several recipients together.
func Worse(worst, err error) error {
	if Exit(err) > Exit(worst) {
		return err
	}
	return worst
}

// Public returns what people elsewhere may read of an error, in replies, in fields that leave
// with a message, and in reports: the text of its class, or what the error says for itself by
// a method Public. Anything else is a fault of ours, and names our paths and hosts.
func Public(err error) string {
	var p interface{ Public() string }
	if errors.As(err, &p) {
		if text := p.Public(); text != "" {
			return text
		}
	}
	return "temporary problem in the mail system"
}

// Public implements what Public asks for.
func (e *Error) Public() string { return e.Text }

// Cause returns what Public leaves out, nil if that is nothing.
func Cause(err error) error {
	var e *Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Log != "":
		return errors.New(e.Log)
	}
	return e.Err
}

// IsTemporary reports whether err is worth another attempt: any error is that does not
// say otherwise. nil is not.
func IsTemporary(err error) bool { return err != nil && Exit(err) == TempFail }

// Reply returns the SMTP reply for err: code, enhanced status (RFC 3463) and
// text. Peers never see the text of an error without a class.
func Reply(err error) (code int, enhanced, text string) {
	var e *Error
	if !errors.As(err, &e) {
		return 451, "4.3.0", "temporary failure, please try again"
	}
	code, enhanced, text = e.Reply, e.Enhanced, e.Text
	if code == 0 {
		code = replyOf(e.Exit)
	}
	if enhanced == "" {
		enhanced = strconv.Itoa(code/100) + ".0.0"
	}
	if text == "" {
		text = "temporary failure, please try again"
	}
	return code, enhanced, text
}

// Enhanced returns the RFC 3463 status for err, "4.0.0" for an unknown one.
func Enhanced(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return "4.0.0"
	}
	_, enhanced, _ := Reply(e)
	return enhanced
}

func replyOf(exit int) int {
	switch exit {
	case Usage:
		return 501
	case Refused, Unavailable:
		return 554
	case NoMailbox, NotAllowed:
		return 550
	}
	return 451
}
