package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

const (
	knownFor = 30 * 24 * time.Hour // a network is known to an account after a right login
	laneStep = 2 * time.Second     // between two guesses of unknown networks at one account
)

// Guard stands before every check of a password: it bounds what they cost at a
// time and how many wrong ones there may be, for all processes of a home.
type Guard struct {
	control *control.Control
	gate    *gate
	delays  *delays
	wrong   *ratelimit.Table // what strangers can fill
	right   *ratelimit.Table // pairs of account and network that were right
	now     func() time.Time
	wait    func(context.Context, time.Duration)
	trouble func(op string, err error)
}

// NewGuard returns the guard that counts wrong logins and right ones in these
// tables and keeps its file at path. It calls trouble at each login that has to
// do without a file of the home.
func NewGuard(c *control.Control, path string, wrong, right *ratelimit.Table, now func() time.Time, trouble func(op string, err error)) *Guard {
	return &Guard{control: c, gate: newGate(path, trouble), delays: newDelays(wrong, now),
		wrong: wrong, right: right, now: now, wait: clock.Wait, trouble: trouble}
}

func (g *Guard) tell(op string, err error) {
	if g != nil {
		g.trouble(op, err)
	}
}

// Limited says that a login was not looked at, or not answered, because there
// were too many; the client may come again. Limit is the limit's name in
// control/concurrency or control/rates.
type Limited struct {
	Limit string
	err   *status.Error
}

func (l *Limited) Error() string { return l.Limit + ": " + l.err.Text }

// LimitOf returns the limit that kept a login out, "" for none.
func LimitOf(err error) string {
	var l *Limited
	if errors.As(err, &l) {
		return l.Limit
	}
	return ""
}

// Unwrap gives the status and the reply (454 4.7.0, RFC 4954 4.7.12).
func (l *Limited) Unwrap() error { return l.err }

func limited(limit, text string) error {
	return &Limited{limit, &status.Error{Exit: status.TempFail, Reply: 454, Enhanced: "4.7.0",
		Text: text + ", try again later"}}
}

func tooBusy() error      { return limited("passwords", "too many logins at once") }
func tooManyWrong() error { return limited("login-failures", "too many failed logins") }

// visit is one login at the guard; nil is one where there is none.
type visit struct {
	g       *Guard
	pass    *pass
	kind    string
	pair    string // account and network
	account string
	secret  []byte
	rate    ratelimit.Rate
	known   bool // the network is known to the account
	lane    bool // it has the account's only lane for those that are not
}

// networkOf is what counts as one network: an IPv4 /24, an IPv6 /64, or this
// machine's pipes and Unix sockets.
func networkOf(client string) string {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		return "local"
	}
	ip, bits := ip.Unmap(), 64
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return "local"
	}
	return p.String()
}

func pairOf(account, client string) string {
	return addr.FoldAddress(account) + " " + networkOf(client)
}

// begin takes one of the few places that logins of one account from one network
// have, and refuses it where there were too many wrong ones. kind tells
// passwords, which may be the same wrong one again, from proofs, which are
// never the same. The visit has to end.
func (g *Guard) begin(ctx context.Context, secret []byte, kind, account, client string) (*visit, error) {
	if g == nil {
		return nil, nil
	}
	pair := pairOf(account, client)
	v := &visit{g: g, secret: secret, kind: kind, account: addr.FoldAddress(account), pair: pair,
		known: g.knows(pair)}
	rate, err := g.control.Rate("login-failures")
	if err != nil {
		return nil, temporary(err)
	}
	v.rate = ratelimit.Rate(rate)
	v.pass = g.gate.open()
	ok, err := v.place(ctx)
	switch {
	case err != nil:
		err = temporary(err)
	case !ok:
		err = tooBusy()
	case v.full(v.wrongKey()):
		g.wait(ctx, maxDelay)
		err = tooManyWrong()
	}
	if err != nil {
		v.end()
		return nil, err
	}
	return v, nil
}

// place takes one of the pair's places. A network that the account knows and
// that had no wrong password lately may wait for it: a mailer logs in by many
// connections at once.
func (v *visit) place(ctx context.Context) (bool, error) {
	at := placeOf(v.secret, pairPlaces, pairWaiting, v.pair)
	take := func() (bool, error) {
		_, ok, err := v.pass.one(at, pairWaiting)
		return ok, err
	}
	if wrong, err := v.g.wrong.Get(v.wrongKey()); !v.known || err != nil || wrong.Time.After(v.g.now()) {
		return take()
	}
	ctx, cancel := context.WithTimeout(ctx, gateTime)
	defer cancel()
	return poll(ctx, take)
}

