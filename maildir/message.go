package maildir

import (
	"slices"
	"strconv"
	"strings"
)

// Message is a message as its name tells it.
type Message struct {
	Key      string
	Name     string // file name
	Sub      string // "new" or "cur"
	Flags    string // letters behind ":2,"
	Size     int64  // octets in the file (S=), -1 where the name does not say
	WireSize int64  // octets with CRLF line ends (W=), -1 where the name does not say
	Actual   int64  // octets in the file as Open found it; 0 before
	Fresh    string // the key that it has yet to be given, since an earlier file has Key (Untwin); "" for none
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

// sizes reads S= and W=, each -1 where the name does not say it or cannot mean
// it: with two values, or a W= that no file of S= octets has.
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
	if seen[1] > 1 || size >= 0 && !Plausible(size, wire) {
		wire = -1
	}
	return size, wire
}

// Plausible reports whether a file of size octets can have wire of them with
// CRLF line ends: each octet that ends a line becomes two, and all others stay.
func Plausible(size, wire int64) bool { return size <= wire && wire/2 <= size && wire <= 2*size }

// sizeBits are more than the size of a message takes, and so few that those of
// a mailbox can be added up.
const sizeBits = 40

// number reads a size; it is -1 for what no message has.
func number(s string) int64 {
	n, err := strconv.ParseUint(s, 10, sizeBits)
	if err != nil {
		return -1
	}
	return int64(n)
}

// base is the name without what readers append; a move keeps it.
func (m Message) base() string {
	base, _, _ := strings.Cut(m.Name, ":")
	return base
}

// info is what readers append, with its colon; "" for none.
func (m Message) info() string { return m.Name[len(m.base()):] }

// seen is the name with the flag S. Info of another kind than ":2," stays.
func (m Message) seen() string {
	if info := m.info(); info != "" && !strings.HasPrefix(info, ":2,") {
		return m.Name
	}
	flags := []rune(m.Flags + "S")
	slices.Sort(flags)
	return m.base() + ":2," + string(slices.Compact(flags))
}

// read is the name that the message has in cur/ with the flags that it has.
func (m Message) read() string {
	if m.info() == "" {
		return m.Name + ":2,"
	}
	return m.Name
}

// sized is the name with both sizes. S= stays where it is one; a W= that is not
// wire, which was measured, goes, and so does what cannot be meant.
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

// same reports whether o may be m after another program has renamed it: the
// key is the same, and no size speaks against it.
func (m Message) same(o Message) bool {
	differ := func(a, b int64) bool { return a >= 0 && b >= 0 && a != b }
	return m.Key == o.Key && !differ(m.Size, o.Size) && !differ(m.WireSize, o.WireSize)
}
