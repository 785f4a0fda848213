package submit

import (
	"strconv"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/compose"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/sendmail"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// acceptor stores the messages of local users in the spool.
type acceptor struct {
	control *control.Control
	log     *maillog.Log
	spool   *spool.Spool
	host    string
	taps    taps
}

func newAcceptor(h *home.Home) (*acceptor, error) {
	sp, err := h.Spool()
	if err != nil {
		return nil, err
	}
	host, err := h.Control.Hostname()
	return &acceptor{control: h.Control, log: h.Log, spool: sp, host: host, taps: taps{h.Control, h.Copied(), h.Clock.Now}}, err
}

// readHeader reads a header within the limits in force.
func (a *acceptor) readHeader(body compose.Body) (*message.Header, error) {
	return check.ReadHeader(a.control, body)
}

// checkSender refuses a reverse path that the user may not use.
func (a *acceptor) checkSender(who check.Submitter, from addr.Address) error {
	return check.Sender(a.control, who, from, nil, nil)
}

// accept completes a message and stores it in check/: as one entry, or with
// VERP as one entry per recipient. Without an error all of them are durable.
func (a *acceptor) accept(m *sendmail.Submission, who localUser, helo string, buf spool.Body) ([]string, error) {
	m.Rewrite = rewriter(a.control)
	h, body, err := m.Complete(buf)
	if err != nil {
		return nil, err
	}
	if err := check.Claims(a.control, who.submitter(), h, m.Domain, nil, nil); err != nil {
		return nil, err
	}
	most, err := a.control.Limit("recipients")
	if err != nil {
		return nil, err
	}
	if int64(len(m.To)) > most {
		return nil, tooMany(strconv.FormatInt(most, 10) + " recipients")
	}
	path, err := rewrittenPath(a.control, spool.Path(m.From), nil)
	if err != nil {
		return nil, err
	}
	m.From = sendmail.Path(path)
	if from, err := addr.Parse(m.From.Addr); err == nil {
		m.Identity.Sender = from // that of VERP
	}
	var keys []string
	for i, one := range m.Envelopes() {
		env := envelope(one)
		noted := func() {}
		if i == 0 { // one copy, however many envelopes VERP makes
			if env, noted, err = a.taps.withCopies(env, h, body); err != nil {
				return nil, err
			}
		}
		trace := spool.Trace{By: a.host, With: spool.WithLocal}
		key, err := a.spool.Accept(spool.InboxCheck, env, nil, trace, body)
		if err != nil {
			return nil, err
		}
		noted()
		keys = append(keys, string(key))
		a.log.Accepted(maillog.Message{Key: string(key), Inbox: string(spool.InboxCheck), From: env.From.Addr,
			To: addresses(env), Size: body.Size(), With: trace.With, ID: h.Value("Message-ID")}, who.client(helo))
	}
	return keys, nil
}

func tooMany(what string) error { return status.Refuse("5.5.3", "more than "+what) }

// envelope is an envelope as the spool has it.
func envelope(e sendmail.Envelope) spool.Envelope {
	env := spool.Envelope{From: spool.Path(e.From)}
	for _, r := range e.To {
		env.To = append(env.To, spool.Recipient{Addr: r.Addr, Params: r.Params})
	}
	return env
}
