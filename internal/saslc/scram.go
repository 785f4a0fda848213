package saslc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// maxIterations bounds the work that a server can demand: about a second. Servers ask
// for some 4,096 to 600,000.
const maxIterations = 2_000_000

// errUnbound means that this connection has nothing to bind to.
var errUnbound = errors.New("the connection has no channel binding")

// scram is SCRAM-SHA-256 (RFC 5802, RFC 7677), with -PLUS bound to the connection.
func (x *Exchange) scram(c Credentials, ch Channel) error {
	client, err := scram.SHA256.NewClient(c.User, c.Secret, "")
	if err != nil {
		return errors.New("the name or the password has characters that SCRAM cannot have (RFC 4013)")
	}
	run := client.NewConversation()
	if x.Mechanism == ScramPlus {
		binding, err := bindingOf(ch.TLS)
		if err != nil {
			return err
		}
		run = client.NewConversationWithChannelBinding(binding)
	}
	first, err := run.Step("")
	if err != nil {
		return fmt.Errorf("begin SCRAM: %w", err)
	}
	x.Initial, x.proved = []byte(first), run.Valid
	x.next = func(challenge []byte) ([]byte, error) {
		if run.Done() {
			return nil, errUnasked
		}
		if words, refused := strings.CutPrefix(string(challenge), "e="); refused {
			x.words = visibleWords(words)
		}
		if err := bounded(challenge); err != nil {
			return nil, err
		}
		answer, err := run.Step(string(challenge))
		if err != nil {
			return nil, fmt.Errorf("SCRAM: %w", err)
		}
		return []byte(answer), nil
	}
	return nil
}

// bounded refuses a count of iterations that would keep us busy (RFC 5802 5.1).
func bounded(challenge []byte) error {
	for field := range strings.SplitSeq(string(challenge), ",") {
		count, ok := strings.CutPrefix(field, "i=")
		if n, err := strconv.Atoi(count); ok && (err != nil || n > maxIterations) {
			return fmt.Errorf("it asks for more than %d iterations", maxIterations)
		}
	}
	return nil
}

// bindingOf is tls-exporter (RFC 9266) in TLS 1.3; in TLS 1.2, where servers rarely have
// that, tls-server-end-point (RFC 5929 4).
func bindingOf(s *tls.ConnectionState) (scram.ChannelBinding, error) {
	if s == nil {
		return scram.ChannelBinding{}, errUnbound
	}
	of := scram.NewTLSServerEndpointBinding
	if s.Version >= tls.VersionTLS13 {
		of = scram.NewTLSExporterBinding
	}
	binding, err := of(s)
	if err != nil {
		return binding, errUnbound
	}
	return binding, nil
}
