package control

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/srs"
)

// minSecret is how long a secret in control/srs-secrets is, at least.
const minSecret = 16

// parseSRSSecrets reads secrets, one a line, the newest first.
func parseSRSSecrets(name string, data []byte) ([]string, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	var secrets []string
	for _, l := range ls {
		if len(l.text) < minSecret || strings.ContainsAny(l.text, " \t") {
			return nil, fail(name, l.n, "not a secret of at least %d characters without blanks", minSecret)
		}
		secrets = append(secrets, l.text)
	}
	if len(secrets) == 0 { // a file that is being written must not let mail leave that is not rewritten
		return nil, failFile(name, "no secret is in it (without the file, nothing is rewritten)")
	}
	return secrets, nil
}

// SRS returns the scheme by which forwarded mail gets reverse paths of this host; nil: it
// keeps its own.
func (c *Control) SRS() (*srs.Scheme, error) {
	secrets, err := value[[]string](c, "srs-secrets")
	if len(secrets) == 0 || err != nil {
		return nil, err
	}
	return &srs.Scheme{Secrets: secrets, Now: c.now()}, nil
}

// Unforwarded returns the address that one of this host in the scheme of SRS stands for. ok
// is false if it is none; wrong says why it stands for nothing.
func (c *Control) Unforwarded(address string) (a addr.Address, ok bool, wrong, err error) {
	local, domain := addr.Split(address)
	if !srs.Is(local) {
		return a, false, nil, nil
	}
	scheme, err := c.SRS()
	if scheme == nil || err != nil {
		return a, false, nil, err
	}
	if _, ours, err := c.IsLocal(domain); err != nil || !ours {
		return a, false, nil, err
	}
	written, err := addr.Parse(address)
	if err != nil {
		return a, true, fmt.Errorf("not an address: %w", err), nil
	}
	a, wrong = c.back(scheme, written)
	return a, true, wrong, nil
}

// back translates an address. A recording has the answer and not the secret.
func (c *Control) back(s *srs.Scheme, written addr.Address) (addr.Address, error) {
	if c.replayed != nil {
		return c.replayed.toldBack(written)
	}
	a, wrong := s.Back(written)
	c.recording.back(written, a, wrong)
	return a, wrong
}

// srsTable stands for a table in rows, with what addresses in the scheme of SRS stand for.
const srsTable = ":srs:"

// back notes what an address stands for, or why for nothing.
func (r *Recording) back(written, a addr.Address, wrong error) {
	if r == nil {
		return
	}
	got := lookedUp{text: a.String(), found: true}
	if wrong != nil {
		got = lookedUp{err: wrong.Error()}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows[srsTable+" "+written.Key()] = got
}

// toldBack is what back noted.
func (r *Recording) toldBack(written addr.Address) (addr.Address, error) {
	got, ok := r.rows[srsTable+" "+written.Key()]
	switch {
	case !ok:
		return addr.Address{}, errors.New("the record does not have what the address stands for")
	case got.err != "":
		return addr.Address{}, errors.New(got.err)
	}
	return addr.Parse(got.text)
}

// secretsLeftOut has as many secrets as data, and none of them.
func secretsLeftOut(data []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(data) {
		text, end := strings.CutSuffix(string(line), "\n")
		if text = strings.TrimSpace(text); text != "" && text[0] != '#' {
			b.WriteString(strings.Repeat("*", minSecret))
		}
		if end {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}
