package control

import (
	"errors"
	"strings"
)

// Service is a line of control/services: a command that mailctl start runs.
type Service struct {
	Args  []string
	Where string // "control/services:1"
}

// Services returns the commands in the order of the file; none where it is
// absent.
func (c *Control) Services() ([]Service, error) {
	s, err := value[[]Service](c, "services")
	return append([]Service(nil), s...), err
}

func parseServices(name string, data []byte) ([]Service, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	var out []Service
	for _, l := range ls {
		args, err := words(l.text)
		if err != nil {
			return nil, fail(name, l.n, "%v", err)
		}
		if args[0] == "" || strings.HasPrefix(args[0], "-") {
			return nil, fail(name, l.n, "the line begins with no program")
		}
		out = append(out, Service{Args: args, Where: where(name, l.n)})
	}
	return out, nil
}

// words cuts a command line at its blanks. Single and double quotes keep
// blanks; there is no other syntax: no shell sees the line.
func words(s string) ([]string, error) {
	var out []string
	var word strings.Builder
	var quote byte
	inside := false
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case quote != 0 && b == quote:
			quote = 0
		case quote == 0 && (b == '"' || b == '\''):
			quote, inside = b, true
		case quote == 0 && (b == ' ' || b == '\t'):
			if inside {
				out = append(out, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteByte(b)
			inside = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if inside {
		out = append(out, word.String())
	}
	return out, nil
}
