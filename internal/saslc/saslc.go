// Package saslc is the client's side of SASL (RFC 4422): it chooses a mechanism that a
// server offers, and answers the server's challenges. Nothing that it returns as an
// error contains a password or a token.
package saslc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
)

// The mechanisms, the one that reveals least first. CRAM-MD5 (RFC 2195) does not send
// the password; PLAIN (RFC 4616) and LOGIN, which has no RFC, do.
const (
	External    = "EXTERNAL"
	ScramPlus   = "SCRAM-SHA-256-PLUS"
	Scram       = "SCRAM-SHA-256"
	CramMD5     = "CRAM-MD5"
	Plain       = "PLAIN"
	Login       = "LOGIN"
	OAuthBearer = "OAUTHBEARER"
	XOAuth2     = "XOAUTH2"
)

// Credentials are what a client has to prove who it is.
type Credentials struct {
	User        string // with Certificate: whom to act as, "" leaves that to the certificate
	Secret      string // a password, or with Only a token
	Token       bool   // Secret is a token
	Certificate bool   // a client certificate was shown in the TLS handshake
	Only        []string
	Host        string // of the server, and its port, which OAUTHBEARER names
	Port        uint16
}

// Channel is the connection to the server.
type Channel struct {
	TLS *tls.ConnectionState // nil: clear text

	// Safe: nobody else can read it. In TLS that means that the server's certificate was
	// verified.
	Safe bool
}

// Exchange is one run of a mechanism.
type Exchange struct {
	Mechanism string
	Initial   []byte // the first response; nil: the server has to speak first
	next      func(challenge []byte) ([]byte, error)
	proved    func() bool
	words     string
}

// Next answers a challenge.
func (x *Exchange) Next(challenge []byte) ([]byte, error) { return x.next(challenge) }

// Finish is called when the server has accepted the login. An error means that the server
// did not prove that it knows the password, as the mechanism requires: it may be anyone.
func (x *Exchange) Finish() error {
	if x.proved != nil && !x.proved() {
		return errors.New("it did not prove that it knows the password, as " + x.Mechanism + " requires")
	}
	return nil
}

// Words is what the server said inside the mechanism about why it refuses; "" if nothing.
func (x *Exchange) Words() string { return x.words }

// Begin chooses the best mechanism of those that the server offers and begins it. The
// error says why none of them can be used.
func Begin(offered []string, c Credentials, ch Channel) (*Exchange, error) {
	var left []string
	for _, name := range c.mechanisms() {
		if slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, name) }) {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("it offers %s, which is none of %s", list(offered), list(c.mechanisms()))
	}
	for _, name := range left {
		if reveals(name) && !ch.Safe {
			continue
		}
		x, err := begin(name, c, ch)
		if errors.Is(err, errUnbound) && len(left) > 1 {
			continue
		}
		return x, err
	}
	return nil, fmt.Errorf("it offers %s alone, and the connection is not safe for a password", list(left))
}

// mechanisms are those that fit the credentials, the best first.
func (c Credentials) mechanisms() []string {
	all := []string{ScramPlus, Scram, CramMD5, Plain, Login}
	switch {
	case c.Token:
		all = []string{OAuthBearer, XOAuth2}
	case c.Certificate && c.Secret == "":
		all = []string{External}
	case c.Certificate:
		all = append([]string{External}, all...)
	}
	if len(c.Only) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(name string) bool { return !slices.Contains(c.Only, name) })
}

// reveals reports whether a mechanism shows the secret to whoever reads along.
func reveals(mechanism string) bool {
	return slices.Contains([]string{Plain, Login, OAuthBearer, XOAuth2}, mechanism)
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, " ")
}

func begin(name string, c Credentials, ch Channel) (*Exchange, error) {
	x := &Exchange{Mechanism: name, next: unasked}
	switch name {
	case ScramPlus, Scram:
		return x, x.scram(c, ch)
	case CramMD5:
		x.next = once(c.cramMD5)
	case Plain:
		return x, x.start(sasl.NewPlainClient("", c.User, c.Secret))
	case External:
		return x, x.start(sasl.NewExternalClient(c.User))
	case Login:
		x.login(c)
	case OAuthBearer:
		x.oauthBearer(c)
	case XOAuth2:
		x.xoauth2(c)
	}
	return x, nil
}

// start takes the mechanism from go-sasl, for those that only speak first.
func (x *Exchange) start(c sasl.Client) (err error) {
	_, x.Initial, err = c.Start()
	x.next = func(challenge []byte) ([]byte, error) {
		if len(challenge) == 0 && x.Initial != nil {
			// A server that ignores the initial response asks for it (RFC 4954 4).
			answer := x.Initial
			x.Initial, x.next = nil, unasked
			return answer, nil
		}
		return nil, errUnasked
	}
	return err
}

var errUnasked = errors.New("a challenge that the mechanism does not have")

func unasked([]byte) ([]byte, error) { return nil, errUnasked }

// once answers the first challenge alone.
func once(answer func(challenge []byte) []byte) func([]byte) ([]byte, error) {
	done := false
	return func(challenge []byte) ([]byte, error) {
		if done {
			return nil, errUnasked
		}
		done = true
		return answer(challenge), nil
	}
}
