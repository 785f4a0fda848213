package smtpc

import "slices"

// said is what a host says about itself, for people who want to see it.
type said struct {
	greeting Reply
	hello    []string
}

// Greeting is the first reply of the host.
func (s *Client) Greeting() Reply { return s.said.greeting }

// Hello returns the lines of the reply to the last EHLO, or HELO, as they came.
func (s *Client) Hello() []string { return slices.Clone(s.said.hello) }
