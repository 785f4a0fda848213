package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/message"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// ownDomainCheck finds mail from outside that claims in From to come from one of our own
// domains, though nothing proves it. Our users log in, so such mail is mostly forged; but
// lists return their own posts, and services send in our name without telling us. So it is
// marked, and junk only where the domain has told the DNS how its mail is known.
type ownDomainCheck struct{}

// Name implements Check.
func (ownDomainCheck) Name() string { return "own-domain" }

// Ask implements Check.
func (ownDomainCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	claimed, err := ownAuthors(m)
	if err != nil {
		return Finding{Err: err}
	}
	q.Trail.Add("our domains in From", cmp.Or(strings.Join(claimed, " "), "none"), "control/domains")
	if len(claimed) == 0 {
		return passes("none")
	}
	proved := authres.Proved(m.Methods)
	claimed = slices.DeleteFunc(claimed, func(d string) bool { return provedFor(m.Methods, proved, d) })
	if len(claimed) == 0 {
		return passes("pass")
	}
	f := Finding{Fails: true, Answer: control.CheckTag,
		Reason: "From claims " + claimed[0] + ", and neither a login nor SPF nor DKIM proves it"}
	excuse, err := excused(m, claimed, proved)
	if err != nil {
		return Finding{Err: err}
	}
	if excuse == "" {
		excuse = f.accuse(ctx, claimed, q)
	}
	if excuse != "" {
		f.Reason += "; not junk: " + excuse
	}
	return f
}

// accuse makes the finding about mail that nothing excuses junk if one of the domains says
// in the DNS how its mail is known; else it returns why it does not.
func (f *Finding) accuse(ctx context.Context, claimed []string, q Query) (excuse string) {
	for _, domain := range claimed {
		what, err := published(ctx, q.DNS, domain)
		switch {
		case err != nil:
			excuse = status.Public(err)
		case what != "":
			f.Answer = control.CheckJunk
			f.Reason += ", but " + domain + " has " + what
			return ""
		case excuse == "":
			excuse = domain + " has neither SPF nor DKIM"
		}
	}
	return excuse
}

// ownAuthors returns the local domains in From.
func ownAuthors(m *Case) (claimed []string, err error) {
	for _, a := range allAuthors(m) {
		domain := addr.FoldDomain(a.Domain)
		if domain == "" || slices.Contains(claimed, domain) {
			continue
		}
		_, local, err := m.Control.IsLocal(domain)
		if err != nil {
			return nil, err
		}
		if local {
			claimed = append(claimed, domain)
		}
	}
	return claimed, nil
}

// allAuthors returns the addresses in all From fields. Of those that cannot be read the check
// from says what becomes of the message.
func allAuthors(m *Case) []addr.Address {
	if from := m.fromOf(); from.Fields == 1 {
		return from.List
	}
	var all []addr.Address
	for _, field := range m.Header.All("From") {
		if authors, err := addr.ParseForeign(field.Value); err == nil {
			all = append(all, authors...)
		}
	}
	return all
}

// provedFor reports whether a domain that passed answers for an author's domain: by DMARC,
// or because one of the two is the other or above it (RFC 9989 4.4, relaxed).
func provedFor(methods []authres.Method, proved []string, author string) bool {
	for _, m := range methods {
		if m.Name == "dmarc" && m.Result == "pass" && addr.FoldDomain(m.Get("header.from")) == author {
			return true
		}
	}
	return slices.ContainsFunc(proved, func(d string) bool {
		return d == author || strings.HasSuffix(author, "."+d) || strings.HasSuffix(d, "."+author)
	})
}

// excused says why unproved mail is not junk: who brings it is trusted, or a list whose own
// domain passed, or nobody could tell whether one of these would, or the author's domain.
// That the DNS of any other domain does not answer says nothing: whoever forges ours can
// have one like that.
func excused(m *Case, claimed, proved []string) (why string, err error) {
	if why, err = vouched(m, proved); why != "" || err != nil {
		return why, err
	}
	unknown := authres.Unknown(m.Methods)
	if slices.ContainsFunc(claimed, func(d string) bool { return provedFor(nil, unknown, d) }) {
		return "the DNS does not say whether it is proved", nil
	}
	if why, err = vouched(m, unknown); why != "" {
		why += ", as far as the DNS says now"
	}
	return why, err
}

// vouched says who of the domains that passed answers for mail in a name of ours.
func vouched(m *Case, passed []string) (why string, err error) {
	where, err := m.Control.TrustedForwarder(m.Client, passed)
	if err != nil {
		return "", err
	}
	if where != "" {
		return "a trusted forwarder (" + where + ")", nil
	}
	if list := listDomain(m.Header); list != "" {
		for _, d := range passed {
			if list == d || strings.HasSuffix(list, "."+d) {
				return "the list " + visible.ASCII(list) + " returns it, which " + d + " proves", nil
			}
		}
	}
	return "", nil
}

// listDomain returns the identifier of a mailing list (RFC 2919 2): the name of the list and
// its domain, "" if there is none.
func listDomain(h *message.Header) string {
	value := h.Value("List-Id")
	if i := strings.LastIndexByte(value, '<'); i >= 0 {
		value, _, _ = strings.Cut(value[i+1:], ">")
	}
	value = addr.FoldDomain(strings.TrimSpace(value))
	if addr.CheckDomain(value) != nil {
		return ""
	}
	return value
}

// published says what a domain tells in the DNS by which its mail is known: an SPF record,
// or keys for DKIM. The selectors cannot be listed, but a name below _domainkey makes that
// name exist (RFC 8020 2). "" if there is neither.
func published(ctx context.Context, r Resolver, domain string) (what string, err error) {
	texts, err := r.TXT(ctx, domain)
	if err != nil && !isNone(err) {
		return "", fmt.Errorf("the DNS does not say whether %s has SPF: %w", domain, err)
	}
	for _, text := range texts {
		if version, _, _ := strings.Cut(text, " "); strings.EqualFold(version, "v=spf1") {
			return "SPF", nil
		}
	}
	_, err = r.TXT(ctx, "_domainkey."+domain)
	switch {
	case err == nil || errors.Is(err, dns.ErrNoData):
		return "DKIM", nil
	case isNone(err):
		return "", nil
	}
	return "", fmt.Errorf("the DNS does not say whether %s has DKIM: %w", domain, err)
}

// isNone reports whether the DNS answered that there is nothing.
func isNone(err error) bool {
	return errors.Is(err, dns.ErrNoDomain) || errors.Is(err, dns.ErrNoData) || errors.Is(err, dns.ErrBadName)
}
