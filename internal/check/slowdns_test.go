package check

import (
	"strings"
	"sync"
	"testing"

	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
)

// A forger whose own name server keeps us until the time of a check is over gains nothing:
// what the forged author's domain publishes is known by then.
func TestSlowForgers(t *testing.T) {
	t.Parallel()
	zone := identityZone(t) + "slow.evil.example !silent\n_dmarc.slow.evil.example !silent\n_dmarc.evil.example !silent\n" +
		"k._domainkey.slow.evil.example !silent\nl._domainkey.slow.evil.example !silent\n9.2.0.192.in-addr.arpa !silent\n" +
		"8.2.0.192.in-addr.arpa PTR a.slow.evil.example\n8.2.0.192.in-addr.arpa PTR b.slow.evil.example\na.slow.evil.example !silent\nb.slow.evil.example !silent\n" +
		"_dmarc.ptr.example TXT \"v=DMARC1; p=reject\"\nptr.example TXT \"v=spf1 ptr:x.example include:reject.example ?all\"\n"
	var all sync.WaitGroup
	defer all.Wait()
	for _, x := range []struct{ name, from, author, signed, client string }{
		{"as an author beside", "x@other.example", "a@slow.evil.example, a@reject.example\nSender: a@slow.evil.example", "", "192.0.2.9"},
		{"as an author behind", "x@other.example", "a@reject.example, a@slow.evil.example\nSender: a@slow.evil.example", "", "192.0.2.9"},
		{"as the sender", "x@slow.evil.example", "a@reject.example", "", "192.0.2.9"},
		{"as the signer", "x@other.example", "a@reject.example", "slow.evil.example", "192.0.2.9"},
		{"by the names of its address", "x@ptr.example", "a@ptr.example", "", "192.0.2.9"},
		{"by the addresses of its names", "x@ptr.example", "a@ptr.example", "", "192.0.2.8"},
		{"as all of these", "x@slow.evil.example", "a@slow.evil.example, a@reject.example\nSender: a@slow.evil.example", "slow.evil.example", "192.0.2.9"},
	} {
		all.Go(func() {
			server := dnstest.New(t, zone)
			row := identityRow{client: x.client, from: x.from, author: "From: " + x.author + "\n", signed: x.signed, helo: "slow.evil.example"}
			check := func(limit string) Verdict {
				rows := ""
				for _, name := range []string{"spf: refuse", "dkim: accept", "dmarc: answer", "iprev: accept", "helo: accept", "null-mx: refuse"} {
					rows += name + " temporary=accept time=" + limit + "\n"
				}
				s := strangers{t, dns.New(at(server.Addr))}
				return s.checker(rows, "", nil).Message(t.Context(), row.subject(t), nil)
			}
			const want = "refuse 5.7.26 5xx"
			if outcome(check("1s")) == want {
				return
			}
			for range 3 { // a busy machine takes longer for the DNS that answers, but never four seconds
				if v := check("4s"); outcome(v) != want {
					t.Errorf("%s: %s (%s) %v", x.name, outcome(v), v, v.Results)
				}
			}
		})
	}
}

// evil is what a name server does with every question.
type evil struct {
	name string
	does func(dnstest.Ask)
}

