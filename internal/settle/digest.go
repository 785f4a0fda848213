package settle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"paperpath/internal/dir"
	"paperpath/internal/dsn"
	"paperpath/internal/spool"
)

// digestEvery is how often the postmaster gets a digest of hold/.
const digestEvery = 24 * time.Hour

// Digest sends the postmaster a list of what is held where run/digest is older
// than a day. Every runner calls it; the first one sends it. The digest is durable,
// under a key that names its day, before the day is recorded, so a crash between
// the two does not send it again.
func (s *Settler) Digest(sp *spool.Spool) error {
	path := filepath.Join(s.Home, "run", "digest")
	st, err := os.Lstat(path)
	if err == nil && st.Size() > 0 && s.withinDay(st.ModTime()) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("digest: %w", err)
	}
	f, err := dir.TryLocked(path)
	if errors.Is(err, dir.ErrLocked) {
		return nil // another runner is sending it
	}
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	defer f.Close() // releases the lock
	if st, err = f.Stat(); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	last := time.Time{}
	if st.Size() > 0 {
		last = st.ModTime()
	}
	return s.digest(sp, f, last)
}

// withinDay reports whether less than a day has passed since then.
func (s *Settler) withinDay(then time.Time) bool {
	age := s.Now().Sub(then)
	return age < digestEvery && age > -digestEvery
}

// digest sends one if it is due. last is the time of the one before. It is zero
// where the home is new or run/ was lost: then the oldest held entry counts
// instead, and where that is less than a day old the day begins now. With nothing
// held the record stays as it is, so the next entry that is held is reported at
// once.
func (s *Settler) digest(sp *spool.Spool, record *os.File, last time.Time) error {
	var held []spool.HeldEntry
	err := sp.EachHeld(func(e spool.HeldEntry) { held = append(held, e) })
	if err != nil {
		return err
	}
	slices.SortStableFunc(held, func(a, b spool.HeldEntry) int { return a.Since.Compare(b.Since) })
	unrecorded := last.IsZero()
	if unrecorded && len(held) > 0 {
		last = held[0].Since
	}
	now := s.Now()
	if last.IsZero() || last.After(now) || unrecorded && s.withinDay(last) {
		return recordDigest(record, now)
	}
	if len(held) == 0 || s.withinDay(last) {
		return nil
	}
	day := last.Add(now.Sub(last).Truncate(digestEvery))
	since := last
	if unrecorded {
		since = time.Time{}
	}
	if err := s.sendDigest(sp, held, day, since); err != nil {
		return err
	}
	return recordDigest(record, now)
}

// recordDigest notes when a digest was sent.
func recordDigest(record *os.File, now time.Time) error {
	text := now.UTC().Format(time.RFC3339) + "\n"
	_, err := record.WriteAt([]byte(text), 0)
	if err == nil {
		// Only its owner can, and a stage of another user may be. Writing has set the time then.
		if err = os.Chtimes(record.Name(), now, now); errors.Is(err, fs.ErrPermission) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	return nil
}

func (s *Settler) sendDigest(sp *spool.Spool, held []spool.HeldEntry, day, since time.Time) error {
	host, err := s.Control.Hostname()
	if err != nil {
		return err
	}
	holdtime, err := s.Control.Holdtime()
	if err != nil {
		return err
	}
	domains, err := s.Control.Domains()
	if err != nil {
		return err
	}
	to := "postmaster@" + append(domains, host)[0]
	d := dsn.Digest{Host: host, To: to, Now: s.Now(), Day: day, Since: since, Holdtime: holdtime, Broken: s.brokenRows()}
	for _, e := range held {
		d.Held = append(d.Held, dsn.Held{Key: string(e.Key), Size: e.Size, Since: e.Since,
			Reason: e.Reason, From: e.From, Client: e.Client})
	}
	k, placed, err := sp.PublishDigest(day, to, d.Compose())
	if placed {
		s.Log.Digest(string(k), to, len(held))
	}
	return err
}

// brokenRows lists the rows of tables that cannot be read. A whole table that
// cannot is reported by the programs that need it.
func (s *Settler) brokenRows() (list []string) {
	faults, _ := s.Control.Faults()
	for _, f := range faults {
		if !f.Dead {
			list = append(list, f.String())
		}
	}
	return list
}
