package control

import (
	"slices"
	"strings"
	"time"
)

// Rate is how many of something there may be in a span of time; the zero Rate
// is no limit.
type Rate struct {
	Most int64
	Per  time.Duration
}

// rateNames are the keys of control/rates.
func rateNames() []string {
	return []string{
		"client-connections", // from one address
		"client-messages",    // offered by one address
		"client-recipients",  // of them
		"user-messages",      // offered by one user
		"user-recipients",    // of them
		"login-failures",     // different wrong passwords for one account from one network
	}
}

// defaultRate is what holds where control/rates does not say.
func defaultRate(name string) Rate {
	switch name {
	case "client-connections":
		return Rate{300, time.Minute}
	case "login-failures":
		return Rate{20, time.Hour}
	}
	return Rate{}
}

// Rate returns the rate of that name.
func (c *Control) Rate(name string) (Rate, error) {
	if !slices.Contains(rateNames(), name) {
		return Rate{}, failFile("rates", "the program asks for %q, which the file cannot have", name)
	}
	t, _, err := load(c, ratesFile())
	if err != nil {
		return Rate{}, err
	}
	if r, ok := t[name]; ok {
		return r, nil
	}
	return defaultRate(name), nil
}

func ratesFile() file[map[string]Rate] {
	return file[map[string]Rate]{name: "rates", max: maxScalar, parse: parseRates}
}

func parseRates(name string, data []byte) (map[string]Rate, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	t := make(map[string]Rate, len(rs))
	for _, r := range rs {
		if !slices.Contains(rateNames(), r.key) {
			return nil, fail(name, r.n, "unknown key %q (%s)", r.key, strings.Join(rateNames(), ", "))
		}
		rate, wrong := parseRate(r.value)
		if wrong != "" {
			return nil, fail(name, r.n, "%s: %q %s", r.key, r.value, wrong)
		}
		t[r.key] = rate
	}
	return t, nil
}

// parseRate reads NUMBER/SPAN, or "none".
func parseRate(s string) (Rate, string) {
	const wrong = "is no rate (60/1m, 1000/1h, none)"
	if s == "none" {
		return Rate{}, ""
	}
	most, span, ok := strings.Cut(s, "/")
	if !ok {
		return Rate{}, wrong
	}
	n, bad := number(most, 1)
	per, worse := duration(span)
	if bad != "" || worse != "" || per == 0 || n > 1e9 {
		return Rate{}, wrong
	}
	return Rate{n, per}, ""
}
