package status

import (
	"errors"
	"fmt"
	"testing"
)

func TestClasses(t *testing.T) {
	cause := errors.New("disk")
	for _, c := range []struct {
		err      error
		exit     int
		code     int
		enhanced string
		text     string
		temp     bool
	}{
		{nil, 0, 451, "4.3.0", "temporary failure, please try again", false},
		{cause, 75, 451, "4.3.0", "temporary failure, please try again", true},
		{Temp("4.3.1", "full", cause), 75, 451, "4.3.1", "full", true},
		{fmt.Errorf("wrapped: %w", Refuse("5.6.0", "no")), 65, 554, "5.6.0", "no", false},
		{TooLarge(10), 65, 552, "5.3.4", "message is larger than 10 octets", false},
		{UsageError("bad %s", "word"), 64, 501, "5.5.4", "bad word", false},
		{&Error{Exit: NoMailbox, Text: "x"}, 67, 550, "5.0.0", "x", false},
		{&Error{Exit: Unavailable, Text: "x"}, 69, 554, "5.0.0", "x", false},
		{&Error{Exit: NotAllowed, Text: "x"}, 77, 550, "5.0.0", "x", false},
		{&Error{Err: cause}, 75, 451, "4.0.0", "temporary failure, please try again", true},
	} {
		code, enhanced, text := Reply(c.err)
		if Exit(c.err) != c.exit || code != c.code || enhanced != c.enhanced || text != c.text || IsTemporary(c.err) != c.temp {
			t.Errorf("%v: exit %d, reply %d %s %s, temporary %v", c.err, Exit(c.err), code, enhanced, text, IsTemporary(c.err))
		}
	}
	e := Temp("4.3.1", "full", cause)
	if e.Error() != "full: disk" || !errors.Is(e, cause) || Enhanced(e) != "4.3.1" || Enhanced(cause) != "4.0.0" {
		t.Errorf("%v, %s", e, Enhanced(e))
	}
}

// The higher exit status is the worse one, and the first of two that are equal.
func TestWorse(t *testing.T) {
	none, refused, again := &Error{Exit: NoMailbox}, Refuse("5.6.0", "no"), errors.New("disk")
	for _, c := range []struct {
		list []error
		want error
	}{
		{nil, nil}, {[]error{nil, nil}, nil}, {[]error{nil, none, nil}, none}, {[]error{refused, none, refused}, none},
		{[]error{again, none}, again}, {[]error{refused, Refuse("5.6.0", "also")}, refused},
	} {
		var worst error
		for _, err := range c.list {
			worst = Worse(worst, err)
		}
		if worst != c.want {
			t.Errorf("%v: %v, want %v", c.list, worst, c.want)
		}
	}
}
