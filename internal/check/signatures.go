package check

import (
	"context"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/authres"
	"paperpath/internal/dkim"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// dkimCheck verifies the signatures of the message as it came. By itself a bad signature
// means no more than none (RFC 6376 6.3).
type dkimCheck struct{}

// Name implements Check.
func (dkimCheck) Name() string { return "dkim" }

// Ask implements Check.
func (dkimCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	asked := &asking{dns: q.DNS}
	if q.Trail != nil {
		asked.answers = map[string]string{}
	}
	text := io.NewSectionReader(m.Body, 0, m.Body.Size())
	v := dkim.Verifier{DNS: asked, Now: m.Now, Keys: m.keys}
	if m.HeaderErr == nil && len(m.Header.Fields) > 0 { // else it may begin elsewhere for us
		v.Header = m.Header
	}
	results, err := v.Verify(ctx, text)
	if errors.Is(err, message.ErrTooLong) || errors.Is(err, message.ErrTooMany) {
		return unread(m, err)
	}
	if err != nil {
		return Finding{Err: fmt.Errorf("verify the signatures: %w", err)}
	}
	m.DKIM, m.dkimDone = results, true
	if len(results) == 0 {
		q.Trail.Add("dkim", "no signature", "")
		return Finding{Result: "none", Reason: "the message has no signature",
			Methods: []authres.Method{{Name: "dkim", Result: "none"}}}
	}
	f := Finding{}
	var best dkim.Status
	var away error
	for i, r := range results {
		if q.Trail != nil {
			asked.explain(i+1, r, q.Trail)
		}
		f.Methods = append(f.Methods, dkimMethod(r))
		if i == 0 || r.Status == dkim.Pass || r.Status == dkim.TempError && best != dkim.Pass {
			best, f.Reason, away = r.Status, r.Reason, r.Err
		}
	}
	f.Result = string(best)
	switch best {
	case dkim.Pass:
	case dkim.TempError:
		f.Err = status.Temp("4.7.20", "DKIM: a key could not be fetched", away)
	default:
		f.Fails, f.Err = true, refuseMail("5.7.20", "DKIM: no signature is valid (RFC 6376)")
	}
	return f
}

// unread is the finding for a header that control/limits allows, but nobody verifies. That is
// no trouble which may pass: a policy counts, or every forger would write such a header.
func unread(m *Case, err error) Finding {
	m.dkimDone = true
	return Finding{Fails: true, Result: string(dkim.PermError), Reason: err.Error(),
		Err:     refuseMail("5.7.20", "DKIM: "+err.Error()),
		Methods: []authres.Method{{Name: "dkim", Result: string(dkim.PermError), Comment: err.Error()}}}
}

// dkimMethod is the result for Authentication-Results (RFC 8601 2.7.1, RFC 6008).
func dkimMethod(r dkim.Result) authres.Method {
	comment := r.Reason
	if r.KeyBits > 0 && r.Status == dkim.Pass {
		comment = fmt.Sprintf("%d-bit key", r.KeyBits)
	}
	return authres.Method{Name: "dkim", Result: string(r.Status), Comment: comment,
		Properties: []authres.Property{
			{Name: "header.d", Value: r.Domain}, authres.Mailbox("header.i", r.Identity),
			{Name: "header.s", Value: r.Selector}, {Name: "header.b", Value: r.B},
			{Name: "header.a", Value: r.Algorithm}}}
}
