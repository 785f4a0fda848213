package dmarc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// From is what the header of a message says about its authors.
type From struct {
	Fields int // of that name
	Value  string
	List   []addr.Address // as addr.ParseForeign reads the one field
	Err    error          // the same
}

// ReadFrom reads it.
func ReadFrom(h *message.Header) *From {
	f := &From{Fields: h.Count("From"), Value: h.Value("From")}
	if f.Fields == 1 {
		f.List, f.Err = addr.ParseForeign(f.Value)
	}
	return f
}

// Authors returns the domains of the authors that From names, in A-labels and lower case,
// each once. A result other than "" says why not all authors can be checked: without
// exactly one From field of printable characters nobody knows which author people see, so
// such a message never passes (RFC 9989 4.4, 11.5). What the domains beside it want counts
// all the same: one author that cannot be checked must not hide the others.
func Authors(f *From) ([]string, Result) {
	if f.Fields != 1 {
		return nil, Result{Status: PermError,
			Reason: fmt.Sprintf("%d From fields instead of one", f.Fields)}
	}
	for _, c := range f.Value {
		if addr.IsControl(c) && c != '\t' {
			return nil, Result{Status: PermError, Reason: "From contains a control character"}
		}
	}
	if f.Err != nil {
		return nil, Result{Status: PermError, Reason: "From cannot be read: " + f.Err.Error()}
	}
	var domains []string
	var result Result
	for _, a := range f.List {
		if a.Domain == "" {
			continue // a part of a name with a comma
		}
		name, err := dns.ASCII(a.Domain)
		if err != nil {
			result = Result{Status: PermError, Reason: "From has an address without a domain name"}
			continue
		}
		if !slices.Contains(domains, name) {
			domains = append(domains, name)
		}
	}
	switch {
	case len(domains) == 0 && result.Status == "":
		return nil, Result{Status: Unstated, Reason: "From has no address with a domain"}
	case len(domains) > MaxAuthors:
		// Nobody writes with so many; one of them could be hidden from us.
		return nil, Result{Status: PermError, Apply: Quarantine,
			Reason: fmt.Sprintf("From has addresses of more than %d domains", MaxAuthors)}
	}
	return domains, result
}

// Message judges a message by its authors and the identities that SPF and DKIM looked at.
// With authors of several domains each is judged, all at a time, and the worst result counts:
// a name server that keeps us must not hide what another domain wants.
func Message(ctx context.Context, r Resolver, f *From, identities []Identity) Result {
	domains, result := Authors(f)
	for _, one := range judgeAll(ctx, r, domains, identities) {
		if result.Status == "" || worse(one, result) {
			result = one
		}
	}
	return result
}

func judgeAll(ctx context.Context, r Resolver, domains []string, identities []Identity) []Result {
	list := make([]Result, len(domains))
	if len(domains) == 1 {
		list[0] = Domain(ctx, r, domains[0], identities)
		return list
	}
	var wait sync.WaitGroup
	for i, domain := range domains {
		wait.Go(func() {
			err := status.Guard(func() error {
				list[i] = Domain(ctx, r, domain, identities)
				return nil
			})
			if err != nil {
				list[i] = Result{Domain: domain, Status: TempError, Reason: status.Public(err)}
			}
		})
	}
	wait.Wait()
	return list
}

// worse reports whether a is worse than b for mail with both authors: what one domain
// forbids, the other does not allow, and only if all pass, the message does.
func worse(a, b Result) bool {
	if a.Apply != b.Apply {
		return a.Apply.stricter(b.Apply)
	}
	order := []Status{Pass, Unstated, PermError, TempError, Fail}
	return slices.Index(order, a.Status) > slices.Index(order, b.Status)
}

// Domain judges mail from a domain, given in A-labels and lower case.
func Domain(ctx context.Context, r Resolver, domain string, identities []Identity) Result {
	f := newFinder(r)
	result := Result{Domain: domain}
	found, err := f.find(ctx, domain)
	switch {
	case err != nil:
		result.Status, result.Reason = TempError, "the policy could not be fetched: "+status.Public(err)
		return result
	case found.Record == nil:
		result.Status, result.Reason = Unstated, "no policy is published"
		return result
	case !found.Record.applies():
		result.Status, result.Found = Unstated, found
		result.Reason = "the record at _dmarc." + found.At + " says nothing: " + found.Record.Defect()
		return result
	}
	result.Found = found
	aligned, err := f.aligned(ctx, domain, found.Record, identities)
	switch {
	case err != nil:
		result.Status, result.Reason = TempError, status.Public(err)
	case aligned != nil:
		result.Status, result.Aligned = Pass, aligned
	default:
		result.Status, result.Reason = Fail, failure(domain, identities)
		result.Apply = found.Policy
		if found.Record.Testing {
			result.Apply = found.Policy.Lowered()
		}
	}
	return result
}

// aligned returns an identity that proves that mail is from a domain, nil if there is
// none. An error says that there may be one later. Each identity is compared as it is
// before the DNS is asked where organizations end.
func (f *finder) aligned(ctx context.Context, domain string, r *Record, list []Identity) (*Identity, error) {
	for i, id := range list {
		if id.Pass && id.Domain == domain {
			return &list[i], nil
		}
	}
	var later error
	for i, id := range list {
		if !id.Pass && !id.Temp {
			continue
		}
		same, err := f.same(ctx, domain, id, r)
		switch {
		case err != nil && later == nil:
			later = fmt.Errorf("whether %s is in the same organization: %w", id.Domain, err)
		case err != nil || !same:
		case id.Pass:
			return &list[i], nil
		default: // what a stranger's DNS does not answer does not count: they are not the same
			later = fmt.Errorf("%s of %s could not be checked", id.Method, id.Domain)
		}
	}
	return nil, later
}

// same reports whether an identity is aligned with a domain (RFC 9989 4.4). The
// organizational domain of a name is the name or above it, so a name that is not below
// that of the author needs no query.
func (f *finder) same(ctx context.Context, domain string, id Identity, r *Record) (bool, error) {
	strict := r.ADKIM
	if id.Method == SPF {
		strict = r.ASPF
	}
	if id.Domain == domain || strict || top(id.Domain) != top(domain) {
		return id.Domain == domain, nil
	}
	org, _, err := f.org(ctx, domain)
	if err != nil || id.Domain != org && !below(id.Domain, org) {
		return false, err
	}
	other, _, err := f.org(ctx, id.Domain)
	return err == nil && other == org, err
}

// top returns the last label of a name. Names with different ones have nothing in common.
func top(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// failure says why nothing aligns.
func failure(domain string, list []Identity) string {
	others := ""
	for _, id := range list {
		if id.Pass {
			others += fmt.Sprintf(", %s passed for %.80s", id.Method, id.Domain)
		}
	}
	if others == "" {
		return "neither SPF nor DKIM passed for " + domain
	}
	return "neither SPF nor DKIM passed for " + domain + ": " + others[2:]
}
