package relay

import (
	"errors"
	"io"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// prepareSigning sets m.sign if m is to be signed: it came from someone who may send as
// our users do, and its author's domain has active keys. Mail that is passed on for
// others keeps their signatures and gets none of ours. If a key cannot be read, that is
// our fault and may be mended: the message waits.
func (r *Relay) prepareSigning(m *Message) error {
	if !m.Ours {
		return nil
	}
	said := m.facts()
	if said.err != nil {
		return status.Temp("4.3.0", "cannot read the message", said.err)
	}
	domain := authorDomain(said.from)
	keys, err := r.Control.DKIMKeys(domain)
	if err != nil {
		r.Log.Trouble(m.Key, "read the keys that sign mail from "+domain+", mail is deferred", err)
		return err
	}
	if len(keys) > 0 {
		m.sign = func(text io.Reader) (dkim.Signed, error) { return r.sign(m, text, keys) }
	}
	return nil
}

// sign signs a text. A header that is too large to be signed goes without a signature,
// since waiting would not make it smaller.
func (r *Relay) sign(m *Message, text io.Reader, keys []control.DKIMKey) (dkim.Signed, error) {
	var with []dkim.Key
	for _, k := range keys {
		with = append(with, dkim.Key{Domain: k.Domain, Selector: k.Selector, Signer: k.Signer})
	}
	s, err := dkim.Sign(text, with, r.Now())
	switch {
	case errors.Is(err, message.ErrTooLong), errors.Is(err, message.ErrTooMany):
		r.Log.Trouble(m.Key, "sign the message, it is sent without a signature", err)
		return dkim.Signed{}, nil
	case err != nil:
		r.Log.Trouble(m.Key, "sign the message, it is deferred", err)
	}
	return s, err
}

// authorDomain returns the domain of the address in From, "" if there is not exactly one
// From or if its addresses are in several domains.
func authorDomain(from []message.Field) string {
	if len(from) != 1 {
		return ""
	}
	list, err := addr.ParseForeign(from[0].Value)
	if err != nil {
		return ""
	}
	domain := ""
	for i, a := range list {
		if d := addr.FoldDomain(a.Domain); i == 0 {
			domain = d
		} else if d != domain {
			return ""
		}
	}
	return domain
}

// explainSigning records which keys would sign a message from that author.
func (r *Relay) explainSigning(from string, t *explain.Trail) {
	_, domain := addr.Split(from)
	if domain == "" {
		return
	}
	keys, err := r.Control.DKIMKeys(domain)
	switch {
	case err != nil:
		t.Add("dkim", "mail from "+domain+" is deferred: "+err.Error(), "")
	case len(keys) == 0:
		t.Add("dkim", "none: "+domain+" has no active key", "control/dkim")
	}
	for _, k := range keys {
		t.Add("dkim", dkim.Algorithm(k.Signer.Public())+" of "+dkim.Name(k.Selector, k.Domain), k.Where)
	}
}

// signedBy is a signature in the event.
func signedBy(domain string, selectors []string) string {
	if len(selectors) == 0 {
		return ""
	}
	return domain + ": " + strings.Join(selectors, " ")
}
