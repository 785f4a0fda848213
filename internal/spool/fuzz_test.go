package spool

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// FuzzReadHead compares the reader of our fields with their writer: what the reader
// accepts is written again as the same octets.
func FuzzReadHead(f *testing.F) {
	key := "1764000000.M000001R0123456789abcdef.mx"
	f.Add([]byte("Return-Path: <a@b>\nDelivered-To: c@d\nReceived: by mx\n with local id " + key + "; x\nSubject: y\n\n"))
	f.Add([]byte("Return-Path: <> RET=HDRS\nDelivered_To: <\"a>b\"@d> NOTIFY=NEVER\nX: y\n z\nReceived: by mx\n with ESMTP id " + key + "-0123456789ab; x\n"))
	f.Add([]byte("Return-Path: <a@b\nDelivered-To: c@d\n"))
	f.Add([]byte("Delivered-To: c@d\nReceived: by mx\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := readHead(bytes.NewReader(p))
		if err != nil {
			return
		}
		if len(h.env.To) == 0 || len(h.marks) != len(h.env.To) {
			t.Fatalf("%d recipients, %d marks", len(h.env.To), len(h.marks))
		}
		if h.results > h.received || h.received >= h.end || h.end > int64(len(p)) {
			t.Fatalf("offsets %d %d %d of %d", h.results, h.received, h.end, len(p))
		}
		if n := int64(bytes.Count(p[:h.results], []byte("\n"))); n != h.lines {
			t.Fatalf("%d lines, not %d", n, h.lines)
		}
		if !bytes.HasPrefix(p[h.received:], []byte(received)) {
			t.Fatal("received is elsewhere")
		}
		for i, at := range h.marks {
			if c := p[at+markOffset]; (c == '_') != h.env.To[i].Done || c != '_' && c != '-' {
				t.Fatalf("mark of recipient %d is %q", i, c)
			}
		}
	})
}

// FuzzName compares the reader of file names with their writer.
func FuzzName(f *testing.F) {
	f.Add("1764000000.M000001R0123456789abcdef.mx,S=1,W=2:2,S")
	f.Add("1764000000.M000001R0123456789abcdef.mx-0123456789ab,S=0,W=0")
	f.Add("1.M1R1.x,S=,W=")
	f.Fuzz(func(t *testing.T, name string) {
		n, err := parseName(name)
		if err != nil {
			return
		}
		k, base := n.key, n.String()
		if cut, _, _ := strings.Cut(name, ":"); base != cut || strings.ContainsAny(base, "/:\x00\n ") {
			t.Fatalf("%q became %q, %q", name, k, base)
		}
		if len(k) > maxKey || k.Root() != k.Root().Root() {
			t.Fatalf("key %q", k)
		}
	})
}

func TestKeys(t *testing.T) {
	now := time.Unix(1764000000, 123456789)
	long := NewKey(now, strings.Repeat("h", 200)+".example.net")
	if len(long)+suffixLen != maxKey {
		t.Errorf("%s has %d characters", long, len(long))
	}
	for _, host := range []string{"mx.example.net", "-", "", "a_b.c", "x-0123456789ab", strings.Repeat("a-", 40)} {
		k := NewKey(now, host)
		if _, err := ParseKey(string(k)); err != nil || k.isChild() {
			t.Errorf("host %q: %v", host, err)
		}
		env := Envelope{To: []Recipient{{Addr: "a@b"}}}
		c := k.child(Child{Inbox: InboxDeliver, From: env.From, To: env.To})
		if _, err := ParseKey(string(c)); err != nil || !c.isChild() || !strings.HasPrefix(string(c), string(k.Root())) {
			t.Errorf("child %s of %s: %v", c, k, err)
		}
		if g := c.child(Child{Inbox: InboxRelay, From: env.From, To: env.To}); len(g) != len(c) || g == c || g.Root() != c.Root() {
			t.Errorf("child %s of the child %s", g, c)
		}
		if c != k.child(Child{Inbox: InboxDeliver, From: env.From, To: env.To}) || c == k.child(Child{Inbox: InboxRelay, From: env.From, To: env.To}) {
			t.Errorf("children of %s do not name the decision", k)
		}
		b := k.bounce([]string{"a@b"}, host)
		if _, err := ParseKey(string(b)); err != nil || b == k || b != k.bounce([]string{"a@b"}, host) {
			t.Errorf("bounce %s of %s: %v", b, k, err)
		}
	}
	for _, bad := range []string{"", "x", "1.M000001R0123456789abcdef.", "1.M000001R0123456789ABCDEF.h",
		"1.M00001R0123456789abcdef.h", "1.M000001R0123456789abcdef.h/x", "1.M000001R0123456789abcdef.h:2",
		"1.M000001R0123456789abcdef." + strings.Repeat("h", 60)} {
		if k, err := ParseKey(bad); err == nil {
			t.Errorf("%q is the key %s", bad, k)
		}
	}
}
