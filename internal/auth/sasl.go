package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"paperpath/internal/addr"
)

// The supported mechanisms of SASL (RFC 4422): RFC 4616; LOGIN, which has no RFC and
// which Outlook uses; RFC 5802 with RFC 7677; RFC 4422 appendix A.
const (
	Plain     = "PLAIN"
	Login     = "LOGIN"
	Scram     = "SCRAM-SHA-256"
	ScramPlus = "SCRAM-SHA-256-PLUS"
	External  = "EXTERNAL"
)

// maxLogin is the maximum length of a login, in octets.
const maxLogin = 1024

// Policy is what the settings say about logins.
type Policy struct {
	Only     []string       // mechanisms that may be offered; nil: all
	Scram    bool           // SCRAM is offered
	ClientCA *x509.CertPool // issuers of client certificates; nil: none are requested
}

// Peer is what an exchange knows about the connection.
type Peer struct {
	Policy
	TLS     *tls.ConnectionState // nil: clear text
	Leaf    *x509.Certificate    // our certificate in TLS, nil if unknown
	Private bool                 // loopback, a pipe or a Unix socket: nobody can read clear text
}

// Verifier verifies who a client is. An error that IsWrong means that the client did not
// prove it; neither it nor its time may distinguish an unknown name from a wrong
// password. Every other error is trouble of our own.
type Verifier interface {
	// Password checks a login and password that are WellFormed.
	Password(ctx context.Context, login, password string) error

	// Keys returns the keys for SCRAM. For a login that does not exist or has no keys
	// they are made up (Nobody), always with the same salt.
	Keys(ctx context.Context, login string) (Keys, error)

	// Proved is called with the result of the proof for the keys returned last, and
	// decides: nil lets the client in.
	Proved(ctx context.Context, login string, right bool) error

	// Certificate returns whose certificate this is. login is whom the client wants to
	// be, "" if it leaves that to the certificate.
	Certificate(ctx context.Context, login string, cert *x509.Certificate) (string, error)
}

// Malformed is an error in what the client sent.
type Malformed string

func (m Malformed) Error() string { return string(m) }

// Why an exchange cannot begin.
var (
	ErrUnknown   = errors.New("unknown mechanism")
	ErrClearText = errors.New("plaintext authentication disallowed: use TLS")
)

// Mechanisms returns the mechanisms that a client may use on this connection now. In
// clear text there are none unless the connection is private (RFC 8314 3, RFC 4954 4).
func Mechanisms(p Peer) []string {
	if p.TLS == nil && !p.Private {
		return nil
	}
	list := []string{Plain, Login}
	if p.Scram {
		list = append(list, Scram)
		if p.TLS != nil {
			list = append(list, ScramPlus)
		}
	}
	if p.certificate() != nil {
		list = append(list, External)
	}
	if p.Only == nil {
		return list
	}
	return slices.DeleteFunc(list, func(m string) bool { return !slices.Contains(p.Only, m) })
}

// certificate returns the client's certificate if a trusted issuer signed it.
func (p Peer) certificate() *x509.Certificate {
	if p.TLS == nil || p.ClientCA == nil || len(p.TLS.PeerCertificates) == 0 {
		return nil
	}
	options := x509.VerifyOptions{Roots: p.ClientCA, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range p.TLS.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	cert := p.TLS.PeerCertificates[0]
	if _, err := cert.Verify(options); err != nil {
		return nil
	}
	return cert
}

// Exchange is one run of a mechanism.
type Exchange struct {
	mechanism string
	peer      Peer
	users     Verifier
	next      step
	login     string
}

// step takes a response of the client, nil if there is none yet. It returns a challenge
// and the step for the response to it; a nil step means that the client has proved who
// it is.
type step func(ctx context.Context, response []byte) (challenge []byte, next step, err error)

// Start begins an exchange. It fails with ErrUnknown or ErrClearText.
func Start(mechanism string, p Peer, users Verifier) (*Exchange, error) {
	x := &Exchange{mechanism: strings.ToUpper(mechanism), peer: p, users: users}
	switch x.mechanism {
	case Plain:
		x.next = x.whole(x.plain)
	case Login:
		x.next = x.loginName
	case Scram, ScramPlus:
		x.next = x.whole(x.scramFirst)
	case External:
		x.next = x.whole(x.external)
	default:
		return nil, ErrUnknown
	}
	switch {
	case p.TLS == nil && !p.Private:
		return nil, ErrClearText
	case !slices.Contains(Mechanisms(p), x.mechanism):
		return nil, ErrUnknown
	}
	return x, nil
}

// Mechanism returns the mechanism's name.
func (x *Exchange) Mechanism() string { return x.mechanism }

// Login returns who the client claims or has proved to be, as far as that is known.
func (x *Exchange) Login() string { return x.login }

// Next takes a decoded response; nil if the client sent none with the command. Until it
// is done there is a challenge to send. An error ends the exchange: Malformed, one that
// IsWrong, or trouble of our own.
func (x *Exchange) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	challenge, x.next, err = x.next(ctx, response)
	return challenge, err == nil && x.next == nil, err
}

