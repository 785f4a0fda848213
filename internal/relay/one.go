package relay

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// One sends the message that in holds, with LF or CRLF line ends, and calls report for
// each recipient that failed. The class of the returned error is the worst of theirs; it
// has no text then.
func (r *Relay) One(ctx context.Context, in io.Reader, from string, to []string,
	report func(address string, err error)) error {
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
	m.Content = io.NewSectionReader(f, 0, st.Size())
	m.Done = func(taken []int, by maillog.Remote, reply string) {
		for _, i := range taken {
			r.Log.Relayed("", to[i], by, reply)
		}
	}
	todo := make([]int, len(to))
	for i := range to {
		todo[i] = i
	}
	var worst error
	for _, res := range r.Send(ctx, m, todo) {
		if res.Err == nil {
			continue
		}
		if !status.IsTemporary(res.Err) {
			r.Log.Failed("", to[res.Index], status.Enhanced(res.Err), res.Err.Error())
		}
		report(to[res.Index], res.Err)
		worst = status.Worse(worst, &status.Error{Exit: status.Exit(res.Err)})
	}
	return worst
}

// envelopeOf returns a message with the envelope of a command line.
func envelopeOf(from string, to []string) (*Message, error) {
	if from == "<>" {
		from = ""
	}
	if _, err := addr.Parse(from); err != nil && from != "" {
		return nil, status.UsageError("--from: %v", err)
	}
	m := &Message{From: spool.Path{Addr: from}, Ours: true}
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
