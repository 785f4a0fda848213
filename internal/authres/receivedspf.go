package authres

import (
	"net/netip"
	"strings"

	"paperpath/internal/visible"
)

// ReceivedSPF is what a Received-SPF field says (RFC 7208 9.1).
type ReceivedSPF struct {
	Result   string
	Why      string // for people; may hold text from outside
	Receiver string // our name
	Client   netip.Addr
	From     string // the reverse path; "" for the null one
	Helo     string
	Identity string // mailfrom or helo
}

// FormatSPF returns the field, folded, with LF line ends. Values from outside that are no
// dot-atom are quoted, as the address always is, which RFC 7208's own example does too.
func FormatSPF(r ReceivedSPF) string {
	const name = "Received-SPF"
	w := folder{line: len(name) + 1}
	w.text = append(w.text, name+":"...)
	w.write(keyword(r.Result))
	w.comment(r.Receiver + ": " + r.Why)
	list := [][2]string{{"receiver", r.Receiver}, {"client-ip", r.Client.Unmap().WithZone("").String()}}
	if r.From != "" {
		list = append(list, [2]string{"envelope-from", r.From})
	}
	for _, pair := range append(list, [2]string{"helo", r.Helo}, [2]string{"identity", r.Identity}) {
		if pair[1] != "" && len(pair[1]) <= maxValue {
			w.end()
			w.write(pair[0], "=", spfValue(pair[1]), ";")
		}
	}
	w.end()
	return string(append(w.text, '\n'))
}

// spfValue writes a dot-atom as it is, and anything else as a quoted string.
func spfValue(s string) string {
	s = visible.ASCII(s)
	if strings.Trim(s, localPart) == "" && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..") {
		return s
	}
	return quoted(s)
}
