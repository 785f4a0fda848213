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

// Guard limits the cost of concurrent password checks and the number of wrong passwords,
// over all processes of a home.
type Guard struct {
	control *control.Control
	gate    *gate
	delays  *delays
	wrong   *ratelimit.Table // which strangers can fill
	right   *ratelimit.Table // pairs of account and network with a right login
	now     func() time.Time
	wait    func(context.Context, time.Duration)
	trouble func(op string, err error)
}

// NewGuard returns a Guard that counts wrong and right logins in these tables and has
// its file at path. It calls trouble for each login without one of the home's files.
func NewGuard(c *control.Control, path string, wrong, right *ratelimit.Table, now func() time.Time,
	trouble func(op string, err error)) *Guard {
	return &Guard{control: c, gate: newGate(path, trouble), delays: newDelays(wrong, now),
		wrong: wrong, right: right, now: now, wait: clock.Wait, trouble: trouble}
}

func (g *Guard) tell(op string, err error) {
	if g != nil {
		g.trouble(op, err)
	}
}

// Limited means that a login was not checked or not answered because there were too
// many; the client may try again. Limit is the limit's name in control/concurrency or
// control/rates.
type Limited struct {
	Limit string
	err   *status.Error
}

func (l *Limited) Error() string { return l.Limit + ": " + l.err.Text }

// LimitOf returns the limit that err is about, or "".
func LimitOf(err error) string {
	var l *Limited
	if errors.As(err, &l) {
		return l.Limit
	}
	return ""
}

// Unwrap returns the error with the status and reply (454 4.7.0, RFC 4954 4.7.12).
func (l *Limited) Unwrap() error { return l.err }

func limited(limit, text string) error {
	return &Limited{limit, &status.Error{Exit: status.TempFail, Reply: 454, Enhanced: "4.7.0",
		Text: text + ", try again later"}}
}

func tooBusy() error      { return limited("passwords", "too many logins at once") }
func tooManyWrong() error { return limited("login-failures", "too many failed logins") }

// visit is one login at the guard; nil without a guard.
type visit struct {
	g       *Guard
	pass    *pass
	kind    string
	pair    string // account and network
	account string
	secret  []byte
	rate    ratelimit.Rate
	known   bool // the network is known to the account
	lane    bool // it has the account's only lane for unknown networks
}

// networkOf returns what counts as one network: an IPv4 /24, an IPv6 /64, or all pipes
// and Unix sockets of this machine.
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

// begin takes one of the few places for logins of one account from one network, or
// refuses the login after too many wrong ones. kind distinguishes passwords, which may
// be the same wrong one again, from proofs, which never are. The caller must end the
// visit.
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

// place takes one of the pair's places. A network that the account knows, without a
// recent wrong password, may wait for one: mail clients open many connections at once.
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

// knows reports whether the pair had a right login not too long ago; never if the table
// cannot be read.
func (g *Guard) knows(pair string) bool {
	e, err := g.right.Get(pair)
	age := g.now().Sub(e.Time)
	return err == nil && !e.Time.IsZero() && age < knownFor && age > -knownFor
}

// full reports whether the count of key has reached the limit. An error means no: if it
// must, the table counts in memory.
func (v *visit) full(key string) bool {
	full, err := v.g.wrong.Full(key, v.rate, v.g.now())
	return full && err == nil
}

// queue lets networks that are new to an account guess only one after another, once there
// have been too many wrong passwords from all of them. Known networks never queue, so
// no user is locked out. It is called before the work and again before the answer:
// many logins may have come in between.
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

// hash calls f when there is room for its work.
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

// settle counts err, the result of a check, and returns what the client may know of it:
// beyond the limit neither success nor failure. password is "" for a proof.
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
		// If this fails, the network is a stranger the next time.
		_ = v.g.right.Update(v.pair, func(e ratelimit.Entry) ratelimit.Entry {
			return ratelimit.Entry{Time: v.g.now(), Count: e.Count + 1}
		})
	}
	return err
}

// count counts a wrong login and reports whether it was within the limit.
func (v *visit) count(password string) bool {
	if v.sentBefore(password) {
		return true
	}
	// An error is within the limit: if it must, the table counts in memory.
	ok, _ := v.g.wrong.Take(v.wrongKey(), 1, v.rate, v.g.now())
	_, _ = v.g.wrong.Take("wrong account "+v.account, 1, v.rate, v.g.now())
	return ok
}

// sentBefore remembers the password and reports whether this pair sent the same wrong one
// recently, as a phone with an old password does. Only two octets of a keyed hash of
// the password are kept, which do not reveal it.
func (v *visit) sentBefore(password string) (seen bool) {
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

// wrongKey is the key under which the wrong logins of the pair are counted.
func (v *visit) wrongKey() string { return "wrong " + v.kind + " " + v.pair }

// end releases what the visit holds.
func (v *visit) end() {
	if v != nil {
		v.pass.close()
	}
}

// failed delays the answer to a wrong login. The account's own count does not apply to
// networks that it knows.
func (g *Guard) failed(ctx context.Context, client, account string) {
	if g == nil {
		return
	}
	if g.knows(pairOf(account, client)) {
		account = ""
	}
	g.delays.Failed(ctx, client, account)
}
