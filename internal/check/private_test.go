package check

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// dead is a resolver whose servers do not answer. Its errors are as those of the net package.
type dead struct{}

const private = "read udp 10.9.8.7:43689->10.9.8.1:53: i/o timeout"

func (dead) fail(kind, name string) error {
	return &dns.Error{Kind: dns.ErrTemporary, Type: kind, Name: name, Err: errors.New(private)}
}
func (d dead) A(_ context.Context, n string) ([]netip.Addr, error)     { return nil, d.fail("A", n) }
func (d dead) TXT(_ context.Context, n string) ([]string, error)       { return nil, d.fail("TXT", n) }
func (d dead) Addrs(_ context.Context, n string) ([]netip.Addr, error) { return nil, d.fail("A", n) }
func (d dead) PTR(_ context.Context, a netip.Addr) ([]string, error) {
	return nil, d.fail("PTR", a.String())
}
func (d dead) MX(_ context.Context, n string) ([]dns.MX, error) { return nil, d.fail("MX", n) }

// What leaves with a message, and what the client hears, names neither our servers nor our
// paths nor what happened to our calls; the event does.
func TestNothingPrivateLeaves(t *testing.T) {
	const signed = "DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=From; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n"
	rows := map[string]string{"iprev": "iprev", "helo": "helo", "null-mx": "null-mx", "spf": "spf", "dkim": "dkim", "dmarc": "dmarc"}
	for name := range rows {
		for _, action := range []string{"tag", "junk", "defer"} {
			k := checkerOf(settings(t, "checks", name+": refuse temporary="+action+"\n"), nil)
			k.DNS = dead{}
			sub := from("bob@x.example", Subject{SMTPPeer: true, With: "ESMTP", Helo: "mx.x.example",
				Client: netip.MustParseAddr("192.0.2.7"), Envelope: to("alice@example.net"),
				Body: spool.BytesBody([]byte(signed + "From: bob@x.example\n\nhi\n"))})
			sub.Envelope.To = to("alice@example.net").To
			v := k.Message(t.Context(), sub, nil)
			if string(v.Action) != action {
				t.Errorf("%s: %s, want %s", name, v, action)
			}
			checkPrivate(t, name+" "+action, v, private)
		}
	}
}

// The same of filters that cannot be reached, and of settings that cannot be read.
func TestNothingPrivateOfFilters(t *testing.T) {
	for _, x := range []struct{ row, secret string }{
		{"x: away=tempfail milter:unix:/run/nowhere/x.sock\n", "/run/nowhere/x.sock"},
		{"x: away=tag milter:unix:/run/nowhere/x.sock\n", ""},
		{"x: away=tempfail program:/nowhere/filter\n", "no such file"},
		{"x: away=tag program:/nowhere/filter\n", ""},
		{"x: away=tempfail milter:inet:127.0.0.1:1\n", "127.0.0.1"},
	} {
		for _, temporary := range []string{"tag", "defer"} {
			k := checkerOf(settings(t, "filters", x.row, "checks", "filters: answer temporary="+temporary+"\n"), nil)
			sub := from("bob@x.example", Subject{SMTPPeer: true, With: "ESMTP", Body: spool.BytesBody([]byte("From: bob@x.example\n\nhi\n"))})
			sub.Envelope.To = to("alice@example.net").To
			checkPrivate(t, x.row+temporary, k.Message(t.Context(), sub, nil), x.secret)
		}
	}
}

// The same of a refusal that names the setting: what leaves does not say it, and the event says
// it once.
func TestNothingPrivateOfRefusals(t *testing.T) {
	for _, action := range []string{"tag", "junk", "defer"} {
		k := checkerOf(settings(t, "checks", "from: "+action+"\n"), func() []row {
			return []row{fakeRow("from", phaseFormat, failed(status.TooLarge(10)))}
		})
		v := k.Message(t.Context(), Subject{Body: spool.BytesBody([]byte("From: bob@x.example\n\nhi\n"))}, nil)
		_, _, reply := status.Reply(v.Err)
		if out := strings.Join(v.Results, "") + reply; string(v.Action) != action || strings.Contains(out, "control/") ||
			!strings.Contains(out, "octets") {
			t.Errorf("%s: %s: %s", action, v, out)
		}
		if e := v.Event(); e.Checks[0].Reason != "message is larger than 10 octets (control/databytes)" {
			t.Errorf("%s: %q", action, e.Checks[0].Reason)
		}
	}
}

// checkPrivate looks for a secret in what others see of a verdict, and in the event.
func checkPrivate(t *testing.T, name string, v Verdict, secret string) {
	t.Helper()
	_, _, reply := status.Reply(v.Err)
	for what, text := range map[string]string{"results": strings.Join(v.Results, ""), "reply": reply} {
		for _, bad := range []string{"udp", "10.9.8", "127.0.0.1", "timeout", "/run", "nowhere", "dial", "refused"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %s: %q says %q", name, what, text, bad)
			}
		}
	}
	body := make([]byte, v.Body.Size())
	v.Body.ReadAt(body, 0)
	if strings.Contains(string(body), "nowhere") {
		t.Errorf("%s: the message says %q", name, body)
	}
	told := false
	for _, c := range v.Event().Checks {
		told = told || strings.Contains(c.Reason, secret)
	}
	if !told {
		t.Errorf("%s: the event does not say %q: %+v", name, secret, v.Event())
	}
	if v.Action == control.CheckDefer && !status.IsTemporary(v.Err) {
		t.Errorf("%s: %v", name, v.Err)
	}
}
