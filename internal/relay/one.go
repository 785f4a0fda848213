package relay

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Answer is what became of a recipient of One.
type Answer struct {
	To    string
	Host  string // that spoke last, "" if none did
	Words string // its last reply about the recipient
	Err   error  // nil: it has accepted the message
}

// One sends the message that in holds, with LF or CRLF line ends, and calls report for
// each recipient. The class of the returned error is the worst of theirs; it has no text
// then.
func (r *Relay) One(ctx context.Context, in io.Reader, from string, to []string, report func(Answer)) error {
	m, err := envelopeOf(from, to)
	if err != nil {
		return err
	}
	f, err := r.store(in)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return status.Temp("4.3.0", "cannot store the message", err)
	}
	m.Asked = time.Now() // now, whoever rests
	m.Content = io.NewSectionReader(f, 0, st.Size())
	answers := r.oneTo(ctx, m)
	var worst error
	for _, a := range answers {
		if report(a); a.Err != nil {
			worst = status.Worse(worst, &status.Error{Exit: status.Exit(a.Err)})
		}
	}
	return worst
}

// oneTo sends m to all its recipients.
func (r *Relay) oneTo(ctx context.Context, m *Message) []Answer {
	answers := make([]Answer, len(m.To))
	todo := make([]int, len(m.To))
	for i, to := range m.To {
		answers[i].To, todo[i] = to.Addr, i
	}
	var mu sync.Mutex
	m.Done = func(taken []int, by maillog.Remote, reply string) {
		mu.Lock()
		defer mu.Unlock()
		for _, i := range taken {
			answers[i].Host, answers[i].Words = by.Host, reply
			r.Log.Relayed("", m.To[i].Addr, by, reply)
		}
	}
	for _, res := range r.Send(ctx, m, todo) {
		a := &answers[res.Index]
		if a.Err = res.Err; a.Err == nil {
			continue
		}
		a.Host, a.Words = res.RemoteMTA, res.Diagnostic
		if !status.IsTemporary(a.Err) {
			r.Log.Failed("", a.To, status.Enhanced(a.Err), a.Err.Error())
		}
	}
	return answers
}

// envelopeOf returns a message with the envelope of a command line.
func envelopeOf(from string, to []string) (*Message, error) {
	if from == "<>" {
		from = ""
	}
	if _, err := addr.Parse(from); err != nil && from != "" {
		return nil, status.UsageError("--from: %v", err)
	}
	// A person asks for it now, so no rest of a host keeps it back.
	m := &Message{From: spool.Path{Addr: from}, Ours: true, Asked: time.Now()}
	for _, address := range to {
		if _, err := addr.Parse(address); err != nil {
			return nil, status.UsageError("%v", err)
		}
		m.To = append(m.To, spool.Recipient{Addr: address})
	}
	return m, nil
}

// store copies the message into a file without a name, since it may be read for more
// than one host. A message larger than control/databytes is refused.
func (r *Relay) store(in io.Reader) (*os.File, error) {
	limit, err := r.Control.Databytes()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "mailrelay-")
	if err != nil {
		return nil, status.Temp("4.3.1", "cannot store the message", err)
	}
	os.Remove(f.Name())
	n, err := io.Copy(f, io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		err = status.Temp("4.3.1", "cannot store the message", err)
	case n == 0:
		err = status.Refuse("5.6.0", "no message on standard input")
	case n > limit:
		err = status.TooLarge(limit)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ParseVia reads the targets of --via: HOST, HOST:PORT, [IP] or what a row of
// control/routes may name.
func ParseVia(s string) (*control.Route, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		s = "[" + ip.String() + "]"
	}
	r, err := control.ParseRoute("--via", s)
	if err == nil && !r.Targets[0].Peer() {
		err = fmt.Errorf("%q is not a host", s)
	}
	return r, err
}
