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

// rateKeys are the rows of control/rates.
func rateKeys() []Key {
	return []Key{
		{Name: "client-connections", Default: "300/1m"}, // from one address
		{Name: "client-messages", Default: "none"},      // offered by one address
		{Name: "client-recipients", Default: "none"},    // of them
		{Name: "user-messages", Default: "none"},        // offered by one user
		{Name: "user-recipients", Default: "none"},      // of them
		{Name: "login-failures", Default: "20/1h"},      // different wrong passwords for one account from one network
	}
}

// Rate returns the rate of that name.
func (c *Control) Rate(name string) (Rate, error) {
	i := slices.IndexFunc(rateKeys(), func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Rate{}, failFile("rates", "the program asks for %q, which the file cannot have", name)
	}
	t, err := value[map[string]Rate](c, "rates")
	if err != nil {
		return Rate{}, err
	}
	if r, ok := t[name]; ok {
		return r, nil
	}
	r, _ := parseRate(rateKeys()[i].Default)
	return r, nil
}

func parseRates(name string, data []byte) (map[string]Rate, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	t := make(map[string]Rate, len(rs))
	for _, r := range rs {
		if !slices.Contains(names(rateKeys()), r.key) {
			return nil, fail(name, r.n, "unknown key %q (%s)", r.key, strings.Join(names(rateKeys()), ", "))
		}
		rate, wrong := parseRate(r.value)
		if wrong != "" {
			return nil, fail(name, r.n, "%s: %q %s", r.key, r.value, wrong)
		}
		t[r.key] = rate
	}
	return t, nil
}

// parseRate parses NUMBER/SPAN, or "none".
func parseRate(s string) (Rate, string) {
	const wrong = "is not a rate (60/1m, 1000/1h, none)"
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
