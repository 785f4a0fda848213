// Package check judges messages: in the SMTP session, where a refusal needs no
// bounce, and in mailcheck. Its decisions depend only on the message, the envelope,
// the settings, and what the DNS says.
//
// A check is a small type in a file of its own; it is a row of rows, and of checkKinds in
// internal/control, which says what becomes of a message for which it fails.
package check

import (
	"context"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Check is one question about a message. There is one of each for every session, so it may
// keep what belongs to a session. Whatever it does ends with the context.
type Check interface {
	// Name is its row in control/checks, and its name in events and explanations.
	Name() string
	// Ask answers for a whole message. Checks of one phase may be asked at the same time:
	// each writes only its own fields of the case.
	Ask(ctx context.Context, m *Case, q Query) Finding
}

// ConnectCheck is a check that can say something when the client connects.
type ConnectCheck interface {
	Check
	Connect(ctx context.Context, m *Case, q Query) Finding
}

// HeloCheck is a check that can say something at HELO or EHLO.
type HeloCheck interface {
	Check
	Helo(ctx context.Context, m *Case, q Query) Finding
}

// MailCheck is a check that can say something at MAIL already.
type MailCheck interface {
	Check
	Mail(ctx context.Context, m *Case, q Query) Finding
}

// RcptCheck is a check that can say something about a recipient at RCPT already.
type RcptCheck interface {
	Check
	Rcpt(ctx context.Context, m *Case, to spool.Recipient, q Query) Finding
}

// Resetter is a check that has to know that a transaction is over, with or without a
// message.
type Resetter interface{ Reset() }

// Closer is a check that has to know that the session is over.
type Closer interface{ Close() }

// Finding is the answer of a check.
type Finding struct {
	Result string // in a word: pass, fail, softfail, none, ...; "": pass, or fail if it fails
	Reason string // why, a line for people; it may hold text from outside
	Fails  bool   // the action of the row counts

	// Row is the row of control/checks whose action counts; "": that of the check.
	Row string
	// Answer is what others want to become of the message where the row says answer.
	Answer control.CheckAction
	// Err is the reply for a message that is refused or deferred, or, if the check does not
	// fail, why it could not be made: then it is temporary.
	Err error
	// Unsure is why a settings file that cannot be read may forgive the failure; a refusal
	// is put off then.
	Unsure error
	// Methods are for Authentication-Results, also where nothing fails.
	Methods []authres.Method
	// Changed is how a filter changed the message; nil: it did not.
	Changed *Change
}

// Change is a message as a filter has changed it.
type Change struct {
	Body     spool.Body
	Envelope spool.Envelope
}

// passes is the finding of a check that has nothing against the message.
func passes(result string) Finding { return Finding{Result: result} }

// failed is the finding of a check for which err says it all: nil passes, a temporary
// error is trouble, and anything else fails with this reply.
func failed(err error) Finding {
	switch {
	case err == nil:
		return Finding{}
	case status.IsTemporary(err):
		return Finding{Err: err}
	}
	return Finding{Fails: true, Reason: status.Public(err), Err: err}
}

// phase is when a check is asked. A message that a phase refuses, defers or discards is not
// asked about in the next one.
type phase int

const (
	phaseFormat   phase = iota // one after another; the first that ends it decides
	phaseIdentity              // who sent it: side by side, within the time of the longest
	phasePolicy                // what follows from that, one after another
	phaseFilters               // other people's filters, one after another
)

// row is a check and when it is asked.
type row struct {
	make      func() Check
	phase     phase
	strangers bool // only about mail of strangers: it waits for the DNS, and for nothing else
}

// rows returns all checks, in their order.
func rows() []row {
	return []row{
		{func() Check { return sizeCheck{} }, phaseFormat, false},
		{func() Check { return headerCheck{} }, phaseFormat, false},
		{func() Check { return fromCheck{} }, phaseFormat, false},
		{func() Check { return hopsCheck{} }, phaseFormat, false},
		{func() Check { return loopCheck{} }, phaseFormat, false},
		{func() Check { return senderCheck{} }, phaseFormat, false},
		{func() Check { return userCheck{} }, phaseFormat, false},
		{func() Check { return fieldsCheck{} }, phaseFormat, false},
		{func() Check { return dateCheck{} }, phaseFormat, false},
		{func() Check { return messageIDCheck{} }, phaseFormat, false},
		{func() Check { return linesCheck{} }, phaseFormat, false},
		{func() Check { return nulCheck{} }, phaseFormat, false},
		{func() Check { return structureCheck{} }, phaseFormat, false},
		{func() Check { return dnsblCheck{} }, phaseIdentity, true},
		{func() Check { return &iprevCheck{} }, phaseIdentity, true},
		{func() Check { return heloCheck{} }, phaseIdentity, true},
		{func() Check { return nullMXCheck{} }, phaseIdentity, true},
		{func() Check { return &spfCheck{} }, phaseIdentity, true},
		{func() Check { return dkimCheck{} }, phaseIdentity, true},
		{func() Check { return dmarcCheck{} }, phasePolicy, true},
		{func() Check { return ownDomainCheck{} }, phasePolicy, true},
		{func() Check { return mimeCheck{} }, phasePolicy, false},
		{func() Check { return holdRulesCheck{} }, phasePolicy, false},
	}
}
