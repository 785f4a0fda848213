package harness

import (
	"bytes"
	"strings"
	"testing"
)

func TestBody(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Return-Path: <a@b>\nDelivered-To: c@d\nReceived: from x\n with ESMTP id k; now\nSubject: s\n\nx\n", "Subject: s\n\nx\n"},
		{"Received: from x\n\tby y\n\nbody\n", "\nbody\n"},
		{"Received: one\nReceived: two\n", "Received: two\n"},
		{"no trace at all\n", ""},
	} {
		if got := string(Body([]byte(c.in))); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestSinkKeepsOctets(t *testing.T) {
	s, err := NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := []byte(".\n..\nGrüße\n\xff\n\nend\n")
	if _, err := SendMail(s.Addr, "a@example.org", []string{"b@example.net"}, want); err != nil {
		t.Fatal(err)
	}
	if got := s.Received(); len(got) != 1 || !bytes.Equal(got[0].Data, want) || len(s.Wrong()) != 0 {
		t.Errorf("%q %q", got, s.Wrong())
	}
}

// The modes that answer at all; a bad peer must not record what it refused.
func TestSinkModes(t *testing.T) {
	for mode, want := range map[string]string{"greet4xx": "421", "greet5xx": "554", "rcpt4xx": "450", "rcpt5xx": "550",
		"data4xx": "451", "data5xx": "554", "middata": "EOF", "nodot": "EOF"} {
		s, err := NewSink(mode)
		if err != nil {
			t.Fatal(err)
		}
		_, err = SendMail(s.Addr, "a@example.org", []string{"b@example.net"}, []byte("x\ny\n"))
		if err == nil || len(s.Received()) != 0 {
			t.Errorf("%s: %v, %d recorded", mode, err, len(s.Received()))
		} else if !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v, want %s", mode, err, want)
		}
		s.Close()
	}
}

func TestSinkIsStrict(t *testing.T) {
	s, err := NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := SendMail(s.Addr, "a@example.org", []string{"b@example.net"}, []byte("bare\rcr\n")); err != nil {
		t.Fatal(err)
	}
	if len(s.Wrong()) != 1 {
		t.Errorf("%q", s.Wrong())
	}
}
