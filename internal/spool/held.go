package spool

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"paperpath/internal/params"
)

// HeldEntry is what a digest says about an entry in hold/.
type HeldEntry struct {
	Key    Key
	Size   int64 // octets
	Since  time.Time
	Reason string // the text of its reason's first line
	From   string // reverse path
	Client string // IP address that it came from; "" for a local one, or where that is not known
}

// EachHeld calls each for every entry in hold/ except digests. For a file that is not
// an entry it gives the size, the time since which it is there and, if its name has
// one, the key.
func (s *Spool) EachHeld(each func(HeldEntry)) error {
	b, err := s.inbox(InboxHold)
	if err != nil {
		return err
	}
	list, _, err := b.heldFiles()
	if err != nil {
		return err
	}
	for _, h := range list {
		x := HeldEntry{Key: h.key, Size: h.size, Since: h.since}
		if e, err := h.at.open(); err == nil {
			digest := e.IsDigest()
			x.From, x.Client = e.Envelope.From.Addr, e.Client
			e.close()
			if digest {
				continue
			}
		}
		if h.key != "" {
			if r, err := b.readReason(h.key); err == nil {
				_, x.Reason, _ = strings.Cut(lineText(r.first), ": ")
			}
		}
		each(x)
	}
	return nil
}

// IsDigest reports whether an entry is a digest of ours: no report is made about it.
func (e *Entry) IsDigest() bool {
	if e.With != WithBounce || e.Envelope.From.Addr != "" {
		return false
	}
	for _, r := range e.Envelope.To {
		if !strings.EqualFold(params.Get(r.Params, "NOTIFY"), "NEVER") {
			return false
		}
	}
	return true
}

// PublishDigest makes a digest durable in route/new, under a key that names the day.
// If a crash already left it in an inbox, nothing is written. One that cannot be
// delivered is dropped: nobody gets a report about a digest.
func (s *Spool) PublishDigest(day time.Time, to string, body []byte) (k Key, published bool, err error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "digest\n%d", day.UnixNano()))
	k = makeKey(day, [8]byte(sum[:8]), s.host)
	s.known.forget() // the runner of another inbox may have published it just now
	published, err = s.publishOwn(k, Envelope{To: []Recipient{{Addr: to, Params: "NOTIFY=NEVER"}}}, body)
	return k, published, err
}
