package check

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"paperpath/internal/compose"
	"paperpath/internal/control"
	"paperpath/internal/spool"
)

func TestWithResults(t *testing.T) {
	const ours = "Authentication-Results: mx.example.net; none\n"
	c := settings(t)
	for _, x := range []struct{ name, in, want string }{
		{"plain", "From: a@b\n\nx\n", ours + "From: a@b\n\nx\n"},
		{"no last line end", "From: a@b\n\nx", ours + "From: a@b\n\nx"},
		{"forged", "Authentication-Results: mx.example.net; spf=pass\nFrom: a@b\n\n", ours + "From: a@b\n\n"},
		{"forged below", "From: a@b\nX: y\nauthentication-results :\n\tMX.example.net ;\n dkim=pass\nZ: z\n\nAuthentication-Results: mx.example.net\n",
			ours + "From: a@b\nX: y\nZ: z\n\nAuthentication-Results: mx.example.net\n"},
		{"forged with a version", "From: a@b\nAuthentication-Results: mx.example.net 1; spf=pass\n\n", ours + "From: a@b\n\n"},
		{"forged in quotes", "From: a@b\nAuthentication-Results: \"mx.ex\\ample.net\"; spf=pass\n\n", ours + "From: a@b\n\n"},
		{"forged behind comments", "From: a@b\nAuthentication-Results: (a (b) \\) c) () mx.example.net(x); spf=pass\n\n", ours + "From: a@b\n\n"},
		{"forged with a final dot", "From: a@b\nAuthentication-Results: mx.example.net.; spf=pass\n\n", ours + "From: a@b\n\n"},
		{"unreadable", "From: a@b\nAuthentication-Results: (mx.example.net\nAuthentication-Results: \"mx\n\n", ours + "From: a@b\n\n"},
		{"forged with a comment inside", "From: a@b\nAuthentication-Results: mx.(c)example. net; spf=pass\n\n", ours + "From: a@b\n\n"},
		{"forged, folded inside", "From: a@b\nAuthentication-Results: mx.exam\n ple.net; spf=pass\n\n", ours + "From: a@b\n\n"},
		{"forged, encoded", "From: a@b\nAuthentication-Results: =?utf-8?q?mx=2Eexample=2Enet?=; spf=pass\n\n", ours + "From: a@b\n\n"},
		{"forged behind a control character", "From: a@b\nAuthentication-Results:\v\"mx.example.net\"; spf=pass\n\n", ours + "From: a@b\n\n"},
		{"another's", "From: a@b\nAuthentication-Results: mx.example.net.evil; x\nAuthentication-Results: x (mx.example.net); y\nAuthentication-Results:\n\n",
			ours + "From: a@b\nAuthentication-Results: mx.example.net.evil; x\nAuthentication-Results: x (mx.example.net); y\nAuthentication-Results:\n\n"},
		{"forged around junk", "From: a@b\nAuthentication-Results: mx.example.net; a\njunk\n b\nX: y\n\n", ours + "From: a@b\nX: y\n\n"},
		{"a run of mbox lines", "From a Mon\n>From b\nFrom: a@b\n\n", "From a Mon\n>From b\n" + ours + "From: a@b\n\n"},
		{"mbox", "From a Mon\nFrom: a@b\n\n", "From a Mon\n" + ours + "From: a@b\n\n"},
		{"CRLF", "From: a@b\r\nAuthentication-Results: mx.example.net\r\n\r\nx\r\n",
			strings.ReplaceAll(ours, "\n", "\r\n") + "From: a@b\r\n\r\nx\r\n"},
	} {
		s := Subject{Body: spool.BytesBody([]byte(x.in))}
		v := checkerOf(c, nil).Message(context.Background(), s, nil)
		if v.Err != nil {
			t.Errorf("%s: %v", x.name, v.Err)
			continue
		}
		out := WithResults(v, "mx.example.net")
		got, err := io.ReadAll(io.NewSectionReader(out, 0, out.Size()))
		if err != nil || string(got) != x.want {
			t.Errorf("%s: %v, %q, want %q", x.name, err, got, x.want)
		}
	}
}

// FuzzWithResults: below our field only fields that claim to be ours are missing, and
// none of those is left.
func FuzzWithResults(f *testing.F) {
	f.Add([]byte("A: b\nAuthentication-Results: (x) \"mx\"; y\n z\nC: d\n\n"))
	f.Add([]byte("From: a\r\nauthentication-results: (\\)) mx\r\njunk\r\n\r\n"))
	k := checkerOf(control.Open(f.TempDir(), time.Now), nil)
	k.Host = "mx"
	f.Fuzz(func(t *testing.T, p []byte) {
		body := spool.BytesBody(p)
		v := k.Message(context.Background(), Subject{Body: body}, nil)
		if v.Err != nil {
			return
		}
		out := WithResults(v, "mx")
		b, err := io.ReadAll(io.NewSectionReader(out, 0, out.Size()))
		if err != nil {
			t.Fatal(err)
		}
		h, err := ReadHeader(k.Control, spool.BytesBody(b))
		if err != nil || len(compose.Forged(h, "mx")) != 1 {
			t.Fatalf("%q became %q: %v", p, b, err)
		}
		if v.Body == body && !strings.HasSuffix(string(b), string(p[v.Header.Fields[0].Start:])) {
			t.Fatalf("%q became %q", p, b)
		}
	})
}