// whole is the first step of a mechanism that the client begins: if it sent nothing with
// the command, it gets an empty challenge.
func (x *Exchange) whole(s step) step {
	return func(ctx context.Context, response []byte) ([]byte, step, error) {
		if response == nil {
			return nil, s, nil
		}
		return s(ctx, response)
	}
}

// plain is PLAIN (RFC 4616 2): authzid NUL authcid NUL password.
func (x *Exchange) plain(ctx context.Context, response []byte) ([]byte, step, error) {
	part := strings.Split(string(response), "\x00")
	if len(part) != 3 {
		return nil, nil, Malformed("invalid PLAIN response")
	}
	return nil, nil, x.password(ctx, part[0], part[1], part[2])
}

// loginName is the first step of LOGIN; the name may come with the command. Clients
// look for these texts of the challenges.
func (x *Exchange) loginName(_ context.Context, response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte("Username:"), x.loginName, nil
	}
	name := string(response)
	return []byte("Password:"), func(ctx context.Context, response []byte) ([]byte, step, error) {
		return nil, nil, x.password(ctx, "", name, string(response))
	}, nil
}

func (x *Exchange) password(ctx context.Context, acting, login, password string) error {
	x.login = login
	if acting != "" && acting != login || !WellFormed(login) || !WellFormed(password) {
		return refused() // nobody may act for another user
	}
	return x.users.Password(ctx, login, password)
}

// external is EXTERNAL: the proof came in the TLS handshake.
func (x *Exchange) external(ctx context.Context, response []byte) ([]byte, step, error) {
	x.login = string(response)
	if x.login != "" && !WellFormed(x.login) {
		return nil, nil, refused()
	}
	login, err := x.users.Certificate(ctx, x.login, x.peer.certificate())
	if err == nil {
		x.login = login
	}
	return nil, nil, err
}

// How a client ends an exchange before there is a result, besides what the mechanism
// finds malformed.
const (
	ErrCancelled = Malformed("authentication cancelled")
	ErrLongLine  = Malformed("line too long")
	ErrBase64    = Malformed("invalid base64")
)

// Lost is an error of the connection inside an exchange.
type Lost struct{ Err error }

func (l *Lost) Error() string { return l.Err.Error() }

// Unwrap returns the error of the connection.
func (l *Lost) Unwrap() error { return l.Err }

// Run runs the exchange to its end, in the form that SMTP and POP3 share (RFC 4954 4,
// RFC 5034 4). initial is what the client sent with the command, "" for nothing. ask
// sends a challenge and returns the client's line; its error is returned as *Lost
// unless it is Malformed. Other errors are those of Next.
func (x *Exchange) Run(ctx context.Context, initial string,
	ask func(challenge string) (line string, err error)) error {
	var response []byte
	var err error
	if initial != "" {
		if response, err = decodeResponse(initial); err != nil {
			return err
		}
	}
	for {
		challenge, done, err := x.Next(ctx, response)
		if err != nil || done {
			return err
		}
		line, err := ask(base64.StdEncoding.EncodeToString(challenge))
		var own Malformed
		switch {
		case errors.As(err, &own):
			return own
		case err != nil:
			return &Lost{err}
		case line == "*":
			return ErrCancelled
		}
		if response, err = decodeResponse(line); err != nil {
			return err
		}
	}
}

// WellFormed reports whether s can be a login or a password: not empty, at most
// 1024 octets, UTF-8 without control characters (RFC 8265 3.3, 4.2).
func WellFormed(s string) bool {
	return s != "" && len(s) <= maxLogin && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, addr.IsControl)
}

// decodeResponse decodes the base64 of a response; "=" is an empty one (RFC 4954 4,
// RFC 5034 4).
func decodeResponse(text string) ([]byte, error) {
	if text == "=" {
		return []byte{}, nil
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder ignores
		return nil, ErrBase64
	}
	return data, nil
}
