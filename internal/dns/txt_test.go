package dns

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
	"github.com/miekg/dns"
)

// A name without a record is told from one that does not exist and from no answer.
func TestTXT(t *testing.T) {
	r := zones(t, map[string]mockdns.Zone{
		"s._domainkey.example.org.": {TXT: []string{"v=DKIM1; p=abc", "other"}},
		"host.example.org.":         {A: []string{"192.0.2.1"}},
		"broken.example.org.":       {Err: context.DeadlineExceeded},
	})
	for _, c := range []struct {
		name string
		want []string
		kind string
	}{
		{"s._domainkey.example.org", []string{"v=DKIM1; p=abc", "other"}, ""},
		{"host.example.org", nil, "NODATA"},
		{"nobody.example.org", nil, "NXDOMAIN"},
		{"broken.example.org", nil, "temporary"},
		{"not a name", nil, "name"},
	} {
		got, err := r.TXT(context.Background(), c.name)
		if !slices.Equal(got, c.want) || kindOf(err) != c.kind {
			t.Errorf("%s: %.80q, %v (%s), want %.80q, %s", c.name, got, err, kindOf(err), c.want, c.kind)
		}
	}
}

// A long record comes over TCP, and a CNAME leads to it.
func TestLongTXT(t *testing.T) {
	piece := strings.Repeat("k", 255)
	server := newRough(t, func(q *dns.Msg, tcp bool) [][]byte {
		return [][]byte{packed(t, q, func(m *dns.Msg) {
			if m.Truncated = !tcp; !tcp {
				return
			}
			name := m.Question[0].Name
			m.Answer = []dns.RR{
				&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: "other.example."},
				&dns.TXT{Hdr: dns.RR_Header{Name: "other.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET},
					Txt: slices.Repeat([]string{piece}, 16)},
			}
		})}
	})
	got, err := newResolver(t, server.addr).TXT(context.Background(), "s._domainkey.example.org")
	if err != nil || len(got) != 1 || got[0] != strings.Repeat(piece, 16) {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// The strings of a record are joined, and their octets are those on the wire.
func TestTXTOctets(t *testing.T) {
	server := newRough(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{packed(t, q, func(m *dns.Msg) {
			rr := &dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET},
				Txt: []string{`a\"b\\c\001\255`, `;d`}}
			m.Answer = append(m.Answer, rr)
		})}
	})
	got, err := newResolver(t, server.addr).TXT(context.Background(), "example.org")
	if want := "a\"b\\c\x01\xff;d"; err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
