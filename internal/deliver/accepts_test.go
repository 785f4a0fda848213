package deliver

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/authres"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// What a mailbox does not take for its size, or does not want, is returned for it alone.
func TestMailboxAccepts(t *testing.T) {
	const bobs = "mail/example.net/bob/Maildir/new"
	for _, tt := range []struct {
		name   string
		to     []string
		with   string
		sizes  string
		wishes string
		want   []string
		said   string // in the log
	}{
		{name: "no limit", to: []string{"alice@example.net", "bob@example.net"}, want: []string{alices, bobs}},
		{name: "too large for one", to: []string{"alice@example.net", "bob@example.net"}, sizes: "bob@example.net: 17\n",
			want: []string{alices, "spool/hold/new", "spool/hold/reason"},
			said: "the recipient accepts no message larger than 17 octets (control/sizes:1)"},
		{name: "as large as allowed", to: []string{"bob@example.net"}, sizes: "bob@example.net: 18\n", want: []string{bobs}},
		{name: "by the domain", to: []string{"alice@example.net", "bob@example.net"}, sizes: "@example.net: 5\nalice@example.net: 100\n",
			want: []string{alices, "spool/hold/new", "spool/hold/reason"}, said: "status=5.2.3"},
		{name: "from a user", to: []string{"bob@example.net"}, with: "ESMTPSA", sizes: "bob@example.net: 5\n", want: []string{bobs}},
		{name: "a broken row", to: []string{"bob@example.net"}, sizes: "bob@example.net: x\n", want: []string{"spool/deliver/cur", "spool/deliver/reason"}},
		{name: "postmaster behind an alias", to: []string{"postmaster@example.net"}, wishes: "alice@example.net: deny=*\n", want: []string{alices}},
		{name: "abuse behind an alias", to: []string{"Abuse@example.net"}, wishes: "alice@example.net: deny=*\n", want: []string{alices}},
		{name: "another alias", to: []string{"team@example.net"}, wishes: "alice@example.net: deny=*\n",
			want: []string{"spool/hold/new", "spool/hold/reason"}, said: "does not accept mail from this sender"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newFixture(t)
			p.write("aliases", "postmaster: alice\nabuse: alice\nteam: alice\n")
			if tt.sizes != "" {
				p.write("sizes", tt.sizes)
			}
			if tt.wishes != "" {
				p.write("user-checks", tt.wishes)
			}
			p.with = "ESMTP"
			if tt.with != "" {
				p.with = tt.with
			}
			p.accept(spool.InboxRoute, tt.to...)
			p.run()
			if p.want(tt.want...); !strings.Contains(p.log.String(), tt.said) {
				t.Errorf("no %q in\n%s", tt.said, p.log.String())
			}
		})
	}
}

// The MDA reads the same wishes, limits and verdicts.
func TestMDAAccepts(t *testing.T) {
	junk := authres.Format("mx.example.net", []authres.Method{{Name: authres.Paperpath, Result: authres.Junk, Reason: "dmarc"}})
	const mail = "From: bob@y.example\nSubject: x\n\nhello\n"
	inbox, folder := alices, alicesJunk
	for _, tt := range []struct {
		name, to, text  string
		setting, value  string
		folder          bool
		want            string // "": refused
		enhanced, reply string
	}{
		{name: "usual", text: mail, want: inbox, folder: true},
		{name: "junk", text: junk + mail, want: folder, folder: true},
		{name: "junk below another host's Received", text: "Received: from x by y; z\n" + junk + mail, want: folder, folder: true},
		{name: "junk without the folder", text: junk + mail, want: inbox},
		{name: "another host's verdict", text: strings.ReplaceAll(junk, "mx.example.net", "mx.example.org") + mail, want: inbox, folder: true},
		{name: "junk, as header", text: junk + mail, want: inbox, folder: true, setting: "junk", value: "header\n"},
		{name: "junk of one who is allowed", text: junk + mail, want: inbox, folder: true,
			setting: "user-checks", value: "alice@example.net: allow=@y.example\n"},
		{name: "denied", text: mail, want: folder, folder: true, setting: "user-checks", value: "alice@example.net: deny=bob@y.example\n"},
		{name: "denied without the folder", text: mail, setting: "user-checks", value: "alice@example.net: deny=bob@y.example\n",
			enhanced: "5.7.1", reply: "the recipient does not accept mail from this sender"},
		{name: "denied by the reverse path", text: mail, setting: "user-checks", value: "alice@example.net: deny=@x.example\n", enhanced: "5.7.1"},
		{name: "denied, for postmaster", to: "postmaster@example.net", text: mail, want: inbox,
			setting: "user-checks", value: "alice@example.net: deny=*\n"},
		{name: "a large one", text: mail, setting: "sizes", value: "alice@example.net: 30\n", enhanced: "5.2.3",
			reply: "the recipient accepts no message larger than 30 octets"},
		{name: "no large one", text: mail, setting: "sizes", value: "alice@example.net: 38\n", want: inbox},
		{name: "a broken row", text: mail, setting: "user-checks", value: "alice@example.net: deny\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newFixture(t)
			p.folder("")
			if tt.folder {
				p.folder(".Junk")
			}
			if tt.setting != "" {
				p.write(tt.setting, tt.value)
			}
			to := tt.to
			if to == "" {
				to = "alice@example.net"
			}
			err := p.mda().Deliver(context.Background(), to, nil, strings.NewReader("Return-Path: <x@x.example>\n"+tt.text))
			if tt.want != "" {
				p.check(err)
				p.want(tt.want)
				return
			}
			p.want()
			if _, _, text := status.Reply(err); tt.enhanced != "" && status.Enhanced(err) != tt.enhanced || !status.IsTemporary(err) == (tt.enhanced == "") || tt.reply != "" && text != tt.reply {
				t.Errorf("%v, %s", err, text)
			}
			if d, err := maildir.Open(filepath.Join(p.home, "mail/example.net/alice/Maildir")); err == nil {
				list, _ := d.List()
				d.Close()
				if len(list) > 0 {
					t.Errorf("stored: %+v", list)
				}
			}
		})
	}
}
