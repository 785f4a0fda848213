package mailctl

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/status"
)

// DKIM makes and shows the keys that sign mail.
type DKIM struct {
	Control *control.Control
	DNS     dkim.Resolver
	Now     time.Time
	Out     io.Writer
	Notes   io.Writer // what a person should know

	generate func(algorithm string) ([]byte, error) // nil: dkim.Generate
}

const (
	lookupTime  = 10 * time.Second   // for all records together
	recordStays = 7 * 24 * time.Hour // for mail that other hosts have not verified yet
)

// pairs are what New makes: the end of a selector, and its algorithm.
var pairs = [...][2]string{{"rsa", dkim.RSA}, {"ed25519", dkim.Ed25519}}

// New makes a pair of keys for a domain and prints their records. They do not sign yet.
func (d DKIM) New(domain string) error {
	selectors, err := d.makePair(domain)
	if err != nil {
		return err
	}
	if err := d.records(domain, selectors); err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.Notes, "put these records into the DNS, then: mailctl dkim activate %s\n", domain)
	return err
}

// makePair makes keys under selectors that nobody has used: the day, a number if it is
// not the first pair of the day, and the algorithm.
func (d DKIM) makePair(domain string) ([]string, error) {
	all, _, err := d.Control.DKIMSelectors(domain)
	if all == nil && err != nil {
		return nil, err
	}
	newest, day := pairName{}, pairName{day: d.Now.UTC().Format("20060102"), number: 1}
	for _, s := range all {
		if p, ok := parsePair(s); ok && p.day == day.day && newest.before(p) {
			newest = p
		}
	}
	day.number = max(day.number, newest.number+1)
	generate := d.generate
	if generate == nil {
		generate = dkim.Generate
	}
	var made []string
	for _, kind := range pairs {
		text, err := generate(kind[1])
		if err != nil {
			return made, fmt.Errorf("make a key: %w", err)
		}
		selector := day.String() + "-" + kind[0]
		if err := d.Control.AddDKIMKey(domain, selector, text); err != nil {
			return made, err
		}
		made = append(made, selector)
	}
	return made, nil
}

// pairName is what the selectors of a pair have in common.
type pairName struct {
	day    string
	number int // of the day's pairs, from 1
}

func (p pairName) String() string {
	if p.number == 1 {
		return p.day
	}
	return p.day + "-" + strconv.Itoa(p.number)
}

func (p pairName) before(q pairName) bool {
	return p.day < q.day || p.day == q.day && p.number < q.number
}

// parsePair reads a selector that makePair made.
func parsePair(selector string) (p pairName, ok bool) {
	words := strings.Split(selector, "-")
	known := slices.ContainsFunc(pairs[:], func(kind [2]string) bool { return kind[0] == words[len(words)-1] })
	if _, err := time.Parse("20060102", words[0]); err != nil || !known {
		return p, false
	}
	p = pairName{day: words[0], number: 1}
	if len(words) == 3 {
		p.number, _ = strconv.Atoi(words[1])
	}
	return p, len(words) == 2 || len(words) == 3 && p.number > 1 && words[1] == strconv.Itoa(p.number)
}

// newest returns the selectors of the newest pair, that of the RSA key first: its
// signature is then the upper one, which a receiver that verifies only one verifies.
func newest(selectors []string) (pair []string) {
	var last pairName
	for _, s := range selectors {
		if p, ok := parsePair(s); ok && last.before(p) {
			last = p
		}
	}
	for _, kind := range pairs {
		if s := last.String() + "-" + kind[0]; slices.Contains(selectors, s) {
			pair = append(pair, s)
		}
	}
	return pair
}

// Activate makes a key sign, or the newest pair. It looks for the records and warns if
// receivers would not find them, but does as it is told: they may be on their way.
func (d DKIM) Activate(ctx context.Context, domain, selector string) error {
	all, _, err := d.Control.DKIMSelectors(domain)
	if all == nil && err != nil {
		return err
	}
	on := []string{selector}
	switch {
	case len(all) == 0:
		return refused("%s has no key (mailctl dkim new %s)", domain, domain)
	case selector == "":
		on = newest(all)
	case !slices.Contains(all, selector):
		return refused("%s has no key %s (there is: %s)", domain, selector, strings.Join(all, " "))
	}
	if len(on) == 0 {
		return refused("no key of %s is from mailctl dkim new, so name the SELECTOR (there is: %s)", domain,
			strings.Join(all, " "))
	}
	for _, s := range on {
		if _, err := d.Control.DKIMKey(domain, s); err != nil {
			return err
		}
	}
	if err := d.Control.SetDKIMActive(domain, on, nil); err != nil {
		return err
	}
	for i, why := range d.published(ctx, domain, on) {
		if why != nil {
			fmt.Fprintf(d.Notes, "warning: receivers cannot verify %s yet: %v\n", on[i], why)
		}
	}
	return d.tell(domain)
}

