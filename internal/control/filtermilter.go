package control

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"paperpath/internal/message"
)

// MilterOptions are the options that only a milter has.
type MilterOptions struct {
	Connect     time.Duration // for the connection
	End         time.Duration // for the answer at the end of a message
	Connections int           // of one process, at the same time
	JunkName    string        // a field by which the milter says that a message is junk; "": none
	JunkValue   string        // what its value begins with then; "": whatever it says
}

// What holds if a row does not say.
const (
	milterConnect     = 10 * time.Second
	milterEnd         = 3 * time.Minute
	milterConnections = 500
)

// milterOptions are their names.
var milterOptions = []string{"connect", "connections", "end", "junk"}

func (m *MilterOptions) option(name, value string) error {
	switch name {
	case "connect":
		return timeOption(name, value, &m.Connect)
	case "end":
		return timeOption(name, value, &m.End)
	case "connections":
		n, wrong := number(value, 1)
		switch {
		case wrong != "":
			return fmt.Errorf("connections=%s %s", value, wrong)
		case m.Connections != 0:
			return errors.New("connections= is there twice")
		}
		m.Connections = int(min(n, 1<<20))
		return nil
	}
	return m.junk(value)
}

// junk takes "X-Spam: Yes", the field and what its value begins with.
func (m *MilterOptions) junk(value string) error {
	field, rest, isField := message.CutField([]byte(value))
	switch {
	case m.JunkName != "":
		return errors.New("junk= is there twice")
	case !isField:
		return fmt.Errorf("junk=%s is not a field and the beginning of its value (\"junk=X-Spam: Yes\")", value)
	}
	m.JunkName, m.JunkValue = field, strings.Join(strings.Fields(string(rest)), " ")
	return nil
}

func (m *MilterOptions) complete() {
	setOnce(&m.Connect, milterConnect)
	setOnce(&m.End, milterEnd)
	setOnce(&m.Connections, milterConnections)
}

func setOnce[T time.Duration | int](to *T, value T) {
	if *to == 0 {
		*to = value
	}
}

// timeOption sets an option that is a time.
func timeOption(name, value string, to *time.Duration) error {
	d, wrong := duration(value)
	switch {
	case wrong != "":
		return fmt.Errorf("%s=%s %s", name, value, wrong)
	case d < time.Second || d > mostTime:
		return fmt.Errorf("%s=%s is not between 1s and 4m", name, value)
	case *to != 0:
		return fmt.Errorf("%s= is there twice", name)
	}
	*to = d
	return nil
}

// IsJunk reports whether a field that the milter has added or changed says that the
// message is junk.
func (m MilterOptions) IsJunk(name, value string) bool {
	if m.JunkName == "" || !strings.EqualFold(name, m.JunkName) {
		return false
	}
	value = strings.Join(strings.Fields(value), " ")
	return len(value) >= len(m.JunkValue) && strings.EqualFold(value[:len(m.JunkValue)], m.JunkValue)
}