func evils() []evil {
	text := func(a dnstest.Ask) string { return a.Msg.Question[0].Name + " 60 IN TXT " }
	short := func(a dnstest.Ask) bool { // true: it was answered with the truncated bit
		if a.Network == "tcp" {
			return false
		}
		m := a.Answer()
		m.Truncated = true
		a.Reply(m)
		return true
	}
	return []evil{
		{"nothing", func(dnstest.Ask) {}},
		{"the wrong id", func(a dnstest.Ask) { m := a.Answer(text(a) + `"v=spf1 +all"`); m.Id++; a.Reply(m) }},
		{"its own question", func(a dnstest.Ask) {
			m := a.Answer(`other.example. 60 IN TXT "v=spf1 +all"`)
			m.Question[0].Name = "other.example."
			a.Reply(m)
		}},
		{"records of others", func(a dnstest.Ask) { a.Reply(a.Answer(`other.example. 60 IN TXT "v=spf1 +all"`)) }},
		{"NXDOMAIN with records", func(a dnstest.Ask) { m := a.Answer(text(a) + `"v=spf1 +all"`); m.Rcode = 3; a.Reply(m) }},
		{"a circle", func(a dnstest.Ask) {
			a.Reply(a.Answer(a.Msg.Question[0].Name+" 60 IN CNAME a.evil.example.", "a.evil.example. 60 IN CNAME "+a.Msg.Question[0].Name))
		}},
		{"names without end", func(a dnstest.Ask) {
			a.Reply(a.Answer(a.Msg.Question[0].Name + " 60 IN CNAME a." + strings.TrimPrefix(a.Msg.Question[0].Name, "_dmarc.")))
		}},
		{"truncated for ever", func(a dnstest.Ask) { m := a.Answer(); m.Truncated = true; a.Reply(m) }},
		{"half a packet", func(a dnstest.Ask) { a.Packets(a.Packet[:9]) }},
		{"65,535 records that are not there", func(a dnstest.Ask) {
			b := append([]byte(nil), a.Packet...)
			b[2], b[3], b[6], b[7] = 0x80, 0x80, 0xff, 0xff
			a.Packets(b)
		}},
		{"1,000 strings", func(a dnstest.Ask) {
			if !short(a) {
				a.Reply(a.Answer(text(a) + strings.Repeat(` "v=spf1 include:%{l}%{d} "`, 1000)))
			}
		}},
		{"64 KiB of DMARC", func(a dnstest.Ask) {
			if !short(a) {
				a.Reply(a.Answer(text(a) + `"v=DMARC1; p=none"` + strings.Repeat(` "; p=none; rua=mailto:a@b.example"`, 1500)))
			}
		}},
		{"100 keys that are none", func(a dnstest.Ask) {
			if !short(a) {
				m := a.Answer()
				for range 100 {
					m.Answer = append(m.Answer, a.Answer(text(a)+`"v=DKIM1; k=rsa; p=`+strings.Repeat("A", 200)+`"`).Answer...)
				}
				a.Reply(m)
			}
		}},
		{"an SPF that includes itself, by all mechanisms", func(a dnstest.Ask) {
			a.Reply(a.Answer(text(a) + `"v=spf1 a mx ptr exists:%{i}.%{h}.%{d} include:%{d} redirect=%{d}"`))
		}},
		{"200 addresses and exchangers", func(a dnstest.Ask) {
			name := a.Msg.Question[0].Name
			if short(a) {
				return
			}
			m := a.Answer(text(a) + `"v=spf1 mx ptr a -exists:%{p}.%{d} mx:%{d1r} ?all"`)
			for range 100 {
				m.Answer = append(m.Answer, a.Answer(name+" 60 IN MX 1 m.evil.example.", name+" 60 IN PTR m.evil.example.", name+" 60 IN A 198.51.100.1").Answer...)
			}
			a.Reply(m)
		}},
	}
}

// Whatever the name servers of a stranger do, every check ends in its time, nothing is
// proven, nothing is refused, and what is said of it is fit for a header.
func TestEvilNameServers(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, e := range evils() {
		all.Go(func() {
			s := strangers{t, dns.New(at(dnstest.Raw(t, e.does)))}
			rows := ""
			for _, name := range []string{"spf", "dkim", "dmarc", "iprev", "helo", "null-mx", "dnsbl"} {
				rows += name + ": tag temporary=accept time=1s\n"
			}
			k := s.checker(rows, "", nil)
			x := identityRow{client: "192.0.2.9", from: "x@evil.example", author: "a@evil.example", signed: "evil.example", helo: "mx.evil.example"}
			v := k.Message(t.Context(), x.subject(t), nil)
			if !v.Passes() {
				t.Errorf("%s: %s", e.name, v)
			}
			for _, f := range v.Found {
				for _, m := range f.Methods {
					if m.Result == "pass" {
						t.Errorf("%s: proven: %s (%s)", e.name, m.Name, m.Comment)
					}
				}
				if strings.Contains(f.Reason, "panic") || len(f.Reason) > 2000 {
					t.Errorf("%s: %s: %.2000q", e.name, f.Name, f.Reason)
				}
			}
			for _, field := range v.Results {
				if len(field) > 8000 || strings.ContainsFunc(field, func(c rune) bool { return c > '~' || c < ' ' && c != '\t' && c != '\n' }) {
					t.Errorf("%s: %d octets: %.1000q", e.name, len(field), field)
				}
			}
		})
	}
}