// tell prints which keys sign now.
func (d DKIM) tell(domain string) error {
	_, active, err := d.Control.DKIMSelectors(domain)
	if err != nil {
		return err
	}
	if len(active) == 0 {
		active = []string{"nothing"}
	}
	_, err = fmt.Fprintf(d.Out, "%s: signed by %s\n", domain, strings.Join(active, " "))
	return err
}

// Retire ends the signatures of a key, or of all but the newest active pair.
func (d DKIM) Retire(domain, selector string) error {
	_, active, err := d.Control.DKIMSelectors(domain)
	if err != nil {
		return err
	}
	off := []string{selector}
	switch {
	case selector == "":
		last := newest(active)
		off = slices.DeleteFunc(slices.Clone(active), func(s string) bool { return slices.Contains(last, s) })
	case !slices.Contains(active, selector):
		return refused("%s does not sign mail of %s", selector, domain)
	}
	if len(off) == 0 || len(off) == len(active) && selector == "" {
		return refused("%s has no older key that signs (name the SELECTOR to retire the newest)", domain)
	}
	if err := d.Control.SetDKIMActive(domain, nil, off); err != nil {
		return err
	}
	for _, s := range off {
		fmt.Fprintf(d.Notes, "keep the record %s until %s: mail that it signed is still on its way\n",
			dkim.Name(s, domain), d.Now.Add(recordStays).UTC().Format("2006-01-02"))
	}
	return d.tell(domain)
}

// Show prints keys and their records, and whether they sign and are published.
func (d DKIM) Show(ctx context.Context, domain, selector string) error {
	all, active, err := d.Control.DKIMSelectors(domain)
	switch {
	case err != nil:
		return err
	case len(all) == 0:
		return refused("%s has no key (mailctl dkim new %s)", domain, domain)
	case selector != "" && !slices.Contains(all, selector):
		return refused("%s has no key %s (there is: %s)", domain, selector, strings.Join(all, " "))
	case selector != "":
		all = []string{selector}
	}
	published := d.published(ctx, domain, all)
	for i, s := range all {
		state, found := "does not sign", "is published"
		if slices.Contains(active, s) {
			state = "signs"
		}
		if published[i] != nil {
			found = "is not published: " + published[i].Error()
		}
		if _, err := fmt.Fprintf(d.Out, "; %s %s and %s\n", s, state, found); err != nil {
			return err
		}
		if err := d.records(domain, []string{s}); err != nil {
			return err
		}
	}
	return nil
}

// List prints the keys of all domains.
func (d DKIM) List() error {
	domains, err := d.Control.DKIMDomains()
	if err != nil {
		return err
	}
	if len(domains) == 0 { // no keys, or no settings at all
		_, err := d.Control.Domains()
		return err
	}
	for _, domain := range domains {
		all, active, err := d.Control.DKIMSelectors(domain)
		if err != nil {
			return err
		}
		for _, s := range all {
			state := "does not sign"
			if slices.Contains(active, s) {
				state = "signs"
			}
			if _, err := fmt.Fprintf(d.Out, "%s %s %s\n", domain, s, state); err != nil {
				return err
			}
		}
	}
	return nil
}

// published looks for the record of each key, and returns what is wrong with it.
func (d DKIM) published(ctx context.Context, domain string, selectors []string) []error {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	wrong := make([]error, len(selectors))
	for i, s := range selectors {
		key, err := d.Control.DKIMKey(domain, s)
		if err == nil {
			var records []string
			if records, err = d.DNS.TXT(ctx, dkim.Name(s, domain)); err == nil {
				err = dkim.Publishes(records, key.Public())
			}
		}
		wrong[i] = err
	}
	return wrong
}

// maxString is how long a string of a TXT record can be (RFC 1035 3.3).
const maxString = 255

// records prints the records of keys as lines of a zone.
func (d DKIM) records(domain string, selectors []string) error {
	for _, s := range selectors {
		key, err := d.Control.DKIMKey(domain, s)
		if err != nil {
			return err
		}
		text, err := dkim.Record(key.Public())
		if err != nil {
			return status.Temp("4.3.5", fmt.Sprintf("control/dkim/%s/%s.pem cannot sign mail", domain, s), err)
		}
		var parts []string
		for len(text) > maxString {
			parts, text = append(parts, `"`+text[:maxString]+`"`), text[maxString:]
		}
		parts = append(parts, `"`+text+`"`)
		line := fmt.Sprintf("%s. IN TXT %s\n", dkim.Name(s, domain), strings.Join(parts, " "))
		if _, err := io.WriteString(d.Out, line); err != nil {
			return err
		}
	}
	return nil
}
