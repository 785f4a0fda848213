package compose

import (
	"strings"
	"testing"

	"paperpath/internal/message"
)

// FuzzComplete checks that a completed message has the fields that submission adds and
// none for blind copies, that its body is unchanged, and that completing it again
// changes nothing.
func FuzzComplete(f *testing.F) {
	for _, s := range []string{"", "\n", "x", "To: a\n\nb\n", "From: a@b\nBcc: c\n d\nTo: e, f <g>\n\nBcc: x\n", "From x\nTo: a\n\n", " fold\nTo: a\n",
		"Resent-To: a\nReceived: x\nResent-Bcc: b\n\nc", "From:\nBcc :x\njunk\nTo: \"a\nb\" <c>\n\n", "To: a\r\nBcc: b\r\n\r\nc\r\n", "Bcc:a\njunk\n\tx\nTo: =?x?q?=20?= <b>;:\n\n\n",
		"From: a, b\n\n", "sender:\x00\nFROM:\xff@\xff\n\n\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if in == "" {
			return // refused before
		}
		once, err := completed(me, in)
		if err != nil {
			return // a header beyond the limits
		}
		if twice, err := completed(me, once); err != nil || twice != once {
			t.Fatalf("%q became %q, then %q (%v)", in, once, twice, err)
		}
		h, err := message.Read(strings.NewReader(once), 1<<20, 10000)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Bcc", "Resent-Bcc", "Return-Path"} {
			if h.Has(name) {
				t.Errorf("%q became %q", in, once)
			}
		}
		for _, name := range []string{"From", "Date", "Message-ID"} {
			if !h.Has(name) {
				t.Errorf("%q became %q, without %s", in, once, name)
			}
		}
		if _, body, ok := strings.Cut(once, "\n\n"); ok && !strings.HasSuffix(in, body) {
			t.Errorf("the body of %q became %q", in, body)
		}
	})
}
