package oracle

import (
	"paperpath/internal/dmarc"
	"paperpath/internal/spf"
	"regexp"
	"strings"
)

// fieldLine matches the first line of a field.
var fieldLine = regexp.MustCompile(`^[!-9;-~]+[ \t]*:`)

// known reports whether a difference between our verdict and that of another is one that
// we know and mean. Any other fails the test.
func known(name, text string, ours, theirs verdict, err error) bool {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	last := text[strings.LastIndexByte(text, '\n')+1:]
	switch {
	case name == "mox" && strings.TrimRight(last, " \t") != last:
		// It keeps blanks at the end of a last line without an end. No text on the wire
		// ends like that.
		return true
	case hasJunk(head):
		// A line of the header that is no field: mox refuses the message as a whole, and
		// go-msgauth takes it for a field of its own. We hash it with the field above it.
		return true
	}
	return false
}

// hasJunk reports whether a header has a line that is neither a field nor the
// continuation of one.
func hasJunk(head string) bool {
	if strings.HasPrefix(head, " ") || strings.HasPrefix(head, "\t") {
		return true
	}
	for line := range strings.SplitSeq(head, "\r\n") {
		if !fieldLine.MatchString(line) && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			return true
		}
	}
	return false
}

// The reasons why SPF gives another result than the published suite wants.
const (
	slash    = "the library takes a slash in a name for the begin of a prefix; no host has such a name"
	noMacroP = "%{p} is \"unknown\", which RFC 7208 7.3 allows and recommends against using"
	noSpaces = "no name with blanks and percent signs is asked for"
	before   = "default= was a modifier before RFC 4408; now it is an unknown one, which says nothing"
)

// knownSPF has the tests of the suite that give another result, with the reason.
var knownSPF = map[string]string{
	"rfc7208/a-colon-domain":            slash,
	"rfc7208/a-colon-domain-ip4mapped":  slash,
	"rfc7208/mx-colon-domain":           slash,
	"rfc7208/mx-colon-domain-ip4mapped": slash,
	"rfc7208/p-macro-multiple":          noMacroP,
	"rfc7208/macro-mania-in-domain":     noSpaces,
	"rfc4408/a-colon-domain":            slash,
	"rfc4408/a-colon-domain-ip4mapped":  slash,
	"rfc4408/mx-colon-domain":           slash,
	"rfc4408/mx-colon-domain-ip4mapped": slash,
	"rfc4408/p-macro-multiple":          noMacroP,
	"rfc4408/macro-mania-in-domain":     noSpaces,
	"pyspf/default-modifier":            before,
	"pyspf/default-modifier-harsh":      before,
}

// knownSPFDifference returns why SPF may differ from mox, "" if it may not.
func knownSPFDifference(ours spf.Result, v4 bool, theirs string, err error) string {
	switch {
	case theirs == "permerror" && err != nil && strings.Contains(err.Error(), "idna: disallowed rune U+0025"):
		return "mox does not expand macros in a, mx and ptr (RFC 7208 7.1)"
	case theirs == "permerror" && err != nil && (strings.Contains(err.Error(), "idna: disallowed rune U+005F") ||
		strings.Contains(err.Error(), "idna: invalid label")):
		return "mox takes a name with an underscore, or a label of a hyphen, for invalid, where RFC 7208 12 allows them"
	case theirs == "permerror" && err != nil && strings.Contains(err.Error(), "too many void lookups") && void(ours, v4) >= 2:
		return "mox looks nothing more up after two void lookups, and counts those of the hosts of mx and ptr, and of one family"
	case ours.Status == spf.PermError && strings.Contains(ours.Reason, `a:example": neither`):
		return "mox takes a name of one label, which the published suite does not (a-only-toplabel)"
	case ours.Status == spf.PermError && strings.Contains(ours.Reason, `ip6:192.0.2.1": not an address`):
		return "mox takes ip6 with an IPv4 address"
	}
	return ""
}

// void counts the lookups that found nothing of the client's family, or nothing for exists, which
// asks for IPv4 addresses whatever the client has (RFC 7208 5.7), as mox does at most.
func void(r spf.Result, v4 bool) (n int) {
	family, exists := ":", false
	if v4 {
		family = "."
	}
	for _, q := range r.Queries {
		nothing := strings.HasPrefix(q.Answer, "no such") || strings.HasPrefix(q.Answer, "not asked")
		if q.Type == "TXT" { // each ptr after the first asks nothing more of ours
			n += max(0, strings.Count(strings.ToLower(q.Answer), "ptr")-1)
			exists = exists || strings.Contains(strings.ToLower(q.Answer), "exists:")
		}
		noAddress := !strings.Contains(q.Answer, family) || exists && !strings.Contains(q.Answer, ".")
		if q.Type != "TXT" && (nothing || q.Type == "A" && noAddress) {
			n++
		}
	}
	return n
}

// knownDMARCDifference returns why DMARC may differ from mox, "" if it may not. mox follows
// RFC 7489 with a list of public suffixes, ours RFC 9989.
func knownDMARCDifference(z zone, ours dmarc.Result, author string, list []dmarc.Identity) string {
	labels := strings.Split(author, ".")
	org := strings.Join(labels[len(labels)-2:], ".") // by the list
	records := 0
	for _, text := range z.txt["_dmarc."+org] {
		if strings.HasPrefix(text, "v") && strings.Contains(text, "DMARC1") {
			records++
		}
	}
	switch {
	case ours.Status == dmarc.TempError && len(z.fail) > 0:
		return "the tree walk asks for names that mox does not need, and one of them gave no answer"
	case records != 1 && author != org:
		return "the organization publishes no record that counts, so it ends elsewhere (RFC 9989 4.10.2)"
	}
	return ""
}
