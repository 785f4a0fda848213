package dmarc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// counted counts the queries for each name.
type counted struct {
	zone
	asked map[string]int
}

func (c counted) TXT(ctx context.Context, name string) ([]string, error) {
	c.asked[name]++
	return c.zone.TXT(ctx, name)
}

// model is RFC 9989 read aloud, without caches and short cuts.
type model struct{ z zone }

func (m model) record(name string) *Record {
	var found []*Record
	for text := range strings.SplitSeq(m.z["_dmarc."+name], "|") {
		if r, err := Parse(text); err == nil {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// walk returns the names with records, the longest first (4.10).
func (m model) walk(name string) (at []string) {
	for first := true; name != ""; first = false {
		if r := m.record(name); r != nil {
			at = append(at, name)
			if r.PSD != 'u' {
				return at
			}
		}
		labels := strings.Split(name, ".")
		switch {
		case first && len(labels) >= 8:
			name = strings.Join(labels[len(labels)-7:], ".")
		default:
			name = strings.Join(labels[1:], ".")
		}
	}
	return at
}

// org is 4.10.2, steps 1 to 3.
func (m model) org(name string) string {
	at := m.walk(name)
	for _, found := range at {
		if m.record(found).PSD == 'n' {
			return found
		}
		if m.record(found).PSD == 'y' && found != name {
			labels := strings.Split(name, ".")
			return strings.Join(labels[len(labels)-strings.Count(found, ".")-2:], ".")
		}
	}
	if len(at) == 0 {
		return name
	}
	return slices.MinFunc(at, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") })
}

// says is what Domain says about mail with an identity that passed (4.10.1, 4.4, 4.7).
func (m model) says(domain, by string) string {
	at := domain
	if m.record(at) == nil {
		at = m.org(domain)
	}
	if m.record(at) == nil {
		_, at, _ = strings.Cut(at, ".") // of the public suffix domain
		if !slices.Contains(m.walk(domain), at) || m.record(at).PSD != 'y' {
			return "none"
		}
	}
	r := m.record(at)
	policy, tag := r.P, "p"
	_, err := m.z.TXT(context.Background(), domain)
	switch gone := err != nil && strings.Contains(err.Error(), "no such domain"); {
	case at == domain:
	case gone && r.NP != "":
		policy, tag = r.NP, "np"
	case r.SP != "":
		policy, tag = r.SP, "sp"
	}
	if by == domain || by != "" && !r.ADKIM && m.org(by) == m.org(domain) {
		return fmt.Sprintf("pass %s@%s by dkim:%s", tag, at, by)
	}
	if r.Testing {
		policy = map[Policy]Policy{Reject: Quarantine, Quarantine: None, None: None}[policy]
	}
	return fmt.Sprintf("fail %s %s@%s", policy, tag, at)
}

func name(t *rapid.T, what string) string {
	labels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 1, 10).Draw(t, what)
	return strings.Join(labels, ".")
}

// On random zones the result is that of the model, no tree walk asks more than eight
// names, none is asked twice, and without a passing identity nothing passes.
func TestModel(t *testing.T) {
	saw := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		z := zone{}
		domain := name(t, "author")
		pick := func(of []string) string { return rapid.SampledFrom(of).Draw(t, "tag") }
		for range rapid.IntRange(0, 4).Draw(t, "records") {
			at := name(t, "at")
			if labels := strings.Split(domain, "."); rapid.Bool().Draw(t, "above") {
				at = strings.Join(labels[rapid.IntRange(0, len(labels)-1).Draw(t, "cut"):], ".")
			}
			z["_dmarc."+at] = "v=DMARC1" + pick([]string{"; p=none", "; p=reject", "; p=quarantine"}) +
				pick([]string{"", "", "; psd=y", "; psd=n"}) + pick([]string{"", "; sp=none", "; sp=reject"}) +
				pick([]string{"", "; np=quarantine"}) + pick([]string{"", "", "; adkim=s"}) + pick([]string{"", "; t=y"})
			if rapid.Bool().Draw(t, "exists") {
				z[at] = ""
			}
		}
		by := rapid.SampledFrom([]string{"", domain, name(t, "id"), "a." + domain, "b.a." + domain}).Draw(t, "by")
		c := counted{z, map[string]int{}}
		var list []Identity
		if by != "" {
			list = ids("dkim:" + by)
		}
		got := Domain(context.Background(), c, domain, list)
		want := model{z}.says(domain, by)
		if says(got) != want {
			t.Fatalf("%s by %s in %v: %s, want %s", domain, by, z, says(got), want)
		}
		walks := 1
		if by != "" && by != domain {
			walks = 2
		}
		for name, n := range c.asked {
			if n > 1 || len(c.asked) > walks*maxQueries+1 {
				t.Fatalf("asked %s %d times, %d names", name, n, len(c.asked))
			}
		}
		word, _, _ := strings.Cut(want, " ")
		saw[word+fmt.Sprint(by == domain)] = true
	})
	for _, want := range []string{"pass true", "pass false", "fail false", "none false"} {
		if !saw[strings.Replace(want, " ", "", 1)] {
			t.Errorf("no case of %s", want)
		}
	}
}
