package spool

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"paperpath/internal/params"
)

// HeldEntry is what a digest says of an entry in hold/.
type HeldEntry struct {
	Key    Key
	Size   int64 // octets
	Since  time.Time
	Reason string // the text of its reason's first line
	From   string // reverse path
	Client string // IP address that it came from; "" for a local one, or where that is not known
}

// EachHeld calls each with every entry in hold/, digests left out. A file that is
// no entry has a name for a key and no more.
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
			if _, first, _, err := b.readReason(h.key); err == nil {
				_, x.Reason, _ = strings.Cut(first, ": ")
			}
		}
		each(x)
	}
	return nil
}

// IsDigest reports whether an entry is a digest of ours: no report may tell of it.
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

// PublishDigest makes a digest durable in route/new, under a key that names the day
// since slot. It is not placed where a crash has left it. Whatever fails of it is
// dropped: nobody gets a report about a digest.
func (s *Spool) PublishDigest(slot time.Time, to string, body []byte) (k Key, placed bool, err error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "digest\n%d", slot.UnixNano()))
	k = makeKey(slot, [8]byte(sum[:8]), s.host)
	s.known.forget() // the runner of another inbox may have placed it just now
	placed, err = s.publishOwn(k, Envelope{To: []Recipient{{Addr: to, Params: "NOTIFY=NEVER"}}}, body)
	return k, placed, err
}
