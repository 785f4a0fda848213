package spool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/message"
)

// Path is the reverse path with its parameters.
type Path struct {
	Addr   string // "" is the null reverse path
	Params string // words of RFC 3461 and 8689: "RET=HDRS ENVID=q7"
}

// Recipient is a forward path with its parameters.
type Recipient struct {
	Addr   string
	Params string // "NOTIFY=NEVER ORCPT=rfc822;a@example.org"
	Done   bool   // nothing more is to be done for it
}

// Envelope says who sends an entry to whom.
type Envelope struct {
	From Path
	To   []Recipient
}

// Pending returns the recipients that are not done.
func (env Envelope) Pending() (list []Recipient) {
	for _, r := range env.To {
		if !r.Done {
			list = append(list, r)
		}
	}
	return list
}

// Trace is what our own Received field says.
type Trace struct {
	Helo string // as the client said it
	PTR  string // its name in the reverse DNS, or ""
	IP   string // its address; "" for a local submission
	By   string // our hostname
	TLS  string // version and cipher, "TLS1.3 TLS_AES_128_GCM_SHA256", or ""
	With string // protocol (RFC 3848), or local, or bounce

	Relay bool // control/relayfrom or RELAYCLIENT trusts the client
}

// The words after "with" that mean something to Paperpath alone.
const (
	WithLocal  = "local"  // submitted on this host
	WithBounce = "bounce" // a report that this host made
)

// relayComment follows the protocol where the client may relay without
// authentication.
const relayComment = " (relayfrom)"

const (
	returnPath  = "Return-Path: "
	deliveredTo = "Delivered-To: "
	doneTo      = "Delivered_To: "
	markOffset  = int64(len("Delivered")) // of the byte that tells them apart
	received    = "Received:"

	maxHead     = 4 << 20           // octets: more than 1000 recipients with all parameters
	maxEnvelope = maxHead - 256<<10 // of them, the rest is for our other fields
)

// formatEnvelope returns the leading Return-Path and Delivered-To lines.
func formatEnvelope(env Envelope) string {
	var b strings.Builder
	b.WriteString(returnPath + "<" + env.From.Addr + ">")
	writeParams(&b, env.From.Params)
	for _, r := range env.To {
		if r.Done {
			b.WriteString(doneTo)
		} else {
			b.WriteString(deliveredTo)
		}
		if r.Params == "" {
			b.WriteString(r.Addr)
		} else {
			b.WriteString("<" + r.Addr + ">")
		}
		writeParams(&b, r.Params)
	}
	return b.String()
}

func writeParams(b *strings.Builder, params string) {
	if params != "" {
		b.WriteString(" " + params)
	}
	b.WriteString("\n")
}

// check refuses an envelope that could not be read back. It keeps control bytes
// out of the spool.
func (env Envelope) check() error {
	if len(env.To) == 0 {
		return errors.New("envelope without recipients")
	}
	if err := checkWord(env.From.Addr, env.From.Params); err != nil {
		return err
	}
	size := 0
	for _, r := range env.To {
		if size += len(deliveredTo) + len("<> \n") + len(r.Addr) + len(r.Params); size > maxEnvelope {
			return fmt.Errorf("envelope of over %d octets", maxEnvelope)
		}
		if r.Addr == "" {
			return errors.New("empty recipient in the envelope")
		}
		if err := checkWord(r.Addr, r.Params); err != nil {
			return err
		}
	}
	return nil
}

func checkWord(address, params string) error {
	for _, s := range []string{address, params} {
		if i := strings.IndexFunc(s, addr.IsControl); i >= 0 {
			return fmt.Errorf("control byte in the envelope: %q", s)
		}
	}
	if len(address) > 1024 || len(params) > 2048 {
		return errors.New("address or parameters too long for the envelope")
	}
	return nil
}

// Received is the field that an entry with this trace has, without a key: for who has to
// see the message before there is one.
func Received(t Trace, now time.Time) string { return formatReceived(t, "", now) }

// formatReceived returns our Received field (RFC 5321 4.4). Its second line
// begins with " with"; that line alone is read again.
func formatReceived(t Trace, k Key, now time.Time) string {
	var b strings.Builder
	b.WriteString(received)
	if t.IP != "" {
		ip := outside(t.IP)
		if strings.Contains(ip, ":") {
			ip = "IPv6:" + ip
		}
		fmt.Fprintf(&b, " from %s (%s [%s])", outside(t.Helo), outside(t.PTR), ip)
	}
	fmt.Fprintf(&b, " by %s", outside(t.By))
	if version, cipher, ok := strings.Cut(t.TLS, " "); ok {
		fmt.Fprintf(&b, " (%s %s)", outside(version), outside(cipher))
	}
	with := outside(t.With)
	if t.Relay {
		with += relayComment
	}
	fmt.Fprintf(&b, "\n with %s", with)
	if k != "" {
		fmt.Fprintf(&b, " id %s", k)
	}
	fmt.Fprintf(&b, "; %s\n", message.Date(now.UTC()))
	return b.String()
}

// outside lets text from outside into our fields only if it is made of
// letters, digits and -._:[].
func outside(s string) string {
	if s == "" || len(s) > 255 {
		return "unknown"
	}
	for _, c := range []byte(s) {
		if !alphanumeric(c) && strings.IndexByte("-._:[]", c) < 0 {
			return "unknown"
		}
	}
	return s
}

