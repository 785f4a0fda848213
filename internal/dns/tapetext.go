package dns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

var errNotRecorded = errors.New("the record has no answer to this question")

// What a text of answers may have.
const (
	maxTapeLine = 300 << 10 // octets: a TXT record of 64 KiB, quoted
	maxTape     = 100000    // lines
)

// The words for answers without records.
const (
	wordNoDomain  = "NXDOMAIN"
	wordNoData    = "NODATA"
	wordTemporary = "failed"
	wordSecure    = "secure"
	wordHosts     = "HOSTS"
)

// Write writes the answers for people and for ReadTape: a line for each question, and
// behind it a line for each record, which begins with a tab.
//
//	example.org TXT 300
//		"v=spf1 -all"
//	gone.example.org A NXDOMAIN
//	slow.example.org MX failed "127.0.0.1:53: no answer in time"
func (t *Tape) Write(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := bufio.NewWriter(w)
	for _, q := range t.sorted() {
		for _, res := range t.answers[q] {
			fmt.Fprintln(b, q.name, typeWord(q.qtype), res.word())
			for _, rec := range res.records {
				fmt.Fprintln(b, "\t"+rec.text())
			}
		}
	}
	return b.Flush()
}

// sorted returns the questions by name and type: the order in which they were asked
// differs between equal runs.
func (t *Tape) sorted() []question {
	return slices.SortedFunc(slices.Values(t.order), func(a, b question) int {
		if n := strings.Compare(a.name, b.name); n != 0 {
			return n
		}
		return int(a.qtype) - int(b.qtype)
	})
}

func typeWord(t Type) string {
	if t == typeHosts {
		return wordHosts
	}
	return t.String()
}

// word is what a line says of the result.
func (r *result) word() string {
	text := strconv.FormatInt(int64(r.ttl/time.Second), 10)
	if r.err != nil {
		switch r.err.Kind {
		case ErrNoDomain:
			text = wordNoDomain
		case ErrNoData:
			text = wordNoData
		default:
			cause := ""
			if r.err.Err != nil {
				cause = r.err.Err.Error()
			}
			text = wordTemporary + " " + strconv.QuoteToASCII(cause)
		}
	}
	if r.secure {
		text += " " + wordSecure
	}
	return text
}

// text is the line of a record.
func (r Record) text() string {
	switch r.Type {
	case TypeMX:
		return fmt.Sprintf("%d %s", r.Pref, strconv.QuoteToASCII(r.Host))
	case TypePTR:
		return strconv.QuoteToASCII(r.Host)
	case TypeTXT:
		return strconv.QuoteToASCII(r.Text)
	}
	return r.Addr.String()
}

// ReadTape reads what Write wrote, or a person has changed.
func ReadTape(r io.Reader) (*Tape, error) {
	t := newTape()
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxTapeLine)
	var q question
	var res *result
	n := 0
	for sc.Scan() {
		if n++; n > maxTape {
			return nil, fmt.Errorf("more than %d lines", maxTape)
		}
		line := sc.Text()
		record, is := strings.CutPrefix(line, "\t")
		var err error
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
		case is:
			err = res.read(q.qtype, record)
		default:
			if q, res, err = readQuestion(line); err == nil {
				t.put(q, res)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return t, t.complete()
}

// put appends an answer; its records follow.
func (t *Tape) put(q question, res *result) {
	if len(t.answers[q]) == 0 {
		t.order = append(t.order, q)
	}
	t.answers[q] = append(t.answers[q], res)
}

// complete refuses answers that say nothing.
func (t *Tape) complete() error {
	for q, all := range t.answers {
		for _, res := range all {
			if res.err == nil && len(res.records) == 0 {
				return fmt.Errorf("%s %s has a TTL but no record", q.name, typeWord(q.qtype))
			}
		}
	}
	return nil
}

// readQuestion reads a line such as `example.org TXT 300 secure`.
func readQuestion(line string) (q question, res *result, err error) {
	name, rest, _ := strings.Cut(line, " ")
	word, rest, _ := strings.Cut(rest, " ")
	if q.name, err = ASCII(name); err != nil {
		return q, nil, err
	}
	t, ok := typeOf(word)
	if !ok && word != wordHosts {
		return q, nil, fmt.Errorf("%+q is not a type of records that is asked for", bounded(word))
	}
	if q.qtype = t; !ok {
		q.qtype = typeHosts
	}
	res = &result{}
	rest, res.secure = strings.CutSuffix(rest, " "+wordSecure)
	switch what, cause, _ := strings.Cut(rest, " "); what {
	case wordNoDomain, wordNoData:
		kind := ErrNoDomain
		if what == wordNoData {
			kind = ErrNoData
		}
		res.err = &Error{Kind: kind, Name: q.name, Type: word, Secure: res.secure}
		rest = strings.TrimPrefix(rest, what)
	case wordTemporary:
		text, err := strconv.Unquote(cause)
		if err != nil {
			return q, nil, fmt.Errorf("%+q is not the reason in quotes", bounded(cause))
		}
		res.err, rest = noAnswer(errors.New(text), q.name, word), ""
	default:
		seconds, err := strconv.ParseUint(rest, 10, 31)
		if err != nil {
			return q, nil, fmt.Errorf("%+q is not a TTL, %s, %s or %s", bounded(rest), wordNoDomain, wordNoData, wordTemporary)
		}
		res.ttl, rest = time.Duration(seconds)*time.Second, ""
	}
	if rest != "" {
		return q, nil, fmt.Errorf("%+q behind the answer", bounded(rest))
	}
	return q, res, nil
}

// read reads the line of a record.
func (r *result) read(qtype Type, line string) error {
	if r == nil || r.err != nil || len(r.records) >= maxRecords {
		return errors.New("a record that belongs to no answer, or one too many")
	}
	rec := Record{Type: qtype, TTL: r.ttl}
	var err error
	switch qtype {
	case TypeMX:
		pref, host, _ := strings.Cut(line, " ")
		n, bad := strconv.ParseUint(pref, 10, 16)
		if err = bad; err == nil {
			rec.Pref = uint16(n)
			rec.Host, err = strconv.Unquote(host)
		}
	case TypePTR:
		rec.Host, err = strconv.Unquote(line)
	case TypeTXT:
		rec.Text, err = strconv.Unquote(line)
	default:
		rec.Addr, err = netip.ParseAddr(line)
	}
	if err != nil {
		return fmt.Errorf("%+q is not a record of the type %s: %w", bounded(line), typeWord(qtype), err)
	}
	r.records = append(r.records, rec)
	return nil
}
