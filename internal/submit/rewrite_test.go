package submit

import (
	"strings"
	"testing"

	"paperpath/internal/sendmail"
	"paperpath/internal/spool"
)

// Who may use an address is asked about the one that was used; the filters, the entry and the
// mailboxes get the one that control/rewrite has for it. Mail of strangers is not touched.
func TestRewriteAtSubmission(t *testing.T) {
	const rows = "sender @example.net: @brand.example\nrecipient bob@example.net: Bob.B@example.net\n"
	for _, c := range []struct {
		name, login, relay, from, header, reply string
		path, want                              string
	}{
		{name: "a login", login: loginAlice, from: "alice@example.net", header: "From: A <alice>\nTo: bob, x@far.example\nCc: \"bob@example.net\" <bob+x@example.net>\n", reply: "250 ",
			path: "alice@brand.example", want: "From: A <alice@brand.example>\nTo: Bob.B@example.net, x@far.example\nCc: \"bob@example.net\" <Bob.B+x@example.net>\n"},
		{name: "a login, no From", login: loginAlice, from: "alice@example.net", header: "To: x@far.example\n", reply: "250 ",
			path: "alice@brand.example", want: "From: alice@brand.example\n"},
		{name: "a login, null path", login: loginAlice, from: "", header: "From: alice@example.net\nReply-To: alice@brand.example, info@example.net\n", reply: "250 ",
			path: "", want: "From: alice@brand.example\nReply-To: alice@brand.example, info@brand.example\n"},
		{name: "another's address", login: loginAlice, from: "alice@example.net", header: "From: bob@example.net\n", reply: "550 5.7.1"},
		{name: "what the row gives is not theirs", login: loginAlice, from: "alice@brand.example", header: "From: alice@example.net\n", reply: "550 5.7.1"},
		{name: "relayfrom", relay: "127.0.0.1\n", from: "printer@example.net", header: "From: printer\n", reply: "250 ",
			path: "printer@brand.example", want: "From: printer@brand.example\n"},
		{name: "a stranger", from: "carol@example.net", header: "From: carol@example.net\nTo: bob@example.net\n", reply: "250 ",
			path: "carol@example.net", want: "From: carol@example.net\nTo: bob@example.net\n"},
	} {
		h, _ := newHome(t)
		set(t, h, "rewrite", rows)
		set(t, h, "users", "alice@example.net:{PLAIN}secret:::::\nBob.B@example.net:{PLAIN}secret:::::\n")
		set(t, h, "relayfrom", c.relay)
		set(t, h, "checks", "spf: none\ndmarc: none\n")
		dialogue := []string{"EHLO pc.example", "250 "}
		role := MX
		if c.login != "" {
			dialogue, role = append(dialogue, c.login, "235 "), Submission
		}
		last := []string{"MAIL FROM:<" + c.from + ">", "250 ", "RCPT TO:<bob@example.net>", "250 ", "DATA", "354 ",
			c.header + "Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@x.example>\n\nx\n.", c.reply}
		if c.name == "what the row gives is not theirs" {
			last = []string{last[0], c.reply}
		}
		talk(t, h, role, append(dialogue, last...)...)
		texts := taken(t, h.Dir, spool.InboxRoute)
		if c.reply != "250 " {
			if len(texts) > 0 {
				t.Errorf("%s: stored", c.name)
			}
			continue
		}
		head := "Return-Path: <" + c.path + ">\nDelivered-To: bob@example.net\n"
		if len(texts) != 1 || !strings.HasPrefix(string(texts[0]), head) || !strings.Contains(string(texts[0]), "\n"+c.want) {
			t.Errorf("%s: want %s... %s\n%s", c.name, head, c.want, texts)
		}
	}
}

// Of VERP the list's own address is replaced; what cron sends gets its new From.
func TestRewriteOnStandardInput(t *testing.T) {
	h, _ := newHome(t)
	set(t, h, "rewrite", "list@example.net: news@brand.example\n")
	h.Stdin = stdinOf(t, "Subject: x\n\nx\n")
	if err := Message(t.Context(), h, sendmail.Options{Recipients: []string{"a@x.example"}, Sender: "list@example.net", SenderSet: true, VERP: "+="}); err != nil {
		t.Fatal(err)
	}
	texts := taken(t, h.Dir, spool.InboxCheck)
	if len(texts) != 1 || !strings.HasPrefix(string(texts[0]), "Return-Path: <news+a=x.example@brand.example>\n") ||
		!strings.Contains(string(texts[0]), "\nFrom: news@brand.example\n") {
		t.Errorf("%s", texts)
	}
}