// knows reports whether the last right login of a pair is not too long ago. A
// table that cannot be read knows nobody.
func (g *Guard) knows(pair string) bool {
	e, err := g.right.Get(pair)
	age := g.now().Sub(e.Time)
	return err == nil && !e.Time.IsZero() && age < knownFor && age > -knownFor
}

// full reports whether there were as many of key as there may be. What cannot
// be counted is not too many: the table counts in memory where it must.
func (v *visit) full(key string) bool {
	full, err := v.g.wrong.Full(key, v.rate, v.g.now())
	return full && err == nil
}

// queue has networks that are new to an account guess one after another, once
// there were too many wrong passwords for it from all of them. Nobody whom the
// account knows comes here, so nobody is locked out. It is asked before the
// work, and again before the answer: many may have come in between.
func (v *visit) queue(ctx context.Context) error {
	if v == nil || v.known || v.lane || !v.full("wrong account "+v.account) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, laneTime)
	defer cancel()
	place := placeOf(v.secret, lanePlaces, 1, v.account)
	ok, err := poll(ctx, func() (bool, error) { return v.pass.try(place, 1) })
	switch {
	case err != nil:
		return temporary(err)
	case !ok:
		return tooManyWrong()
	}
	v.lane = true
	return nil
}

// hash does the work of f when there is room for it.
func (v *visit) hash(ctx context.Context, w work, f func() error) error {
	if v == nil {
		return f()
	}
	slots, err := v.g.control.Concurrency("passwords")
	if err != nil {
		return temporary(err)
	}
	octets, err := v.g.control.Limit("passwordbytes")
	if err != nil {
		return temporary(err)
	}
	b := bounds{slots: max(2, min(slots, 1<<15)), memory: int(max(1, min(octets>>20, 1<<30)))}
	ran, err := v.pass.run(ctx, b, w, v.known, f)
	switch {
	case ran:
		return err
	case err != nil:
		return temporary(err)
	}
	return tooBusy()
}

// settle counts what a check said, err, and returns what the client may know of
// it: beyond the limit neither a right one nor a wrong one is told. password is
// "" for a proof.
func (v *visit) settle(ctx context.Context, err error, password string) error {
	if v == nil || err != nil && !IsWrong(err) {
		return err
	}
	full := err == nil && v.full(v.wrongKey()) || err != nil && !v.count(password)
	if late := v.queue(ctx); late != nil {
		return late
	}
	if v.lane && err != nil {
		v.g.wait(ctx, laneStep)
	}
	switch {
	case full:
		return tooManyWrong()
	case err == nil:
		// It may fail: then the network is a stranger the next time.
		_ = v.g.right.Update(v.pair, func(e ratelimit.Entry) ratelimit.Entry {
			return ratelimit.Entry{Time: v.g.now(), Count: e.Count + 1}
		})
	}
	return err
}

// count counts a wrong login, and reports whether it was within the limit.
func (v *visit) count(password string) bool {
	if v.repeated(password) {
		return true
	}
	// An error is no limit: the table counts in memory where it must.
	ok, _ := v.g.wrong.Take(v.wrongKey(), 1, v.rate, v.g.now())
	_, _ = v.g.wrong.Take("wrong account "+v.account, 1, v.rate, v.g.now())
	return ok
}

// repeated reports whether this pair brought the same wrong password lately, as a
// phone does that nobody told the new one, and remembers it. Of the password
// two octets of a keyed hash are kept, which tell it to nobody.
func (v *visit) repeated(password string) (seen bool) {
	if password == "" || v.rate.Most <= 0 {
		return false
	}
	print := hex.EncodeToString(mac(v.secret, []byte(v.pair+"\x00"+password))[:2])
	err := v.g.wrong.Update("print "+v.kind+" "+v.pair+" "+print, func(e ratelimit.Entry) ratelimit.Entry {
		age := v.g.now().Sub(e.Time)
		seen = !e.Time.IsZero() && age < v.rate.Per && age > -v.rate.Per
		return ratelimit.Entry{Time: v.g.now(), Count: e.Count + 1}
	})
	return seen && err == nil
}

// wrongKey is under which the wrong ones of the pair are counted.
func (v *visit) wrongKey() string { return "wrong " + v.kind + " " + v.pair }

// end gives everything back that the visit holds.
func (v *visit) end() {
	if v != nil {
		v.pass.close()
	}
}

// failed waits before a wrong login is answered. An account's own count is not
// for networks that it knows.
func (g *Guard) failed(ctx context.Context, client, account string) {
	if g == nil {
		return
	}
	if g.knows(pairOf(account, client)) {
		account = ""
	}
	g.delays.Failed(ctx, client, account)
}
