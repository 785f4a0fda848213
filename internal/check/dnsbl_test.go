package check

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// listsZone has two lists: bl.example with 192.0.2.9 and .8, wl.example with .8 and .7.
const listsZone = `
	2.0.0.127.bl.example A 127.0.0.2
	9.2.0.192.bl.example A 127.0.0.2
	9.2.0.192.bl.example TXT "see https://bl.example/q?192.0.2.9"
	8.2.0.192.bl.example A 127.0.0.2
	2.0.0.127.wl.example A 127.0.0.2
	8.2.0.192.wl.example A 127.0.5.1
	8.2.0.192.wl.example TXT "nice people"
	7.2.0.192.wl.example A 127.0.5.1
	*.world.example A 127.0.0.2
	5.2.0.192.bl.example !servfail
	6.2.0.192.refusing.example A 127.255.255.254`

func listed(t *testing.T, rows, checks string) (*Checker, *bytes.Buffer) {
	t.Helper()
	files := []string{"resolver", dnstest.New(t, listsZone).Addr + "\n", "dnsbl", rows}
	if checks != "" {
		files = append(files, "checks", checks)
	}
	c := settings(t, files...)
	k := checkerOf(c, nil)
	k.DNS = dns.New(c)
	var log bytes.Buffer
	k.Log = maillog.To(&log, "mailsubmit", time.Now)
	return k, &log
}

// What the sum of the weights means, at RCPT and for the whole message.
func TestDNSBL(t *testing.T) {
	const both, limits = "bl.example: 3\nwl.example: -2\n", "dnsbl: answer tag=2 refuse=3\n"
	for name, c := range map[string]struct {
		rows, checks, client, to string
		rcpt                     string // the reply; "": accepted
		action                   control.CheckAction
		results                  string
	}{
		"listed, and refused":    {both, limits, "192.0.2.9", "alice", "550 5.7.1", control.CheckRefuse, "x-dnsbl=fail"},
		"refused, twice so said": {both, "dnsbl: refuse tag=never refuse=3\n", "192.0.2.9", "alice", "550 5.7.1", control.CheckRefuse, "x-dnsbl=fail"},
		"no action, no reply":    {both, "dnsbl: junk refuse=3\n", "192.0.2.9", "alice", "", control.CheckJunk, "x-dnsbl=fail"},
		"listed and liked":       {both, limits, "192.0.2.8", "alice", "", control.CheckAccept, "dnswl=pass dns.zone=wl.example policy.ip=127.0.5.1 policy.txt=\"nice people\""},
		"liked":                  {both, limits, "192.0.2.7", "alice", "", control.CheckAccept, "dnswl=pass"},
		"unknown":                {both, limits, "192.0.2.1", "alice", "", control.CheckAccept, "dnswl=none dns.zone=wl.example"},
		"tagged by default":      {both, "", "192.0.2.9", "alice", "", control.CheckTag, "policy.sum=3"},
		"below the limit":        {"bl.example: 1\n", limits, "192.0.2.9", "alice", "", control.CheckAccept, ""},
		"no list":                {"", limits, "192.0.2.9", "alice", "", control.CheckAccept, ""},
		"postmaster":             {both, limits, "192.0.2.9", "PostMaster", "", control.CheckTag, "x-dnsbl=fail"},
		"abuse":                  {both, limits, "192.0.2.9", "Abuse", "", control.CheckTag, "x-dnsbl=fail"},
		"postmaster, by the row": {both, "dnsbl: refuse\n", "192.0.2.9", "postmaster", "", control.CheckAccept, "x-dnsbl=fail"},
		"refused by the row":     {both, "dnsbl: refuse\n", "192.0.2.9", "alice", "550 5.7.1", control.CheckRefuse, "x-dnsbl=fail"},
		"deferred by the row":    {both, "dnsbl: defer\n", "192.0.2.9", "alice", "451 4.7.1", control.CheckDefer, "x-dnsbl=fail"},
		"junk by the row":        {both, "dnsbl: junk tag=3\n", "192.0.2.9", "alice", "", control.CheckJunk, "x-dnsbl=fail"},
		"off":                    {both, "dnsbl: off\n", "192.0.2.9", "alice", "", control.CheckAccept, ""},
		"the DNS is away":        {both, limits, "192.0.2.5", "alice", "", control.CheckAccept, "dnswl=none"},
		"a list of all":          {"world.example: 9\n", limits, "192.0.2.9", "alice", "", control.CheckAccept, ""},
		"a list of all is no good one": {"world.example: -9\nbl.example: 3\n", limits, "192.0.2.9", "alice", "550 5.7.1", control.CheckRefuse,
			"dnswl=permerror dns.zone=world.example"},
		"a broken row": {"bl.example: 3\nwl.example: nice\n", limits, "192.0.2.9", "alice", "550 5.7.1", control.CheckRefuse, "x-dnsbl=fail"},
		"loopback":     {both, limits, "127.0.0.1", "alice", "", control.CheckAccept, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := listed(t, c.rows, c.checks)
			sub := Subject{SMTPPeer: true, With: "ESMTP", Client: netip.MustParseAddr(c.client)}
			s := k.Session()
			defer s.Close()
			if err := s.Mail(t.Context(), sub); err != nil {
				t.Fatal(err)
			}
			rcpt := spool.Recipient{Addr: c.to + "@example.net"}
			got := ""
			if err := s.Rcpt(t.Context(), rcpt); err != nil {
				code, enhanced, text := status.Reply(err)
				got = code3(code) + " " + enhanced
				if got == "550 5.7.1" && !strings.HasPrefix(text, "your address is on lists of bad ones: bl.example 127.0.0.2: see https://bl.example/q?192.0.2.9") {
					t.Errorf("reply %q", text)
				}
			}
			if got != c.rcpt {
				t.Errorf("RCPT: %q, want %q", got, c.rcpt)
			}
			sub.Envelope = to(rcpt.Addr)
			sub.Body = spool.BytesBody([]byte("From: a@b.example\n\nhello\n"))
			v := s.Message(t.Context(), sub, nil)
			results := strings.Join(strings.Fields(strings.Join(v.Results, "")), " ")
			if v.Action != c.action || !strings.Contains(results, c.results) || c.results == "" && strings.Contains(results, "dnsbl=") {
				t.Errorf("%s, %q; want %s, %q", v.Action, results, c.action, c.results)
			}
		})
	}
}

