package submit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// missive is a message of a local submitter on its way into the spool. What it
// lacks is completed here alone, by whoever has the message first: the
// sendmail face, or the server of run/submit for a client that speaks SMTP to
// it.
type missive struct {
	host, domain string // ours; the domain of addresses without one
	now          time.Time
	read         headerReader

	persona persona
	from    spool.Path
	to      []spool.Recipient
	seen    map[string]bool // keys of to
	notify  string          // parameters of each recipient
	listed  bool            // -t: the header names recipients too
	verp    string          // delimiters of a variable envelope return path; "" is a plain one
}

// complete returns the message as it shall lie in the spool. With -t it adds
// the recipients that the header names.
func (l *missive) complete(buf spool.Body) (*message.Header, spool.Body, error) {
	c := composer{host: l.host, domain: l.domain, now: l.now}
	h, err := c.header(l.read, buf)
	if err != nil {
		return nil, nil, err
	}
	if l.listed {
		if err := l.list(h); err != nil {
			return nil, nil, err
		}
	}
	if len(l.to) == 0 {
		return nil, nil, status.UsageError("no recipients in To, Cc or Bcc")
	}
	c.forged(h)
	if err := c.finish(h, buf, l.persona); err != nil {
		return nil, nil, err
	}
	return h, c.body(buf), nil
}

// list adds the recipients that the header names; those of a message that was
// sent again stand in its topmost block (RFC 5322 3.6.6).
func (l *missive) list(h *message.Header) error {
	fields, prefix := h.Fields, ""
	if block := resent(h); len(block) > 0 {
		fields, prefix = block, "resent-"
	}
	for _, f := range fields {
		name, ours := strings.CutPrefix(addr.Fold(f.Name), prefix)
		if !ours || name != "to" && name != "cc" && name != "bcc" {
			continue
		}
		list, err := addr.ParseList(f.Value)
		if err != nil {
			return status.Refuse("5.1.3", fmt.Sprintf("%s: %v", f.Name, err))
		}
		l.add(list)
	}
	return nil
}

// add adds recipients, each once.
func (l *missive) add(list []addr.Address) {
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	for _, a := range list {
		a = qualified(a, l.domain)
		if key := a.Key(); !l.seen[key] {
			l.seen[key] = true
			l.to = append(l.to, spool.Recipient{Addr: a.String(), Params: l.notify})
		}
	}
}

// counter is where letters of local submitters are taken into the spool.
type counter struct {
	control *control.Control
	log     *maillog.Log
	spool   *spool.Spool
	host    string
}

func newCounter(h *home.Home) (*counter, error) {
	sp, err := h.Spool()
	if err != nil {
		return nil, err
	}
	host, err := h.Control.Hostname()
	return &counter{control: h.Control, log: h.Log, spool: sp, host: host}, err
}

// header reads a header within the limits in force.
func (c *counter) header(body spool.Body) (*message.Header, error) {
	return check.ReadHeader(c.control, body)
}

// sender holds the reverse path against what the caller may use.
func (c *counter) sender(who check.Submitter, from addr.Address) error {
	return check.Sender(c.control, who, from, nil, nil)
}

// take completes a letter and stores it in check/: as one entry, or with VERP
// as one a recipient. Nil says that all are durable there.
func (c *counter) take(l *missive, who caller, helo string, buf spool.Body) (keys []string, err error) {
	h, body, err := l.complete(buf)
	if err != nil {
		return nil, err
	}
	if err := check.Claims(c.control, who.submitter(), h, l.domain, nil, nil); err != nil {
		return nil, err
	}
	most, err := c.control.Limit("recipients")
	if err != nil {
		return nil, err
	}
	if int64(len(l.to)) > most {
		return nil, tooMany(strconv.FormatInt(most, 10) + " recipients")
	}
	for _, env := range l.envelopes() {
		trace := spool.Trace{By: c.host, With: spool.WithLocal}
		key, err := c.spool.Accept(spool.Check, env, nil, trace, body)
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(key))
		c.log.Accepted(string(key), string(spool.Check), env.From.Addr, addresses(env), body.Size(), trace.With,
			h.Value("Message-ID"), who.client(helo))
	}
	return keys, nil
}

func tooMany(what string) error { return status.Refuse("5.5.3", "more than "+what) }
