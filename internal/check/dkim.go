package check

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"paperpath/internal/dkim"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// DKIM records what the signatures of a message say, what the DNS answers, and what that
// means. The error is nil if a signature is valid, temporary if one may be later.
func DKIM(ctx context.Context, r io.Reader, dns dkim.Resolver, now func() time.Time, t *explain.Trail) error {
	asked := &asking{dns: dns, answers: map[string]string{}}
	results, err := dkim.Verifier{DNS: asked, Now: now}.Verify(ctx, r)
	if err != nil {
		return fmt.Errorf("verify the signatures: %w", err)
	}
	worst := status.Refuse("5.7.20", "no signature is valid")
	valid := 0
	for i, res := range results {
		asked.explain(i+1, res, t)
		switch res.Status {
		case dkim.Pass:
			valid++
		case dkim.TempError:
			worst = status.Temp("4.7.20", "a key could not be fetched", nil)
		}
	}
	if len(results) == 0 {
		t.End("none: the message has no signature")
		return status.Refuse("5.7.20", "the message has no signature")
	}
	t.End(fmt.Sprintf("%d of %d signatures valid", valid, len(results)))
	if valid > 0 {
		return nil
	}
	return worst
}

// asking notes the answers of the DNS, where answers is there.
type asking struct {
	dns     dkim.Resolver
	mu      sync.Mutex
	answers map[string]string
}

// TXT implements dkim.Resolver.
func (a *asking) TXT(ctx context.Context, name string) ([]string, error) {
	records, err := a.dns.TXT(ctx, name)
	if a.answers == nil {
		return records, err
	}
	answer := "no text"
	switch {
	case err != nil:
		answer = err.Error()
	case len(records) > 0:
		answer = strings.Join(records, " | ")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[name] = answer
	return records, err
}

// explain records one signature: what it says, what was asked, and the result.
func (a *asking) explain(n int, r dkim.Result, t *explain.Trail) {
	said := fmt.Sprintf("%d", n)
	for _, tag := range [][2]string{{"d", r.Domain}, {"s", r.Selector}, {"a", r.Algorithm},
		{"i", r.Identity}, {"b", r.B}} {
		if tag[1] != "" {
			said += " " + tag[0] + "=" + tag[1]
		}
	}
	t.Add("signature", said, "")
	name := dkim.Name(r.Selector, r.Domain)
	if answer, ok := a.answers[name]; ok {
		t.Add("key", answer, "TXT "+name)
	}
	if r.KeyBits > 0 {
		t.Add("key size", fmt.Sprintf("%d bits", r.KeyBits), "")
	}
	text := string(r.Status)
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	if r.Status == dkim.Pass {
		text += ": " + r.Domain + " answers for the message, which is as it was"
	}
	t.Add("result", text, "")
}
