// Package dmarc decides whether a message comes from the domain of its author, and what
// that domain wants done if not: RFC 9989, which also reads the records that were written
// for RFC 7489.
//
// The DNS says where an organization ends, found by climbing from a name towards the root
// (the tree walk), so there is no list of public suffixes here that could be out of date.
//
// What strangers send is bounded: the domains of a From field, the queries for each name,
// the size of a record. What only a stranger's DNS could answer decides nothing: a domain
// is asked about only where its answer can align with the author's.
package dmarc

import (
	"context"
	"strings"
)

// Limits.
const (
	MaxAuthors = 8        // domains of a From field that are looked at
	maxQueries = 8        // of a tree walk (RFC 9989 4.10)
	maxRecord  = 16 << 10 // octets of a record
	maxTags    = 100      // of a record
)

// Resolver finds the TXT records of a name, each with its strings joined. Its errors are
// those of package dns: no such domain and no such record are answers, any other error
// says that there was none.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
}

// Policy is what a domain wants done with mail that fails.
type Policy string

// The policies (RFC 9989 4.7).
const (
	None       Policy = "none"
	Quarantine Policy = "quarantine"
	Reject     Policy = "reject"
)

// Lowered returns the policy for a domain that tests its record: one level below (t=y).
func (p Policy) Lowered() Policy {
	if p == Reject {
		return Quarantine
	}
	return None
}

// stricter orders policies; "" is below none.
func (p Policy) stricter(q Policy) bool { return p.rank() > q.rank() }

func (p Policy) rank() int {
	switch p {
	case None:
		return 1
	case Quarantine:
		return 2
	case Reject:
		return 3
	}
	return 0
}

// Status is the result, in the words of RFC 8601 2.7.
type Status string

// The results.
const (
	Pass      Status = "pass"      // an identity that aligns with the author's domain was proven
	Fail      Status = "fail"      // none was
	Unstated  Status = "none"      // no record applies
	TempError Status = "temperror" // the DNS did not answer
	PermError Status = "permerror" // From names no author that could be checked
)

// Method is what proved an identity.
type Method string

// The methods (RFC 9989 4.3).
const (
	SPF  Method = "spf"
	DKIM Method = "dkim"
)

// Identity is a domain that SPF or DKIM looked at.
type Identity struct {
	Method Method
	Domain string // in A-labels and lower case
	Pass   bool
	Temp   bool // it did not pass, but might later: the DNS did not answer
}

// Result is what became of a message, or of one of its authors.
type Result struct {
	Status  Status
	Reason  string // for people; "" for a pass
	Domain  string // of the author, in A-labels and lower case; "" where there is none
	Found   Found  // the record that applies; its Record is nil where there is none
	Aligned *Identity
	// Apply is what the domain asks for: the policy of the record, one level lower where it
	// is being tested. It is "" if the message does not fail.
	Apply Policy
}

// below reports whether name is a subdomain of domain.
func below(name, domain string) bool { return strings.HasSuffix(name, "."+domain) }
