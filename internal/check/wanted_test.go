package check

import (
	"net/netip"
	"strings"
	"testing"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/spool"
)

// What control/results wants is in our fields, for users and for strangers.
func TestWantedResults(t *testing.T) {
	server := dns.New(at(dnstest.New(t, "x.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n").Addr))
	user := Subject{With: "ESMTPSA", Login: "alice@example.net", Helo: "x"}
	peer := Subject{SMTPPeer: true, With: "ESMTP", Client: netip.MustParseAddr("192.0.2.1"), Helo: "mx.x.example"}
	for _, c := range []struct {
		wanted string
		login  bool
		want   string // parts of the fields, with blanks for folds
		not    string
	}{
		{"", true, "Authentication-Results: mx.example.net; auth=pass", "smtp.auth"},
		{"auth", true, "auth=pass", "smtp.auth"},
		{"login", true, "auth=pass smtp.auth=alice@example.net", "Received-SPF"},
		{"received-spf", true, "", "auth=pass"},
		{"none", true, "", "Authentication-Results"},
		{"", false, "spf=pass", "Received-SPF"},
		{"none", false, "spf=pass", "Received-SPF"},
		{"received-spf", false, `Received-SPF: pass (mx.example.net: matched ip) receiver=mx.example.net; client-ip=192.0.2.1; ` +
			`envelope-from="alice@x.example"; helo=mx.x.example; identity=mailfrom;`, "auth="},
	} {
		var files []string
		if c.wanted != "" {
			files = []string{"results", c.wanted + "\n"}
		}
		k := checkerOf(settings(t, files...), nil)
		k.DNS = server
		sub, path := peer, "alice@x.example"
		if c.login {
			sub, path = user, "alice@example.net"
		}
		sub.Envelope = to("alice@example.net")
		sub.Envelope.From.Addr = path
		sub.Body = spool.BytesBody([]byte("From: " + path + "\n\nhi\n"))
		v := k.Message(t.Context(), sub, nil)
		got := strings.Join(strings.Fields(strings.Join(v.Results, "")), " ")
		if !strings.Contains(got, c.want) || strings.Contains(got, c.not) || !v.Passes() {
			t.Errorf("%+v: %s: %s", c, v, got)
		}
	}
	k := checkerOf(settings(t, "results", "spf\n"), nil)
	user.Body = spool.BytesBody([]byte("From: alice@example.net\n\nhi\n"))
	if v := k.Message(t.Context(), user, nil); v.Action != control.CheckDefer {
		t.Errorf("a broken setting: %s", v)
	}
}

// Received-SPF names the reverse path that was checked, and not the one that a filter made
// of it.
func TestReceivedSPFOfAChangedSender(t *testing.T) {
	body := spool.BytesBody([]byte("From: alice@x.example\n\nhi\n"))
	env := to("alice@example.net")
	env.From.Addr = "changed@y.example"
	k := checkerOf(settings(t, "results", "received-spf\n"), func() []row {
		return append(rows(), fakeRow("filters", phaseFilters, Finding{Changed: &Change{Body: body, Envelope: env}}))
	})
	k.DNS = dns.New(at(dnstest.New(t, "x.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n").Addr))
	sub := Subject{SMTPPeer: true, With: "ESMTP", Client: netip.MustParseAddr("192.0.2.1"), Helo: "mx.x.example",
		Envelope: to("alice@example.net"), Body: body}
	sub.Envelope.From.Addr = "alice@x.example"
	v := k.Message(t.Context(), sub, nil)
	got := strings.Join(v.Results, "")
	if v.Envelope.From.Addr != "changed@y.example" || !strings.Contains(got, `envelope-from="alice@x.example"`) {
		t.Errorf("%s: %s", v, got)
	}
}
