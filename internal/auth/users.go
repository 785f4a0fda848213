package auth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/status"
)

// Users is the Verifier over control/users for one session.
type Users struct {
	Control *control.Control
	Client  string // the client's IP address, "" if it has none
	Guard   *Guard // nil: no limits

	busy    uint64        // logins of this session that found no place
	user    *control.User // the user that has logged in
	claimed *control.User // the user whose keys the SCRAM exchange uses
}

// User returns the row of the user that last logged in.
func (t *Users) User() *control.User { return t.user }

// PolicyOf returns what the settings say about logins. If control/mechanisms is empty,
// SCRAM is offered only if every user with a password can use it: clients prefer it
// wherever it is offered, and would fail.
func PolicyOf(c *control.Control) (p Policy, err error) {
	if p.Only, err = c.Mechanisms(); err != nil {
		return p, err
	}
	schemes, err := c.Schemes()
	if err != nil {
		return p, err
	}
	unfit := func(scheme string) bool { return scheme != Scram && !isClear(scheme) }
	p.Scram = len(p.Only) > 0 || len(schemes) > 0 && !slices.ContainsFunc(schemes, unfit)
	p.ClientCA, err = c.ClientCA()
	return p, err
}

// address returns the address of a login, by the same rule in all protocols.
func (t *Users) address(login string) (string, error) {
	address, _, err := AddressOf(t.Control, login)
	if err != nil {
		return "", temporary(err)
	}
	return address, nil
}

// Password checks a login and password.
func (t *Users) Password(ctx context.Context, login, password string) error {
	t.user = nil
	if len(password) > maxPassword {
		return refused()
	}
	address, err := t.address(login)
	if err != nil {
		return err
	}
	v, err := t.begin(ctx, "password", address)
	if err != nil {
		return err
	}
	defer v.end()
	if err := v.queue(ctx); err != nil {
		return err
	}
	hash := func(w work, f func() error) error { return v.hash(ctx, w, f) }
	u, err := check(t.Control, address, password, hash)
	if err = v.settle(ctx, err, password); err == nil {
		t.user = u
	}
	return t.orRetry(err)
}

// begin begins a visit at the guard. The first login of a session without a place is
// refused at once; further ones wait, or a flood would fill the log.
func (t *Users) begin(ctx context.Context, kind, address string) (*visit, error) {
	v, err := t.Guard.begin(ctx, t.secret(), kind, address, t.Client)
	if LimitOf(err) == "passwords" {
		if t.busy > 0 {
			t.Guard.wait(ctx, delayOf(t.busy))
		}
		t.busy++
	}
	return v, err
}

// Keys returns the keys of login's row. The work is the same for every login: one
// derivation with as many iterations as the exchange shows.
func (t *Users) Keys(ctx context.Context, login string) (Keys, error) {
	t.user, t.claimed = nil, nil
	address, err := t.address(login)
	if err != nil {
		return Keys{}, err
	}
	v, err := t.begin(ctx, "proof", address)
	if err != nil {
		return Keys{}, err
	}
	defer v.end()
	u, clear, stored, err := t.scramRow(address)
	if err != nil {
		return Keys{}, temporary(err)
	}
	if stored.Iterations > 0 {
		keepCost(t.Control, stored)
	}
	like, err := t.fakeKeys(address)
	if err != nil {
		return Keys{}, temporary(err)
	}
	if stored.Iterations > 0 {
		like = stored
	}
	var derived Keys
	err = v.hash(ctx, work{memory: 1}, func() (err error) {
		if derived, err = newKeys(string(clear), like.Salt, like.Iterations); err != nil {
			err = temporary(err)
		}
		return err
	})
	switch {
	case err != nil:
		return Keys{}, err
	case stored.Iterations > 0:
		t.claimed = u
		return stored, nil
	case len(clear) > 0:
		t.claimed = u
		return derived, nil
	}
	return like, nil
}

// scramRow returns the row of address with its password in clear text or its keys for
// SCRAM; neither if a program checks passwords.
func (t *Users) scramRow(address string) (u *control.User, clear []byte, stored Keys, err error) {
	u, err = t.Control.LoginUser(address)
	if err != nil || u == nil {
		return nil, nil, stored, err
	}
	program, err := t.Control.CheckPassword()
	if err != nil || program != nil {
		return nil, nil, stored, err
	}
	clear, stored, err = keysOf(u.Hash)
	if err != nil {
		err = fmt.Errorf("%s: %w", u.Where, err)
	}
	return u, clear, stored, err
}

