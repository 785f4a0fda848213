// Package milter asks other people's mail filters, which speak Sendmail's milter protocol
// (version 6, or 2 for old ones), what they think of a session and of its messages, and
// carries out what they want changed.
//
// The packets are those of emersion/go-milter's client. What that leaves to its caller is
// here: the guard below it bounds every packet, every wait and the whole of an answer,
// understands what the client does not (skip, shutdown, connection failure), and takes a
// new body without keeping it in memory.
package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-milter"
)

// Filter is a milter, and how long to wait for it.
type Filter struct {
	Name    string
	Network string // tcp or unix
	Address string

	Connect time.Duration // for the connection
	Send    time.Duration // for each packet to be taken
	Read    time.Duration // for each answer; news of progress begins it anew
	End     time.Duration // for the answer at the end of a message, and for any answer with its progress

	MaxBody int64 // octets of a new body
	Scratch func() Scratch
}

// The times of a Filter that says nothing else. A client waits ten minutes after the end
// of its message (RFC 5321 4.5.3.2.6).
const (
	DefaultConnect = 10 * time.Second
	DefaultSend    = 30 * time.Second
	DefaultRead    = 30 * time.Second
	DefaultEnd     = 5 * time.Minute
)

// Body is the text of a message with LF line ends, header included.
type Body interface {
	io.ReaderAt
	Size() int64 // octets
}

// Scratch takes a new body. Whoever gets it closes it.
type Scratch interface {
	Body
	io.Writer
	io.Closer
}

// What we let a milter do, and not do. Recipients with parameters are not among it, nor
// is a list of macros: it gets all that we know.
const (
	actions = milter.OptAddHeader | milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt |
		milter.OptChangeHeader | milter.OptQuarantine | milter.OptChangeFrom
	protocol = milter.OptNoConnect | milter.OptNoHelo | milter.OptNoMailFrom | milter.OptNoRcptTo |
		milter.OptNoBody | milter.OptNoHeaders | milter.OptNoEOH | milter.OptNoUnknown | milter.OptNoData |
		milter.OptSkip | milter.OptNoHeaderReply | milter.OptNoConnReply | milter.OptNoHeloReply |
		milter.OptNoMailReply | milter.OptNoRcptReply | milter.OptNoDataReply | milter.OptNoUnknownReply |
		milter.OptNoEOHReply | milter.OptNoBodyReply | milter.OptHeaderLeadingSpace

	// The same for a milter of version 2.
	oldActions  = actions & 0x3f
	oldProtocol = protocol & 0x7f
)

// Away says that a milter gave no answer: it cannot be reached, was too slow, or does not
// keep to the protocol. What that means for the mail is for its caller to decide.
type Away struct {
	Filter string
	Stage  Stage
	Err    error
}

func (a *Away) Error() string {
	return fmt.Sprintf("filter %s gives no answer at %s: %v", a.Filter, a.Stage, a.Err)
}

// Unwrap returns the cause.
func (a *Away) Unwrap() error { return a.Err }

// Session is one connection to a milter, for one SMTP session. Its calls come in the
// order of SMTP, one at a time. After an error it answers nothing but that error.
type Session struct {
	filter Filter
	guard  *guard
	client *milter.ClientSession
	state  state
	final  Answer // what it has decided, where it wants to see no more
	failed error
	sent   envelope // of the message under way, as the milter knows it
}

// state is how much a milter still wants to see.
type state int

const (
	wantsAll   state = iota
	notMessage       // it has decided about this message
	notSession       // it has decided about the whole session
)

// Dial connects to the milter and agrees with it about what it sees and may do.
func Dial(ctx context.Context, f Filter) (*Session, error) {
	s, err := dial(ctx, f, actions, protocol)
	if errors.Is(err, milter.ErrUnsupportedMilterVersion) {
		s, err = dial(ctx, f, oldActions, oldProtocol)
	}
	if err != nil {
		return nil, &Away{f.Name, AtConnect, err}
	}
	return s, nil
}