func code3(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// Users, and hosts that relayfrom trusts, are not looked for.
func TestDNSBLAsksAboutStrangersAlone(t *testing.T) {
	k, _ := listed(t, "bl.example: 3\n", "dnsbl: refuse\n")
	ip := netip.MustParseAddr("192.0.2.9")
	for _, sub := range []Subject{{Login: "alice@example.net", With: "ESMTPSA", Client: ip}, {SMTPPeer: true, Trusted: true, Client: ip}} {
		sub.Envelope = to("bob@x.example")
		sub.Body = spool.BytesBody([]byte("From: alice@example.net\n\nhello\n"))
		if v := k.Message(t.Context(), sub, nil); v.Action != control.CheckAccept {
			t.Errorf("%+v: %s", sub, v)
		}
	}
}

// A list that means nothing is an event, once an hour.
func TestDNSBLTellsOfUselessLists(t *testing.T) {
	k, log := listed(t, "world.example: 3\nrefusing.example: 2\nwl.example: -1\n", "")
	now := time.Unix(1_800_000_000, 0)
	k.Now = func() time.Time { return now }
	sub := Subject{SMTPPeer: true, Client: netip.MustParseAddr("192.0.2.6"), Envelope: to("alice@example.net"),
		Body: spool.BytesBody([]byte("From: a@b.example\n\nhello\n"))}
	for _, want := range []int{1, 1, 2} {
		k.Message(t.Context(), sub, nil)
		for _, line := range []string{
			`event=list-useless key=- zone=world.example why="it has 127.0.0.1 on it (127.0.0.2), so it may have every address"`,
			`event=list-useless key=- zone=refusing.example why="it answers 127.255.255.254: it refuses our resolver"`} {
			if n := strings.Count(log.String(), line); n != want {
				t.Errorf("%d times %s, want %d:\n%s", n, line, want, log.String())
			}
		}
		if want == 1 && now.Unix() > 1_800_000_000 {
			now = now.Add(time.Hour)
		}
		now = now.Add(time.Minute)
	}
	var trail explain.Trail
	k.Message(t.Context(), sub, &trail)
	var out bytes.Buffer
	if err := trail.Write(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"list world.example: it has 127.0.0.1 on it (127.0.0.2), so it may have every address, so it weighs nothing (control/dnsbl)\n",
		"list wl.example: not listed (control/dnsbl)\n", "check dnsbl: pass (default)\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
}

// A is what the list of TestMessage says.
func (ownZone) A(_ context.Context, name string) ([]netip.Addr, error) {
	if name == "9.2.0.192.bl.example" || name == "2.0.0.127.bl.example" {
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
	}
	return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "A"}
}
