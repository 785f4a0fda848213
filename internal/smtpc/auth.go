package smtpc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// maxCommand is the longest command line, with its CRLF, that every host reads
// (RFC 5321 4.5.3.1.4). A longer first response waits for the host's 334.
const maxCommand = 512

// Auth logs in with a mechanism (RFC 4954 4). initial is the first response, nil if the
// mechanism waits for a challenge. next answers a challenge; an error from it cancels
// the exchange and is wrapped by the returned error. No error contains a password or
// token: the Command of the *Error is "AUTH" and the mechanism.
func (s *Client) Auth(mechanism string, initial []byte, next func(challenge []byte) ([]byte, error)) error {
	name := "AUTH " + mechanism
	words, held := []string{"AUTH", mechanism}, false
	if initial != nil {
		if word := encode(initial); len(name)+len(word)+len(" \r\n") <= maxCommand {
			words = append(words, word)
		} else {
			held = true
		}
	}
	r, err := s.ask(s.conn.times.Hello, nil, words...)
	for ; err == nil && r.Code == 334; r, err = s.ask(s.conn.times.Hello, nil, words...) {
		answer, gone := initial, error(nil)
		if !held {
			answer, gone = respond(r, next)
		}
		if held = false; gone != nil {
			_, _ = s.ask(s.conn.times.Hello, nil, "*") // this asks the host to refuse
			return &Error{Command: name, Err: gone}
		}
		words = []string{base64.StdEncoding.EncodeToString(answer)}
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return &Error{Command: name, Reply: e.Reply, Err: e.Err}
	case r.Code != 235:
		return s.impossible(name, r)
	}
	return nil
}

// Mechanisms returns the SASL mechanisms that the host offers, in capitals.
func (s *Client) Mechanisms() []string { return strings.Fields(strings.ToUpper(s.offered["AUTH"])) }

// encode returns a first response as it is sent: an empty one is "=" (RFC 4954 4).
func encode(initial []byte) string {
	if len(initial) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(initial)
}

// respond answers the challenge in a 334.
func respond(r Reply, next func([]byte) ([]byte, error)) ([]byte, error) {
	_, text, _ := strings.Cut(r.Text, " ")
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("the challenge is not base64: %w", err)
	}
	return next(challenge)
}
