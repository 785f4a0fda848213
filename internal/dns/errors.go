package dns

import (
	"errors"
	"fmt"
)

// The kinds of errors: errors.Is finds one of them in every error of this package.
var (
	ErrNoDomain  = errors.New("no such domain")                // NXDOMAIN: a positive answer
	ErrNoData    = errors.New("no record of this type")        // NODATA: the name exists, a positive answer
	ErrBadName   = errors.New("not a domain name")             // no query was sent
	ErrTemporary = errors.New("no answer from the DNS so far") // SERVFAIL, REFUSED, timeout, a failure here
)

// Error says which lookup failed, and why.
type Error struct {
	Kind error  // one of the errors above
	Name string // printable
	Type string // MX, A, ...
	Err  error  // what happened, for people; may be nil

	Secure bool // of ErrNoDomain and ErrNoData: as of an Answer
}

// Error returns one line for people.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("DNS %s %s: %v", e.Type, e.Name, e.Kind)
	}
	return fmt.Sprintf("DNS %s %s: %v", e.Type, e.Name, e.Err)
}

// Public is Error for people elsewhere: without the servers that were asked, and what
// happened to our queries (status.Public).
func (e *Error) Public() string {
	if e.Kind != ErrTemporary {
		return e.Error()
	}
	return fmt.Sprintf("DNS %s %s: no answer", e.Type, e.Name)
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
