package submit

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/ratelimit"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// taps makes hidden copies (control/always-bcc, sender-bcc, recipient-bcc), and remembers of
// which message an address has had one.
type taps struct {
	control *control.Control
	table   *ratelimit.Table // what is not in it is copied once more
	now     func() time.Time
}

// tapMemory is how long a copy is remembered: longer than queues keep mail.
const tapMemory = 7 * 24 * time.Hour

// withCopies adds to an envelope the recipients that the settings want to get a hidden copy.
// They are recipients from then on, so each attempt knows what is done; nobody hears of their
// failures. noted is to be called once the message is accepted.
//
// One whom the message has reached before gets none, and nobody does if this host has had the
// message before: two hosts that copy to each other would go on until there are too many
// Received fields. What its fields say of that anybody can write, so the address must also have
// had a copy of the same message from here.
func (t *taps) withCopies(env spool.Envelope, h *message.Header, body spool.Body) (
	with spool.Envelope, noted func(), err error) {
	noted = func() {}
	from, err := addr.Parse(env.From.Addr)
	if err != nil {
		from = addr.Address{}
	}
	var to []addr.Address
	for _, r := range env.To {
		if a, err := addr.Parse(r.Addr); err == nil {
			to = append(to, a)
		}
	}
	copies, err := t.control.Bcc(from, to)
	if err != nil || len(copies) == 0 {
		return env, noted, err
	}
	delimiters, err := t.control.Delimiters()
	if err != nil {
		return env, noted, err
	}
	been, err := beenHere(t.control, h)
	if err != nil {
		return env, noted, err
	}
	same, err := content(h, body)
	if err != nil {
		return env, noted, err
	}
	passed := route.PassedOf(h, delimiters)
	env.To = slices.Clone(env.To)
	var fresh []string
	for _, a := range copies {
		key := addr.FoldAddress(a.String()) + " " + same
		if (been || passed.Reached(a)) && t.had(key) {
			continue
		}
		env.To = append(env.To, spool.Recipient{Addr: a.String(), Params: "NOTIFY=NEVER"})
		fresh = append(fresh, key)
	}
	return env, func() { t.note(fresh) }, nil
}

// had reports whether an address has had a copy of a message.
func (t *taps) had(key string) bool {
	e, err := t.table.Get(key)
	return err == nil && !e.Time.IsZero() && !e.Time.After(t.now()) && t.now().Sub(e.Time) < tapMemory
}

// note remembers copies. What cannot be remembered is copied once more if it comes back.
func (t *taps) note(keys []string) {
	for _, key := range keys {
		_ = t.table.Update(key, func(ratelimit.Entry) ratelimit.Entry { return ratelimit.Entry{Time: t.now()} })
	}
}

// content is the same for a message however it travels: hosts on the way put fields on top of
// it. All that decides what a reader sees is in it.
func content(h *message.Header, body spool.Body) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"From", "Sender", "Reply-To", "To", "Cc", "Date", "Message-ID", "Subject",
		"Content-Type", "Content-Transfer-Encoding"} {
		for _, f := range h.All(name) {
			io.WriteString(sum, name+":"+strings.Join(strings.Fields(f.Value), " ")+"\n")
		}
	}
	in := bufio.NewReaderSize(io.NewSectionReader(body, 0, body.Size()), 64<<10)
	for start := true; ; {
		line, err := in.ReadSlice('\n')
		if err == io.EOF || start && message.IsBlank(line) {
			break
		}
		if err != nil && err != bufio.ErrBufferFull {
			return "", err
		}
		start = err == nil
	}
	_, err := in.WriteTo(sum)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// beenHere reports whether a message has been at this host before: a Received has its name
// behind "by" (RFC 5321 4.4).
func beenHere(c *control.Control, h *message.Header) (bool, error) {
	host, err := c.Hostname()
	if err != nil {
		return false, err
	}
	for _, f := range h.All("Received") {
		words := strings.Fields(f.Value)
		for i := range max(len(words)-1, 0) {
			if strings.EqualFold(words[i], "by") && strings.EqualFold(strings.TrimRight(words[i+1], ";"), host) {
				return true, nil
			}
		}
	}
	return false, nil
}
