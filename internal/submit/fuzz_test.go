package submit

import (
	"strings"
	"testing"

	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// FuzzComplete holds any message against what is promised of a completed one:
// it has what submission adds, nobody sees its blind copies, its body is as it
// came, and there is nothing more to add or to take away.
func FuzzComplete(f *testing.F) {
	for _, s := range []string{"", "\n", "x", "To: a\n\nb\n", "From: a@b\nBcc: c\n d\nTo: e, f <g>\n\nBcc: x\n", "From x\nTo: a\n\n", " fold\nTo: a\n",
		"Resent-To: a\nReceived: x\nResent-Bcc: b\n\nc", "From:\nBcc :x\njunk\nTo: \"a\nb\" <c>\n\n", "To: a\r\nBcc: b\r\n\r\nc\r\n", "Bcc:a\njunk\n\tx\nTo: =?x?q?=20?= <b>;:\n\n\n",
		"From: a, b\n\n", "sender:\x00\nFROM:\xff@\xff\n\n\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		m := inHand("")
		m.to = []spool.Recipient{{Addr: "x@x"}}
		if in == "" {
			return // refused before
		}
		once, err := completed(m, in)
		if err != nil {
			return // a header beyond the limits
		}
		m = inHand("")
		m.to = []spool.Recipient{{Addr: "x@x"}}
		if twice, err := completed(m, once); err != nil || twice != once {
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

// FuzzIntake holds what standard input becomes against what is promised of it,
// and against reading it in one piece.
func FuzzIntake(f *testing.F) {
	for _, s := range []string{"", "a\r\nb\rc\x00d", ".\n", "a\n.\r\nb", "..\n", strings.Repeat("x", 20) + "\r\n", "\r\r\n\r"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, in string, dots bool) {
		small, err := take(strings.NewReader(in), 16, dots, 1<<30)
		large, err2 := take(strings.NewReader(in), 1<<16, dots, 1<<30)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if small != large || strings.ContainsAny(small, "\r\x00") {
			t.Errorf("%q became %q and %q", in, small, large)
		}
	})
}
