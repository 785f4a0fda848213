package relay

import (
	"context"
	"fmt"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// Explain records where mail of a sender for an address goes and through which hosts; it
// does not connect to them.
func (r *Relay) Explain(ctx context.Context, from, address string, t *explain.Trail) error {
	err := r.explain(ctx, from, address, t)
	if err != nil {
		verdict := "fail: "
		if status.IsTemporary(err) {
			verdict = "defer: "
		}
		t.End(verdict + err.Error())
	}
	return err
}

func (r *Relay) explain(ctx context.Context, from, address string, t *explain.Trail) error {
	t.Add("recipient", address, "")
	d, err := r.destination(from, address, t)
	if err != nil {
		return err
	}
	if o, paused := r.paused(d.name, r.Now(), time.Time{}); paused {
		t.Add("rests", o.text(d.name), "run/hosts")
	}
	first, err := r.explainTargets(ctx, d, from, t)
	r.explainSigning(from, t)
	r.explainSource(d, t)
	r.explainLimits(t)
	if row, err := r.Control.Destination(d.domain); err != nil {
		t.Add("limits", "defer: "+err.Error(), "")
	} else if row != nil {
		t.Add("limits", row.String(), row.Where)
	}
	if first != "" {
		t.End(first)
		return nil
	}
	return err
}

// explainTargets records through which hosts mail may go, and returns what happens at the
// first; if there is none, why.
func (r *Relay) explainTargets(ctx context.Context, d destination, from string, t *explain.Trail) (first string, last error) {
	look := r.lookups()
	for _, to := range d.targets() {
		through, err := r.explainTarget(ctx, look, d, to, from, t)
		r.explainLogin(to, from, t)
		if first == "" {
			first = through
		}
		if err != nil && (last == nil || status.IsTemporary(err)) {
			last = err
		}
	}
	return first, last
}

// explainTarget records the hosts of one target and returns what happens at the first.
func (r *Relay) explainTarget(ctx context.Context, look *lookups, d destination, to control.RouteTarget,
	from string, t *explain.Trail) (first string, err error) {
	if to.Host == "" && to.Kind != control.ToMX {
		return r.explainNear(d, to)
	}
	list, err := r.exchangers(ctx, look, d, to, t)
	if err != nil {
		return "", err
	}
	for len(list) > 0 {
		var batch []found
		batch, list = r.equals(ctx, look, d, list, t)
		for _, x := range batch {
			if x.failure != nil {
				t.Add("host", x.name+": "+x.failure.err.Error(), "")
				if err == nil || status.IsTemporary(x.failure.err) {
					err = x.failure.err
				}
				continue
			}
			if first == "" {
				first = "relay to " + x.hosts[0].String()
			}
			if to.Kind == control.ToLMTP {
				continue
			}
			r.explainRests(x.hosts, t)
			if err := r.explainTLS(d, x.hosts[0], from, t); err != nil {
				return "", err
			}
		}
	}
	return first, err
}

// explainRests records which hosts are not tried now because they did not answer.
func (r *Relay) explainRests(hosts []host, t *explain.Trail) {
	for _, h := range hosts {
		if o, rests := r.known.rest(h.addr.String(), r.Now(), time.Time{}); rests {
			t.Add("rests", o.text(h.String()), "run/hosts")
		}
	}
}

// explainSource records where connections come from, and what they are called.
func (r *Relay) explainSource(d destination, t *explain.Trail) {
	if d.source != nil {
		t.Add("source", d.source.String(), d.source.Where)
		if d.source.Helo != "" {
			return
		}
	}
	if helo, err := r.Control.Hostname(); err == nil {
		t.Add("helo", helo, "control/hostname")
	}
}

// explainLimits records how many sessions there may be, and how long they are.
func (r *Relay) explainLimits(t *explain.Trail) {
	b := r.bounds()
	t.Add("sessions", fmt.Sprintf("%d with a destination, %d with an address, %d in all", b.destination, b.host, b.all),
		"control/concurrency")
	t.Add("session", fmt.Sprintf("at most %d messages, %v", b.messages, b.time), "control/limits")
}
