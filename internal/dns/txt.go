package dns

import (
	"context"
	"strings"

	"github.com/miekg/dns"
)

// TXT returns the TXT records of a name, the strings of each joined. Their octets are
// whatever a stranger wrote.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	var list []string
	_, err := r.lookup(ctx, name, dns.TypeTXT, func(rr dns.RR) bool {
		txt, ok := rr.(*dns.TXT)
		if ok {
			list = append(list, unescape(strings.Join(txt.Txt, "")))
		}
		return ok
	})
	return list, err
}

// unescape turns the \DDD and \X that the library uses for octets which are special in a
// zone file into these octets.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i++; i+2 < len(s) && isDigit(s[i]) && isDigit(s[i+1]) && isDigit(s[i+2]) {
			b.WriteByte(byte(int(s[i]-'0')*100 + int(s[i+1]-'0')*10 + int(s[i+2]-'0')))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
