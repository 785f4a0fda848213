package check

import (
	"context"
	"slices"
	"sync"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Checker checks messages; a process has one.
type Checker struct {
	Control *control.Control
	Host    string // our name, as results say it
	DNS     Resolver
	Now     func() time.Time
	Log     *maillog.Log
	Buffer  func() *message.Buffer // for what filters send
	Filters *FilterTape            // records or replays what other people's filters find; nil: neither

	slots slots
	keys  dkim.Keys
	rows  func() []row // nil: rows, but for tests

	toldMu sync.Mutex
	told   map[string]time.Time
}

// seldom implements Query.Seldom. An op holds nothing from outside.
func (k *Checker) seldom(op string, event func(*maillog.Log)) {
	k.toldMu.Lock()
	defer k.toldMu.Unlock()
	now := k.Now()
	if last, ok := k.told[op]; ok && now.Sub(last) < time.Hour && !now.Before(last) {
		return
	}
	if k.told == nil {
		k.told = map[string]time.Time{}
	}
	k.told[op] = now
	event(k.Log)
}

// Session is what the checks know of one SMTP session. Its methods are not called
// concurrently.
type Session struct {
	*Checker
	Control *control.Control // as this session sees the settings

	open     bool // what follows is there
	settings control.Checks
	err      error           // of the settings
	wanted   control.Results // of the message
	list     []asked
	at       *Case   // the transaction
	early    []Found // at MAIL and RCPT
	beside   sync.WaitGroup
	spare    []inquiry
}

// asked is a check of the session.
type asked struct {
	Check
	row
}

// Session begins a session. Close ends it. Its settings are those in force when they are
// needed first: a client that only waits costs no memory for them.
func (k *Checker) Session() *Session { return k.SessionIn(k.Control) }

// SessionIn is Session with a view of the settings of its own.
func (k *Checker) SessionIn(c *control.Control) *Session { return &Session{Checker: k, Control: c} }

// ready makes the checks of the session.
func (s *Session) ready() {
	if s.open {
		return
	}
	s.open = true
	s.settings, s.err = s.Control.Checks()
	all := rows
	if s.rows != nil {
		all = s.rows
	}
	list := all()
	s.list = make([]asked, 0, len(list)+2)
	for _, r := range list {
		s.list = append(s.list, asked{r.make(), r})
	}
	for _, c := range s.filters() {
		s.list = append(s.list, asked{c, row{phase: phaseFilters}})
	}
}

// asksEarly reports whether anything is to be asked before there is a transaction.
func (s *Session) asksEarly() bool {
	if s.rows != nil {
		return true
	}
	list, err := s.Control.Filters()
	return err == nil && slices.ContainsFunc(list, func(f control.Filter) bool { return f.Kind == control.FilterMilter })
}

// Connect begins the session for the filters: sub is what is known of the client. An error
// refuses it.
func (s *Session) Connect(ctx context.Context, sub Subject) error {
	return s.outside(ctx, sub, func(c Check) askFunc {
		if x, ok := c.(ConnectCheck); ok {
			return x.Connect
		}
		return nil
	})
}

// Helo tells them the client's greeting. An error refuses it.
func (s *Session) Helo(ctx context.Context, sub Subject) error {
	return s.outside(ctx, sub, func(c Check) askFunc {
		if x, ok := c.(HeloCheck); ok {
			return x.Helo
		}
		return nil
	})
}

// outside asks before there is a transaction.
func (s *Session) outside(ctx context.Context, sub Subject, pick func(Check) askFunc) error {
	s.Reset()
	if !s.open && !s.asksEarly() {
		return nil
	}
	s.begin(sub)
	defer func() { s.at, s.early = nil, nil }()
	if f := s.soon(ctx, pick, false); f != nil {
		return f.reply()
	}
	return nil
}

// Mail begins a transaction: sub is what is known at MAIL. An error refuses or defers it.
func (s *Session) Mail(ctx context.Context, sub Subject) error {
	s.Reset()
	s.begin(sub)
	if s.err != nil {
		return s.err
	}
	if f := s.atMail(ctx, false); f != nil {
		return f.reply()
	}
	return nil
}

// Rcpt adds a recipient. An error refuses or defers it alone.
func (s *Session) Rcpt(ctx context.Context, to spool.Recipient) error {
	if s.at == nil {
		return nil
	}
	f := s.soon(ctx, func(c Check) askFunc {
		r, ok := c.(RcptCheck)
		if !ok {
			return nil
		}
		return func(ctx context.Context, m *Case, q Query) Finding { return r.Rcpt(ctx, m, to, q) }
	}, false)
	if f != nil {
		return f.reply()
	}
	s.at.Envelope.To = append(s.at.Envelope.To, to)
	return nil
}

// Message judges a message: sub is all that is known of it, whether or not Mail and Rcpt
// came before. t may be nil.
func (s *Session) Message(ctx context.Context, sub Subject, t *explain.Trail) Verdict {
	if s.at == nil {
		s.begin(sub)
	}
	s.at.Subject = sub
	return s.judge(ctx, t, phaseFormat, phaseIdentity, phasePolicy, phaseFilters)
}

// Reset ends the transaction.
func (s *Session) Reset() {
	if s.at == nil {
		return
	}
	for _, c := range s.list {
		if r, ok := c.Check.(Resetter); ok {
			r.Reset()
		}
	}
	s.at, s.early, s.spare = nil, nil, nil
}

// Close ends the session.
func (s *Session) Close() {
	s.Reset()
	for _, c := range s.list {
		if r, ok := c.Check.(Closer); ok {
			r.Close()
		}
	}
}

// Message judges one message without a session of its own: what a session would say at MAIL
// counts here too.
func (k *Checker) Message(ctx context.Context, sub Subject, t *explain.Trail) Verdict {
	s := k.Session()
	defer s.Close()
	return s.Whole(ctx, sub, t)
}

// Whole judges a message for which neither Mail nor Rcpt was called. What filters changed is
// read until the session ends.
func (s *Session) Whole(ctx context.Context, sub Subject, t *explain.Trail) Verdict {
	s.begin(sub)
	if s.err == nil {
		if f := s.atMail(ctx, t != nil); f != nil {
			return s.verdict(append(s.early, *f), t)
		}
	}
	return s.Message(ctx, sub, t)
}

// Record writes the event of a verdict to a log. key is "" where there is no entry.
func (k *Checker) Record(log *maillog.Log, key string, v Verdict, c maillog.Client) {
	log.Checked(key, v.Event(), c)
	for _, f := range v.Found {
		if status.Stack(f.Err) != "" { // a defect of ours, whatever became of the message
			log.Trouble(key, "check "+f.Name, f.Err)
		}
	}
}

func (s *Session) begin(sub Subject) {
	s.ready()
	s.at = &Case{Subject: sub, Control: s.Control, Now: s.Now, Host: s.Host, Log: s.Log,
		buffer: s.Buffer, slots: &s.slots, keys: &s.keys}
}