// head is everything in an entry that is ours.
type head struct {
	env      Envelope
	marks    []int64 // offset of each recipient's line
	results  int64   // offset after the envelope: our result fields, then our Received
	received int64   // offset of our Received
	end      int64   // offset after it: the message as it came
	with     string
	relay    bool   // the comment that relayComment is
	from     string // the first line of our Received
	id       Key
	date     string // of our Received, as it stands there
	lines    int64  // line ends before results
}

var errForeign = errors.New("not written by Paperpath")

// readHead parses the fields that are ours at the start of r.
func readHead(r io.Reader) (*head, error) {
	buf := headBuffers.Get().(*bufio.Reader)
	defer headBuffers.Put(buf)
	buf.Reset(io.LimitReader(r, maxHead))
	defer buf.Reset(nil)
	h := &head{}
	return h, h.read(buf)
}

// maxHeadLine bounds the lines of our fields.
const maxHeadLine = 4096

// read is readHead with a head and a buffer of the caller's, of maxHeadLine octets.
func (h *head) read(r *bufio.Reader) error {
	p := headReader{r: r}
	*h = head{marks: h.marks[:0]}
	line, err := p.line()
	if err != nil || !h.parseFrom(line) {
		return p.foreign("the first line is no Return-Path", err)
	}
	for {
		if line, err = p.line(); err != nil {
			return p.foreign("no Received of ours", err)
		}
		if !h.parseTo(line, p.start) {
			break
		}
	}
	if len(h.env.To) == 0 {
		return p.foreign("no Delivered-To", nil)
	}
	if err := h.env.check(); err != nil { // no child and no report of it could be written
		return p.foreign(err.Error(), nil)
	}
	h.results, h.lines = p.start, int64(1+len(h.env.To))
	for !bytes.HasPrefix(line, []byte(received)) {
		if line, err = p.line(); err != nil || len(line) == 0 {
			return p.foreign("no Received of ours", err)
		}
	}
	h.received, h.from = p.start, string(line)
	if line, err = p.line(); err != nil || !h.parseWith(line) {
		return p.foreign("the Received has no id of ours", err)
	}
	h.end = p.next
	return nil
}

// headBuffers are reused: each attempt reads a head.
var headBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxHeadLine) }}

// headReader reads lines and knows where they begin.
type headReader struct {
	r           *bufio.Reader
	start, next int64
}

// line returns the next line without its end.
func (p *headReader) line() ([]byte, error) {
	line, err := p.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line of over %d octets in our fields", errForeign, maxHeadLine)
	}
	if err != nil {
		return nil, err
	}
	p.start, p.next = p.next, p.next+int64(len(line))
	return line[:len(line)-1], nil
}

func (p *headReader) foreign(why string, err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: %s", errForeign, why)
}

func (h *head) parseFrom(line []byte) bool {
	rest, ok := strings.CutPrefix(string(line), returnPath)
	if !ok {
		return false
	}
	h.env.From.Addr, h.env.From.Params, ok = cutPath(rest)
	return ok
}

func (h *head) parseTo(line []byte, at int64) bool {
	if bytes.HasPrefix(line, []byte(received)) {
		return false // as the line after the last of them, nearly always
	}
	s := string(line)
	rest, ok := strings.CutPrefix(s, deliveredTo)
	r := Recipient{Addr: rest}
	if !ok {
		if r.Addr, r.Done = strings.CutPrefix(s, doneTo); !r.Done {
			return false
		}
	}
	if strings.HasPrefix(r.Addr, "<") {
		if r.Addr, r.Params, ok = cutPath(r.Addr); !ok {
			return false
		}
	}
	if r.Addr == "" {
		return false
	}
	h.env.To = append(h.env.To, r)
	h.marks = append(h.marks, at)
	return true
}

// cutPath takes "<address> parameters" apart.
func cutPath(s string) (address, params string, ok bool) {
	end := pathEnd(s)
	if end < 0 {
		return "", "", false
	}
	rest := s[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", "", false
	}
	return s[1:end], strings.TrimPrefix(rest, " "), true
}

// pathEnd returns where the address ends that s begins with, in angle brackets; -1 where it does
// not. The address may hold a quoted local part with any printable byte, so its end is the '>'
// outside quotes.
func pathEnd(s string) int {
	if !strings.HasPrefix(s, "<") {
		return -1
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// clientIn is the address in the first line of our Received; "" for a local
// submission. What a client says about itself has neither blanks nor parentheses
// there (outside), so it cannot look like an address of ours.
func clientIn(line string) string {
	rest, ok := strings.CutPrefix(line, received+" from ")
	_, rest, named := strings.Cut(rest, " (")
	_, rest, bracketed := strings.Cut(rest, " [")
	ip, _, ended := strings.Cut(rest, "])")
	if !ok || !named || !bracketed || !ended {
		return ""
	}
	return strings.TrimPrefix(ip, "IPv6:")
}

// parseWith reads " with PROTOCOL id KEY; date", where a comment may follow the
// protocol.
func (h *head) parseWith(line []byte) bool {
	rest, ok := strings.CutPrefix(string(line), " with ")
	if !ok {
		return false
	}
	with, rest, ok := strings.Cut(rest, " id ")
	with, h.relay = strings.CutSuffix(with, relayComment)
	if !ok || with == "" || strings.Contains(with, " ") {
		return false
	}
	id, date, ok := strings.Cut(rest, ";")
	if !ok {
		return false
	}
	k, err := ParseKey(id)
	h.with, h.id, h.date = with, k, date
	return err == nil
}
