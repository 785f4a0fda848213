package control

import (
	"slices"
	"strings"
)

// Results says what our result fields have beside what the checks found.
type Results struct {
	Auth        bool // auth=pass for mail of users who logged in
	Login       bool // who they are
	ReceivedSPF bool // a Received-SPF field (RFC 7208 9.1)
}

// Results returns what our result fields have beside what the checks found.
func (c *Control) Results() (Results, error) { return one[Results](c, "results") }

// parseResults parses `none`, or some of `auth`, `login`, `received-spf`.
func parseResults(s string) (r Results, wrong string) {
	words := strings.Fields(s)
	if slices.Equal(words, []string{"none"}) {
		return r, ""
	}
	for i, word := range words {
		switch {
		case slices.Contains(words[:i], word):
			return Results{}, "names " + word + " twice"
		case word == "auth":
			r.Auth = true
		case word == "login":
			r.Auth, r.Login = true, true
		case word == "received-spf":
			r.ReceivedSPF = true
		default:
			return Results{}, "is neither none nor made of auth, login and received-spf"
		}
	}
	return r, ""
}