func dial(ctx context.Context, f Filter, may milter.OptAction, can milter.OptProtocol) (*Session, error) {
	dialer := net.Dialer{Timeout: f.Connect}
	conn, err := dialer.DialContext(ctx, f.Network, f.Address)
	if err != nil {
		return nil, err
	}
	return agree(ctx, f, conn, may, can)
}

// agree negotiates on a connection.
func agree(ctx context.Context, f Filter, conn net.Conn, may milter.OptAction, can milter.OptProtocol) (*Session, error) {
	g := &guard{Conn: conn, filter: f, may: may, can: can}
	defer g.begin(ctx, AtConnect)()
	c := milter.NewClientWithOptions(f.Network, f.Address, milter.ClientOptions{Dialer: ready{g},
		ReadTimeout: f.Read, WriteTimeout: f.Send, ActionMask: may, ProtocolMask: can})
	client, err := c.Session()
	if err != nil {
		conn.Close() // the client leaves it open
		return nil, err
	}
	return &Session{filter: f, guard: g, client: client}, nil
}

// ready gives the client a connection that exists.
type ready struct{ conn net.Conn }

func (r ready) Dial(string, string) (net.Conn, error) { return r.conn, nil }

// Close ends the connection. A message under way is aborted.
func (s *Session) Close() {
	if s.failed == nil {
		_ = s.client.Close() // it says goodbye; the connection ends in any case
	}
	s.guard.Conn.Close()
}

// Abort ends a message that came to no end. The session goes on.
func (s *Session) Abort(ctx context.Context) error {
	if s.failed == nil && s.sent.open {
		defer s.guard.begin(ctx, AtEnd)()
		if err := s.client.Abort(); err != nil {
			s.failed = &Away{s.filter.Name, AtEnd, err}
		}
	}
	s.endMessage()
	return s.failed
}

// endMessage forgets what concerned one message.
func (s *Session) endMessage() {
	s.sent = envelope{}
	if s.state == notMessage {
		s.state, s.final = wantsAll, Answer{}
	}
}

// ask sends one command and its macros, and returns the answer.
func (s *Session) ask(ctx context.Context, at Stage, m macros, send func() (*milter.Action, error)) (Answer, error) {
	switch {
	case s.failed != nil:
		return Answer{}, s.failed
	case s.state != wantsAll:
		return s.final, nil
	}
	defer s.guard.begin(ctx, at)()
	act, err := s.macrosAnd(at, m, send)
	if err == nil {
		var a Answer
		if a, err = answerOf(act); err == nil {
			s.note(at, a)
			return a, nil
		}
	}
	return s.broken(ctx, at, err)
}

func (s *Session) macrosAnd(at Stage, m macros, send func() (*milter.Action, error)) (*milter.Action, error) {
	if err := s.tell(at, m); err != nil {
		return nil, err
	}
	return send()
}

// tell sends the macros of a stage.
func (s *Session) tell(at Stage, m macros) error {
	if len(m) == 0 {
		return nil
	}
	return s.client.Macros(at.code(), m...)
}

// broken ends a session whose milter did not answer. If it wants us to close our own
// session, that is an answer, and the last one.
func (s *Session) broken(ctx context.Context, at Stage, err error) (Answer, error) {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	var local *ownFault
	if errors.As(err, &local) {
		s.failed = local.err
		return Answer{}, s.failed
	}
	s.failed = &Away{s.filter.Name, at, err}
	if errors.Is(err, errShutdown) {
		return Answer{Kind: Shutdown}, nil
	}
	return Answer{}, s.failed
}

// note remembers what an answer means for the stages that follow. What refuses, refuses
// those too; a recipient is refused alone.
func (s *Session) note(at Stage, a Answer) {
	if a.Kind == Continue || at == AtRecipient && a.Err() != nil {
		return
	}
	s.state = notMessage
	if at < AtSender {
		s.state = notSession
	}
	if a.Kind != Accept {
		s.final = a
	}
	s.sent.open = false // the milter has forgotten the message
}
