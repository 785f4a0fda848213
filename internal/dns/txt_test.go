package dns

import (
	"slices"
	"strings"
	"testing"
)

// The strings of a record are joined, their octets are those on the wire, and a name
// without a record is told from one that does not exist and from no answer.
func TestTXT(t *testing.T) {
	piece := strings.Repeat("k", 255)
	r, s := zones(t, `
		s._domainkey.example.org TXT "v=DKIM1; p=abc"
		s._domainkey.example.org TXT other
		host.example.org         A   192.0.2.1
		broken.example.org       !silent
		octets.example.org       TXT "a\"b\\c\001\255" ";d"
		long.example.org         CNAME there.example.org
		there.example.org        TXT `+strings.Repeat(`"`+piece+`" `, 16)+`
		many.example.org         TXT `+strings.Repeat(`"x" `, 1000))
	r.tryTime /= 10
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
		{"octets.example.org", []string{"a\"b\\c\x01\xff;d"}, ""},
		{"long.example.org", []string{strings.Repeat(piece, 16)}, ""},
		{"many.example.org", []string{strings.Repeat("x", 1000)}, ""},
	} {
		got, err := r.TXT(t.Context(), c.name)
		if !slices.Equal(got, c.want) || kindOf(err) != c.kind {
			t.Errorf("%s: %.80q, %v (%s), want %.80q, %s", c.name, got, err, kindOf(err), c.want, c.kind)
		}
	}
	if s.Count("long.example.org TXT tcp") != 1 || s.Count("many.example.org TXT tcp") != 1 {
		t.Errorf("what is too long for UDP was asked by TCP: %v", s.Asked())
	}
}
