package check

import (
	"testing"

	"paperpath/internal/control"
	"paperpath/internal/spool"
)

// A recipient is refused only if every mailbox behind it denies the sender.
func TestUserWishes(t *testing.T) {
	c := settings(t, "users", "alice@example.net:*\nbob@example.net:*\n", "aliases", "team: alice, bob\neve: alice\nboth: alice, far@y.example\n",
		"user-checks", "alice@example.net: deny=@x.example allow=good@x.example\nbob@example.net: deny=worst@x.example\n")
	for _, x := range []struct {
		path, from, to string
		rcpt, data     bool // refused
	}{
		{"spam@x.example", "spam@x.example", "alice@example.net", true, true},
		{"spam@x.example", "spam@x.example", "alice+news@example.net", true, true},
		{"spam@x.example", "spam@x.example", "eve@example.net", true, true},
		{"spam@x.example", "spam@x.example", "bob@example.net", false, false},
		{"spam@x.example", "spam@x.example", "team@example.net", false, false},
		{"worst@x.example", "worst@x.example", "team@example.net", true, true},
		{"worst@x.example", "worst@x.example", "both@example.net", false, false},
		{"good@x.example", "spam@x.example", "alice@example.net", false, false},
		{"bounce@list.example", "spam@x.example", "alice@example.net", false, true},
		{"", "spam@x.example", "alice@example.net", false, true},
		{"spam@x.example", "spam@x.example", "far@y.example", false, false},
		{"spam@x.example", "spam@x.example", "nobody@example.net", false, false},
	} {
		k := checkerOf(c, nil)
		s := k.Session()
		sub := from(x.path, Subject{SMTPPeer: true, With: "ESMTP"})
		if err := s.Mail(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		if err := s.Rcpt(t.Context(), spool.Recipient{Addr: x.to}); (err != nil) != x.rcpt {
			t.Errorf("%+v: RCPT %v", x, err)
		}
		sub.Envelope.To = to(x.to).To
		sub.Body = spool.BytesBody([]byte("From: " + x.from + "\n\nx\n"))
		if v := s.Message(t.Context(), sub, nil); (v.Action == control.CheckRefuse) != x.data {
			t.Errorf("%+v: DATA %v %v", x, v.Action, v.Err)
		}
		s.Close()
	}
	broken := settings(t, "users", "alice@example.net:*\n", "user-checks", "alice@example.net: deny\n")
	if got, v := judgeText(broken, peer, "From: a@b\n\n"); v.Action != control.CheckDefer {
		t.Errorf("a broken row: %s", got)
	}
}
