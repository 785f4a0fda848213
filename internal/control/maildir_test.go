package control

import "testing"

// A user's mailbox is one of the home's own if it is below mail/, and only then.
func TestMailboxPath(t *testing.T) {
	for _, c := range []struct {
		home, maildir string
		within        bool
	}{
		{"/srv/pp/mail/example.net/alice", "/srv/pp/mail/example.net/alice/Maildir", true},
		{"/srv/pp/mail", "/srv/pp/mail/Maildir", false},
		{"/srv/pp/mailbox/alice", "/srv/pp/mailbox/alice/Maildir", false},
		{"/home/alice", "/home/alice/Maildir", false},
	} {
		u := &User{Home: c.home}
		if got := u.Maildir(); got != c.maildir || u.Within("/srv/pp") != c.within {
			t.Errorf("%s: %s, within %v", c.home, got, u.Within("/srv/pp"))
		}
	}
}
