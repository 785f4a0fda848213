package authres

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Field is what a field says.
type Field struct {
	Host    string // authserv-id
	Methods []Method
}

// Pass reports whether a method of that name has the result pass.
func (f Field) Pass(method string) bool {
	for _, m := range f.Methods {
		if m.Name == method && m.Result == "pass" {
			return true
		}
	}
	return false
}

// Junk reports whether the verdict is that the message is junk, and why.
func (f Field) Junk() (reason string, junk bool) {
	for _, m := range f.Methods {
		if m.Name == Paperpath && m.Result == Junk {
			return m.Reason, true
		}
	}
	return "", false
}

// maxField is how many octets of result fields Read reads: far more than Format writes of
// what checks find.
const maxField = 256 << 10

// Read returns what our field among the result fields of an entry says: those between its
// envelope and its Received, where nobody else writes. Without one the Field is empty.
func Read(r io.Reader) (Field, error) {
	lines := bufio.NewScanner(io.LimitReader(r, maxField))
	lines.Buffer(make([]byte, 512), maxField) // most entries have no more
	var value strings.Builder
	in := false
	for lines.Scan() {
		line := lines.Text()
		if folded := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"); in && folded {
			value.WriteString(line)
			continue
		} else if in {
			break
		}
		if rest, ok := strings.CutPrefix(line, Name+":"); ok {
			value.WriteString(rest)
			in = true
		}
	}
	if err := lines.Err(); err != nil || !in {
		return Field{}, err
	}
	return Parse(value.String())
}

// Parse reads the value of a field (RFC 8601 2.2), unfolded or not. It is strict: what is
// wrong anywhere makes all of it an error.
func Parse(value string) (Field, error) {
	p := parser{rest: value}
	f := Field{Host: p.value()}
	p.blanks()
	p.take(digits) // authres-version
	p.blanks()
	for p.err == nil && p.rest != "" {
		p.must(";")
		p.blanks()
		name := p.keyword()
		if p.blanks(); name == "none" && len(f.Methods) == 0 && p.rest == "" {
			break
		}
		f.Methods = append(f.Methods, p.method(name))
		if len(f.Methods) > maxMethods {
			p.fail("too many methods")
		}
	}
	if p.err != nil {
		return Field{}, p.err
	}
	return f, nil
}

// parser reads a value from its start. After an error it reads nothing more.
type parser struct {
	rest    string
	comment string // the last one that blanks passed
	err     error
}

const digits = "0123456789"

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = errors.New(what + " in " + Name)
	}
	p.rest = ""
}

// blanks passes white space and comments (RFC 5322 3.2.2, CFWS).
func (p *parser) blanks() {
	rest, ok := skipComments(p.rest)
	if !ok {
		p.fail("an open comment")
		return
	}
	if passed := strings.Trim(p.rest[:len(p.rest)-len(rest)], " \t\r\n"); passed != "" {
		p.comment = strings.TrimSuffix(strings.TrimPrefix(passed, "("), ")")
	}
	p.rest = rest
}

// take returns what the value begins with that is made of these characters.
func (p *parser) take(chars string) string {
	n := len(p.rest) - len(strings.TrimLeft(p.rest, chars))
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *parser) must(sign string) {
	rest, ok := strings.CutPrefix(p.rest, sign)
	if !ok {
		p.fail("no " + sign)
		return
	}
	p.rest = rest
}

func (p *parser) keyword() string {
	word := p.take(letters + "-")
	if word == "" {
		p.fail("no name")
	}
	return strings.ToLower(word)
}

// value reads a token, an address or a quoted string, and the blanks around it.
func (p *parser) value() (v string) {
	p.blanks()
	if inside, quoted := strings.CutPrefix(p.rest, `"`); quoted {
		v, rest, ok := unquote(inside)
		if p.rest = rest; !ok {
			p.fail("an open quoted string")
		}
		return v
	}
	if v = p.take(localPart + "@"); v == "" {
		p.fail("no value")
	}
	return v
}

// method reads a result behind the name of its method.
func (p *parser) method(name string) Method {
	m := Method{Name: name}
	if strings.HasPrefix(p.rest, "/") { // method-version
		p.must("/")
		p.blanks()
		p.take(digits)
		p.blanks()
	}
	p.must("=")
	p.comment = ""
	p.blanks()
	m.Result = p.keyword()
	p.blanks()
	m.Comment = p.comment
	for p.err == nil && p.rest != "" && p.rest[0] != ';' {
		p.fact(&m)
		p.blanks()
		if len(m.Properties) > maxProperties {
			p.fail("too many properties")
		}
	}
	return m
}

// fact reads a property or the reason.
func (p *parser) fact(m *Method) {
	name := p.keyword()
	p.blanks()
	if name != "reason" || strings.HasPrefix(p.rest, ".") {
		p.must(".")
		p.blanks()
		name += "." + p.keyword()
		p.blanks()
	}
	p.must("=")
	v := p.value()
	if name == "reason" {
		m.Reason = v
		return
	}
	m.Properties = append(m.Properties, Property{name, v})
}
