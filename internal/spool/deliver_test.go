package spool

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paperpath/maildir"
)

// By the copying path too, a message of the same key in the mailbox is a repeat
// only if its bytes are equal; whatever it is, it stays.
func TestCopyMeetsAMessageOfItsKey(t *testing.T) {
	const mine = "Return-Path: <alice@example.org>\nX-Original-To: list@example.net\nDelivered-To: bob@example.net\n"
	for _, tt := range []struct {
		name   string
		change func(copied string) string
		flags  string
		held   bool
	}{
		{"its own copy", func(s string) string { return s }, "", false},
		{"its own copy, read", func(s string) string { return s }, ":2,S", false},
		{"another message", strings.ToUpper, "", true},
		{"another message, read", strings.ToUpper, ":2,S", true},
		{"a shorter one", func(s string) string { return s[:len(s)-1] }, "", true},
		{"a longer one", func(s string) string { return s + "x\n" }, "", true},
		{"an empty one", func(string) string { return "" }, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			box := filepath.Join(t.TempDir(), "Maildir")
			if err := maildir.Create(box); err != nil {
				t.Fatal(err)
			}
			env := Envelope{From: Path{Addr: "alice@example.org"},
				To: []Recipient{{Addr: "bob@example.net", Params: "ORCPT=rfc822;list@example.net"}}}
			body := "From: a@b\n\n" + strings.Repeat("x\n", copyBuffer)
			if _, err := f.sp.Accept(InboxDeliver, env, nil, Trace{By: "mx.example.net", With: WithLocal}, BytesBody([]byte(body))); err != nil {
				t.Fatal(err)
			}
			entry := f.only("deliver/new")
			_, rest, _ := strings.Cut(read(t, entry), "list@example.net\n")
			there := tt.change(mine + rest)
			name, _, _ := strings.Cut(filepath.Base(entry), ",")
			sub := "new"
			if tt.flags != "" {
				sub = "cur"
			}
			path := filepath.Join(box, sub, name+tt.flags)
			if err := os.WriteFile(path, []byte(there), 0o600); err != nil {
				t.Fatal(err)
			}
			f.run(InboxDeliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
			if read(t, path) != there {
				t.Error("what was there has changed")
			}
			if held := slices.ContainsFunc(f.files(), func(s string) bool { return strings.HasPrefix(s, "hold/new/") }); held != tt.held {
				t.Errorf("held is %v; the spool has %q", held, f.files())
			}
			if list, _ := filepath.Glob(box + "/*/*"); len(list) != 1 {
				t.Errorf("in the mailbox are %q", list)
			}
		})
	}
}