// Proved takes the result of the exchange for the last Keys. Every wrong proof counts:
// it does not show whether the password was the same again.
func (t *Users) Proved(ctx context.Context, login string, right bool) error {
	address, err := t.address(login)
	if err != nil {
		return err
	}
	v, err := t.begin(ctx, "proof", address)
	if err != nil {
		return err
	}
	defer v.end()
	if err := v.queue(ctx); err != nil {
		return err
	}
	if right, err = t.stillValid(right); err != nil {
		return err
	}
	if !right {
		err = refused()
	}
	if err = v.settle(ctx, err, ""); err == nil {
		t.user = t.claimed
	}
	return t.orRetry(err)
}

// stillValid reports whether a right proof still is one: since Keys the row may have been
// locked or its password changed.
func (t *Users) stillValid(right bool) (bool, error) {
	if !right || t.claimed == nil {
		return false, nil
	}
	u, err := t.Control.LoginUser(t.claimed.Address)
	if err != nil {
		return false, temporary(err)
	}
	return u != nil && u.Hash == t.claimed.Hash, nil
}

// orRetry makes a refusal temporary while somebody may be editing control/users, with a
// row or without one: a missing row may come in a moment. The refusal counts all the
// same.
func (t *Users) orRetry(err error) error {
	if IsWrong(err) && !t.Control.LoginsSettled() {
		return temporary(errors.New("control/users has just been changed"))
	}
	return err
}

// Failed counts a wrong login, and waits before it returns.
func (t *Users) Failed(ctx context.Context, client, login string) {
	account := login
	if address, err := t.address(login); err == nil {
		account = address
	}
	t.Guard.failed(ctx, client, account)
}

// Certificate returns the user of a verified certificate: the one whose address is its
// rfc822Name or common name, or whose row has its SHA-256 in the field cert=.
func (t *Users) Certificate(_ context.Context, login string, cert *x509.Certificate) (string, error) {
	t.user = nil
	named, err := t.byCertificate(cert)
	if err != nil {
		return "", temporary(err)
	}
	if login == "" {
		if len(named) == 0 {
			return "", t.certificateRefused()
		}
		t.user = named[0]
		return t.user.Address, nil
	}
	address, err := t.address(login)
	if err != nil {
		return "", err
	}
	for _, u := range named {
		if addr.FoldAddress(u.Address) == addr.FoldAddress(address) {
			t.user = u
			return login, nil
		}
	}
	return "", t.certificateRefused()
}

// certificateRefused is the refusal of a certificate without a user, or of another user
// than the login; temporary while a broken row may have it.
func (t *Users) certificateRefused() error {
	whole, err := t.Control.UsersWhole()
	if err == nil && !whole {
		err = errors.New("a row of control/users is broken, and may be the certificate's")
	}
	if err != nil {
		return temporary(err)
	}
	return t.orRetry(refused())
}

// byCertificate returns the users of a certificate, except locked ones (whose password
// begins with !).
func (t *Users) byCertificate(cert *x509.Certificate) (list []*control.User, err error) {
	if cert == nil {
		return nil, nil
	}
	add := func(u *control.User) {
		if u != nil && !locked(u.Hash) {
			list = append(list, u)
		}
	}
	for _, name := range append(cert.EmailAddresses, cert.Subject.CommonName) {
		if !WellFormed(name) || !strings.Contains(name, "@") {
			continue
		}
		u, err := t.Control.User(name)
		if err != nil {
			return nil, err
		}
		add(u)
	}
	users, err := t.Control.Users()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(cert.Raw)
	for i := range users {
		if isFingerprint(users[i].Extra["cert"], sum[:]) {
			add(&users[i])
		}
	}
	return list, nil
}

// isFingerprint reports whether text is the fingerprint sum in hex, with or without
// colons.
func isFingerprint(text string, sum []byte) bool {
	return strings.EqualFold(strings.ReplaceAll(text, ":", ""), hex.EncodeToString(sum))
}

func locked(hash string) bool {
	_, _, rest := control.SplitScheme(hash)
	return strings.HasPrefix(rest, "!")
}

// IsWrong reports whether err means that the client did not prove who it is, as opposed
// to trouble in finding out.
func IsWrong(err error) bool {
	var e *status.Error
	return errors.As(err, &e) && e.Exit == status.NotAllowed
}
