package auth

import (
	"context"
	"errors"
	"io"
	"testing"
)

// anyone is a Verifier that knows alice and her password, and no other user.
type anyone struct{ Verifier }

func (anyone) Password(_ context.Context, login, password string) error {
	if login != "alice" || password != "secret" {
		return refused()
	}
	return nil
}

func TestRun(t *testing.T) {
	const plain, wrong = "AGFsaWNlAHNlY3JldA==", "AGFsaWNlAHgA"
	for _, tt := range []struct {
		name, mechanism, initial string
		lines                    []string // the client's; then the connection is lost
		challenges               int
		want                     error // nil: alice
	}{
		{"with the command", Plain, plain, nil, 0, nil},
		{"asked for", Plain, "", []string{plain}, 1, nil},
		{"LOGIN", Login, "", []string{"YWxpY2U=", "c2VjcmV0"}, 2, nil},
		{"LOGIN with a name", Login, "YWxpY2U=", []string{"c2VjcmV0"}, 1, nil},
		{"wrong password", Login, "YWxpY2U=", []string{"eA=="}, 1, refused()},
		{"empty with the command", Plain, "=", nil, 0, Malformed("invalid PLAIN response")},
		{"malformed", Plain, wrong, nil, 0, Malformed("invalid PLAIN response")},
		{"no base64", Plain, "*", nil, 0, ErrBase64},
		{"no base64 when asked", Plain, "", []string{"?"}, 1, ErrBase64},
		{"cancelled", Plain, "", []string{"*"}, 1, ErrCancelled},
		{"cancelled late", Login, "", []string{"YWxpY2U=", "*"}, 2, ErrCancelled},
		{"too long", Plain, "", []string{"long"}, 1, ErrLongLine},
		{"lost", Login, "", []string{"YWxpY2U="}, 2, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := Start(tt.mechanism, Peer{Private: true}, anyone{})
			if err != nil {
				t.Fatal(err)
			}
			challenges := 0
			err = x.Run(t.Context(), tt.initial, func(string) (line string, err error) {
				if challenges++; challenges > len(tt.lines) {
					return "", io.EOF
				}
				if line = tt.lines[challenges-1]; line == "long" {
					return "", ErrLongLine
				}
				return line, nil
			})
			var lost *Lost
			switch {
			case challenges != tt.challenges:
				t.Errorf("%d challenges", challenges)
			case tt.want == nil && (err != nil || x.Login() != "alice"):
				t.Errorf("%v, login %q", err, x.Login())
			case IsWrong(tt.want) != IsWrong(err), !IsWrong(err) && !errors.Is(err, tt.want):
				t.Errorf("%v", err)
			case errors.As(err, &lost) != (tt.want == io.EOF):
				t.Errorf("lost: %v", err)
			}
		})
	}
}
