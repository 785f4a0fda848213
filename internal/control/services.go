package control

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Service is a line of control/services: a command that mailctl start runs.
type Service struct {
	Args  []string
	Where string // "control/services:1"
}

// Services returns the commands in the order of the file, without broken rows: a
// caller that stops what is not among them must ask Faults. There are none if the
// file is absent.
func (c *Control) Services() ([]Service, error) {
	t, _, err := load(c, servicesFile(c))
	if err != nil {
		return nil, err
	}
	return t.in().list(), nil
}

func servicesFile(c *Control) file[contents[Service]] { return servicesTable().file(c) }

// servicesTable has one command a line. Nothing is looked up by key.
func servicesTable() table[Service] {
	return table[Service]{
		name: "services", repeats: true,
		form: "a row is a command, such as `mailroute watch`",
		key:  func(string) string { return "" },
		parse: func(where, text string) ([]entry[Service], error) {
			args, err := words(strings.Trim(text, " \t"))
			if err != nil {
				return nil, err
			}
			if len(args) == 0 || args[0] == "" || strings.HasPrefix(args[0], "-") {
				return nil, errors.New("the line begins with no program")
			}
			if err := stays(args); err != nil {
				return nil, err
			}
			return []entry[Service]{{"", Service{Args: args, Where: where}}}, nil
		},
	}
}

// stays is an error if the command is one of our programs and would do its work and
// exit: mailctl start would run it again and again.
func stays(args []string) error {
	name := filepath.Base(args[0])
	switch name {
	case "mailcheck", "mailroute", "maildeliver", "mailrelay":
		if !slices.Contains(args[1:], "watch") {
			return fmt.Errorf("%s does not stay without the verb watch: `%s watch` does", name, name)
		}
	case "mailsubmit":
		if !slices.Contains(args[1:], "smtp") || !listens(args) {
			return errors.New("mailsubmit does not stay: `mailsubmit smtp --listen ADDRESS:PORT` does")
		}
	case "pop3d":
		if !listens(args) {
			return errors.New("pop3d does not stay: `pop3d --listen ADDRESS:PORT` does")
		}
	case "mailctl":
		return errors.New("mailctl is no service")
	}
	return nil
}

// listens reports whether a server's command line names an address to listen on.
func listens(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		name, _, _ := strings.Cut(a, "=")
		return name == "--listen" || name == "--listen-tls"
	})
}

// words splits a command line at its blanks. Single and double quotes protect blanks;
// there is no other syntax, since no shell sees the line.
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
