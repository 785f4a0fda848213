package spool

import (
	"fmt"
	"strconv"
	"strings"
)

// fileName is the name of an entry's file: KEY,S=size,W=wire.
type fileName struct {
	key  Key
	size int64 // octets in the file
	wire int64 // octets with CRLF line ends
}

func (n fileName) String() string { return string(n.append(make([]byte, 0, usualName))) }

// usualName has room for most names: each entry is looked for under several.
const usualName = 128

func (n fileName) append(to []byte) []byte {
	to = append(append(to, n.key...), ",S="...)
	to = append(strconv.AppendInt(to, n.size, 10), ",W="...)
	return strconv.AppendInt(to, n.wire, 10)
}

// in is the name in a state's directory: in cur/ with ":2,", as Maildir has it.
func (n fileName) in(s state) string {
	if s == stateDeferred {
		return n.String() + ":2,"
	}
	return n.String()
}

// parseName reads the name of a file in an inbox. From the first ':' on it may
// hold what a mail reader appended.
func parseName(name string) (fileName, error) {
	base, _, _ := strings.Cut(name, ":")
	key, sizes, _ := strings.Cut(base, ",")
	k, err := ParseKey(key)
	if err != nil {
		return fileName{}, err
	}
	s, w, ok := strings.Cut(sizes, ",W=")
	s, sized := strings.CutPrefix(s, "S=")
	n := fileName{key: k}
	if n.size, err = parseSize(s); err == nil {
		n.wire, err = parseSize(w)
	}
	if err != nil || !ok || !sized {
		return fileName{}, fmt.Errorf("%q does not end in ,S=size,W=size", name)
	}
	return n, nil
}

// parseSize reads a size in the one way in which it is written.
func parseSize(s string) (int64, error) {
	if len(s) > 1 && s[0] == '0' {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(s, 10, 62)
	return int64(n), err
}
