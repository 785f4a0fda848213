package parts

import (
	"cmp"
	"encoding/hex"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// parameters returns all that the parameters of a field may be, by name in lower case:
// with quotes respected or not, of a name that is there twice both, with the pieces of
// RFC 2231 3 put together and its encoding (4) undone.
func parameters(text string) readings {
	all := readings{"name": {}, "filename": {}, "boundary": {}}
	if _, strict, err := mime.ParseMediaType(text); err == nil || strict != nil {
		for name, value := range strict {
			if all[name] != nil {
				all[name].add(value)
			}
		}
	}
	_, rest, _ := strings.Cut(text, ";")
	all.take(splitParams(rest, ";"))
	if strings.Contains(rest, `"`) {
		all.take(strings.Split(rest, ";"))
	}
	// Careless ones write other signs, or forget the semicolon or what stands before it.
	all.take(splitParams(text, "; \t,"))
	return all
}

// readings has all that the parameters of a field may be.
type readings map[string]*set

// take takes parameters.
func (all readings) take(words []string) {
	var pieces []piece
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			continue
		}
		name = strings.ToLower(strings.Trim(name, " \t\""))
		base, section, continued := strings.Cut(name, "*")
		base = strings.TrimRight(base, " \t")
		if all[base] == nil {
			continue
		}
		if continued {
			pieces = append(pieces, newPiece(base, section, value))
			continue
		}
		all[base].add(unquoted(value)...)
	}
	join(pieces, all)
}

// splitParams splits text at these signs where they are not inside quotes.
func splitParams(text, signs string) []string {
	var list []string
	begin, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(signs, c) >= 0:
			list = append(list, text[begin:i])
			begin = i + 1
		}
	}
	return append(list, text[begin:])
}

// unquoted returns the readings of a value: a quoted string with its backslashes undone or
// not, closed or not; without quotes, up to the first blank or to its end.
func unquoted(value string) []string {
	value = strings.Trim(value, " \t")
	inside, ok := strings.CutPrefix(value, `"`)
	if !ok {
		first, _, _ := strings.Cut(value, " ")
		return add(nil, value, first, strings.Trim(value, `'`))
	}
	var b strings.Builder
	end := len(inside)
	for i := 0; i < len(inside); i++ {
		c := inside[i]
		if c == '"' {
			end = i
			break
		}
		if c == '\\' && i+1 < len(inside) {
			i++
			c = inside[i]
		}
		b.WriteByte(c)
	}
	return add(nil, b.String(), inside[:end], strings.ReplaceAll(inside, `"`, ""))
}

// piece is a parameter with an asterisk.
type piece struct {
	name   string
	number int // -1: there is none
	value  []string
}

// newPiece reads `name*=`, `name*0=` or `name*0*=`.
func newPiece(name, section, value string) piece {
	p := piece{name: name, number: -1, value: unquoted(value)}
	section = strings.TrimRight(section, "* \t")
	if n, err := strconv.Atoi(section); err == nil {
		p.number = n
	}
	return p
}

// join puts pieces together, in the order of their numbers and as they come, as they are
// written and decoded.
func join(pieces []piece, all readings) {
	for name, of := range byName(pieces) {
		for _, v := range of[0].value {
			all[name].add(v, decodePercent(v, false), decodePercent(v, true))
		}
		came := together(of)
		slices.SortStableFunc(of, func(a, b piece) int { return cmp.Compare(a.number, b.number) })
		for _, v := range append(came, together(of)...) {
			all[name].add(v, decodePercent(v, false), decodePercent(v, true))
		}
	}
}

func byName(pieces []piece) map[string][]piece {
	by := map[string][]piece{}
	for _, p := range pieces {
		by[p.name] = append(by[p.name], p)
	}
	return by
}

// together joins the first reading of each piece, and with every piece the last one that
// is different.
func together(of []piece) []string {
	var first, last strings.Builder
	for _, p := range of {
		if len(p.value) > 0 {
			first.WriteString(p.value[0])
			last.WriteString(p.value[len(p.value)-1])
		}
	}
	return add(nil, first.String(), last.String())
}

// decodePercent undoes the encoding of RFC 2231 4, without the charset and language in
// front of it. The charset counts only if charsets does.
func decodePercent(v string, charsets bool) string {
	charset := ""
	if before, rest, ok := strings.Cut(v, "'"); ok {
		if _, text, ok := strings.Cut(rest, "'"); ok {
			charset, v = before, text
		}
	}
	if v = unhex(v, '%'); charsets {
		v = inCharset(charset, v)
	}
	return v
}

// unhex decodes the octets that a mark and two hexadecimal digits stand for.
func unhex(v string, mark byte) string {
	if strings.IndexByte(v, mark) < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		var octet [1]byte
		if v[i] == mark && i+2 < len(v) {
			if n, err := hex.Decode(octet[:], []byte{v[i+1], v[i+2]}); n == 1 && err == nil {
				out = append(out, octet[0])
				i += 2
				continue
			}
		}
		out = append(out, v[i])
	}
	return string(out)
}
