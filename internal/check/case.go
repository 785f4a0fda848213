package check

import (
	"context"
	"net/netip"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/dmarc"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/iprev"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/spf"
	"paperpath/internal/spool"
)

// Subject is what is judged.
type Subject struct {
	Envelope  spool.Envelope
	With      string     // the protocol by which it came
	SMTPPeer  bool       // it came from another host by SMTP or LMTP without a login
	Trusted   bool       // from a host that may relay without a login
	Client    netip.Addr // of the session; the zero value where there is none
	Helo      string
	Declared  int64                                      // octets, by SIZE of MAIL; 0: it does not say
	Login     string                                     // of an authenticated submitter
	LocalUser string                                     // login name of a local submitter, known by their uid
	LocalUID  string                                     // the uid
	Resolve   func(addr.Address) ([]addr.Address, error) // what a local address leads to; nil where that is not known
	Body      spool.Body                                 // the message as it came
	Facts     func(context.Context) Facts                // for milters; nil: nothing is known
	Received  string                                     // our own field, as the entry has it or will have it; "": none yet
	Key       string                                     // that the entry has, or will have if the message is accepted; "": none
	Claims    *Claimed                                   // what a submitter said they were; nil: as the envelope and the message say
}

// Claimed is who a submitter says they are, in the words that they used: the message may have
// other addresses in their place, by control/rewrite.
type Claimed struct {
	From   string          // the reverse path
	Header *message.Header // as it came
	Domain string          // of addresses that have none
}

// claims returns what the submitter of the message says.
func (m *Case) claims() Claimed {
	if m.Claims != nil {
		return *m.Claims
	}
	return Claimed{From: m.Envelope.From.Addr, Header: m.Header}
}

// submitted reports whether one of our users sent it, so that we are responsible for
// the author that it names.
func (s Subject) submitted() bool {
	return s.submitter().known() || s.With == spool.WithLocal
}

func (s Subject) submitter() Submitter {
	return Submitter{Login: s.Login, User: s.LocalUser, UID: s.LocalUID}
}

// stranger reports whether another machine sent it that is not ours: who sent it is then a
// question. Whatever comes by a pipe, a Unix socket or loopback comes from this machine.
func (s Subject) stranger() bool {
	return s.SMTPPeer && !s.Trusted && s.Client.IsValid() && !s.Client.IsLoopback()
}

// Case is a transaction of a session: what is known about the message so far. At MAIL and
// RCPT there is no Body yet. A check may write a field of its own, which those of later
// phases read.
type Case struct {
	Subject
	Header    *message.Header // as far as it was read; not at MAIL and RCPT
	HeaderErr error           // why it was not read to its end

	Methods []authres.Method // what the checks before found, for our results

	Control *control.Control
	Now     func() time.Time
	Host    string // our name, as results and reports say it

	Log *maillog.Log

	buffer func() *message.Buffer // for a body that a filter sends
	slots  *slots
	keys   *dkim.Keys

	original *Change  // before the filters changed it; nil: they did not
	results  []string // our fields, as far as the checks before the filters know them

	text *text       // see textOf
	mime *mime       // see mimeOf
	from *dmarc.From // see fromOf

	// What the checks of who sent it found, for those of later phases: nil or empty where a
	// check was not made, or not to its end.
	IPRev   *iprev.Result
	SPF     *spf.Result // of the reverse path, or of HELO where that is null
	HeloSPF *spf.Result // nil for a null reverse path
	DKIM    []dkim.Result
	DMARC   *dmarc.Result

	dkimDone bool
}

// Query is what one check has for its answer.
type Query struct {
	Row   control.CheckRow
	DNS   Resolver
	Trail *explain.Trail // for what it read and what follows from it; may be nil

	// Seldom tells the administrator something that every message would repeat: at most
	// once an hour for each op. It is nil where there is no log.
	Seldom func(op string, event func(*maillog.Log))
}

// Resolver asks the DNS; dns.Resolver is one.
type Resolver interface {
	A(ctx context.Context, name string) ([]netip.Addr, error)
	TXT(ctx context.Context, name string) ([]string, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
	MX(ctx context.Context, domain string) ([]dns.MX, error)
}
