//go:build !race

package check

import (
	"fmt"
	"strings"
	"testing"

	"paperpath/internal/dkim"
)

// nastyDomains are names of the zone, and some that it lacks.
var nastyDomains = strings.Fields("x.example y.example z.example loop.example deep.example long.example wide.example two.example " +
	"away.example refused.example cut.example garbage.example stray.example example b\u00fccher.example example.net sub.x.example nothing.example")

func (g *nasty) domain() string { return nastyDomains[g.IntN(len(nastyDomains))] }

// nastyZone has what strangers publish, honest and not, and servers that do not keep to the
// rules. None is silent: waiting for those would be all that the test does.
func nastyZone(t testing.TB) string {
	record, err := dkim.Record(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	var zone strings.Builder
	zone.WriteString(`x.example TXT "v=spf1 ip4:192.0.2.0/29 -all"
x.example TXT "a text of no use"
_dmarc.x.example TXT "v=DMARC1; p=reject"
y.example TXT "v=spf1 include:a.example include:y.example mx a ptr -all"
_dmarc.y.example TXT "v=DMARC1; p=quarantine; sp=none; adkim=s; t=y; rua=mailto:x@y"
a.example TXT "v=spf1 exists:%{ir}.%{v}._spf.%{d2} exists:%{l1r-}.%{o}.%{h} ~all"
z.example TXT "v=spf1 redirect=%{d}"
_dmarc.z.example CNAME _dmarc.loop.example
loop.example CNAME pool.example
pool.example CNAME loop.example
_dmarc.loop.example CNAME _dmarc.pool.example
_dmarc.pool.example CNAME _dmarc.loop.example
two.example TXT "v=spf1 +all"
two.example TXT "v=spf1 -all"
_dmarc.two.example TXT "v=DMARC1; p=reject"
_dmarc.two.example TXT "v=DMARC1; p=none"
wide.example TXT "v=spf1 mx ?all"
xn--bcher-kva.example TXT "v=spf1 +all"
_dmarc.xn--bcher-kva.example TXT "v=DMARC1; p=reject; np=none; psd=y; p=none"
_dmarc.example TXT "v=DMARC1; p=none; psd=y"
t._domainkey.x.example TXT "v=DKIM1; p="
y._domainkey.x.example TXT "v=DKIM1; k=rsa; p=MA=="
h.example A 192.0.2.1
1.2.0.192.in-addr.arpa PTR h.example
2.2.0.192.in-addr.arpa PTR h.example
3.2.0.192.in-addr.arpa CNAME 1.2.0.192.in-addr.arpa
4.2.0.192.in-addr.arpa !servfail
away.example !servfail
_dmarc.away.example !servfail
refused.example !refused
k._domainkey.refused.example !nxdomain
cut.example TXT "v=spf1 +all"
cut.example !cut
garbage.example TXT "v=spf1 +all"
garbage.example !garbage !wrongid !wrongname
stray.example TXT "v=spf1 +all"
stray.example !stray
`)
	for n := range 12 { // includes of includes; more than ten exchangers
		fmt.Fprintf(&zone, "%s TXT \"v=spf1 include:%d.deep.example -all\"\n", strings.TrimPrefix(fmt.Sprintf("%d.deep.example", n-1), "-1."), n)
		fmt.Fprintf(&zone, "wide.example MX %d %d.wide.example\n", n, n)
	}
	fmt.Fprintf(&zone, "long.example TXT \"v=spf1 \"%s\n", strings.Repeat(" \"include:%{l}%{d1r-.+,/_=}.\"", 250))
	fmt.Fprintf(&zone, "_dmarc.long.example TXT \"v=DMARC1; p=reject;\"%s\n", strings.Repeat(" \"x=y;\"", 2000))
	for _, domain := range nastyDomains[:9] {
		for _, selector := range []string{"k", "s"} {
			fmt.Fprintf(&zone, "%s._domainkey.%s TXT %q\n", selector, domain, record)
		}
	}
	return zone.String()
}
