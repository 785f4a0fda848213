package maildir

import (
	"strconv"
	"strings"
)

// Message is what the name of a file says about a message.
type Message struct {
	Key      string
	Name     string // file name
	Sub      string // "new" or "cur"
	Flags    string // letters after ":2,"
	Size     int64  // octets in the file (S=), -1 if the name does not say
	WireSize int64  // octets with CRLF line ends (W=), -1 if the name does not say
	Actual   int64  // octets in the file as Open found it; 0 before
	NewKey   string // its key from now on, if an earlier file has Key (SettleDuplicates); else ""
}

func parse(sub, name string) Message {
	base, info, _ := strings.Cut(name, ":")
	key, attrs, _ := strings.Cut(base, ",")
	m := Message{Key: key, Name: name, Sub: sub}
	m.Size, m.WireSize = sizes(attrs)
	if flags, ok := strings.CutPrefix(info, "2,"); ok {
		m.Flags = flags
	}
	return m
}

// sizes reads S= and W=. A size is -1 if it is missing, given twice or impossible: a
// W= that no file of S= octets can have.
func sizes(attrs string) (size, wire int64) {
	size, wire = -1, -1
	seen := [2]int{}
	for attrs != "" {
		var a string
		a, attrs, _ = strings.Cut(attrs, ",")
		if v, ok := strings.CutPrefix(a, "S="); ok {
			size = number(v)
			seen[0]++
		} else if v, ok := strings.CutPrefix(a, "W="); ok {
			wire = number(v)
			seen[1]++
		}
	}
	if seen[0] > 1 {
		size = -1
	}
	if seen[1] > 1 || size >= 0 && !plausible(size, wire) {
		wire = -1
	}
	return size, wire
}

// plausible reports whether a file of size octets can have wire octets with CRLF line
// ends: each line end becomes two octets, every other octet stays one.
func plausible(size, wire int64) bool { return size <= wire && wire/2 <= size && wire <= 2*size }

// sizeBits are enough for the size of any message, and few enough that the sizes of
// all messages in a mailbox can be added up.
const sizeBits = 40

// number parses a size; it is -1 if no message can have it.
func number(s string) int64 {
	n, err := strconv.ParseUint(s, 10, sizeBits)
	if err != nil {
		return -1
	}
	return int64(n)
}

// base returns the name without what mail readers append. It survives a move.
func (m Message) base() string {
	base, _, _ := strings.Cut(m.Name, ":")
	return base
}

// info returns what mail readers append, with its colon, or "".
func (m Message) info() string { return m.Name[len(m.base()):] }

// read returns the name for cur/, with the flags unchanged.
func (m Message) read() string {
	if m.info() == "" {
		return m.Name + ":2,"
	}
	return m.Name
}

// sized returns the name with both sizes. A valid S= stays. A W= other than wire, which
// was measured, is replaced, and an invalid size is left out.
func (m Message) sized(size, wire int64) string {
	attrs := strings.Split(m.base(), ",")
	base := attrs[0]
	for _, a := range attrs[1:] {
		if strings.HasPrefix(a, "S=") && m.Size < 0 || strings.HasPrefix(a, "W=") && m.WireSize != wire {
			continue
		}
		base += "," + a
	}
	if m.Size < 0 {
		base += ",S=" + strconv.FormatInt(size, 10)
	}
	if m.WireSize != wire {
		base += ",W=" + strconv.FormatInt(wire, 10)
	}
	return base + m.info()
}

// same reports whether o may be m after another program has renamed it: the key is
// the same, and no size differs.
func (m Message) same(o Message) bool {
	differ := func(a, b int64) bool { return a >= 0 && b >= 0 && a != b }
	return m.Key == o.Key && !differ(m.Size, o.Size) && !differ(m.WireSize, o.WireSize)
}
