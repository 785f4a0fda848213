package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/dir"
)

// Vacation is the file vacation of a user: fields, a blank line, and the text of the answer.
// Without fields the whole file is the text.
type Vacation struct {
	Subject   string        // "" is the subject of the message
	Every     time.Duration // one sender gets one answer in that time
	From      time.Time     // not before; zero: at once
	Until     time.Time     // not from then on; zero: for good
	Addresses []string      // other addresses of the user, folded
	Text      string
	Written   time.Time // answers before that were of another vacation
}

const (
	vacationFile  = "vacation"
	vacationSent  = "vacation.sent"
	defaultDays   = 7
	maxDays       = 365
	maxSent       = 1000 // senders that are remembered
	maxVacation   = 8 << 10
	maxAddresses  = 50
	vacationDates = "2006-01-02"
)

// Vacation returns what the user has written, nil for nothing.
func (d *Dir) Vacation() (*Vacation, error) {
	if d == nil {
		return nil, nil
	}
	text, _, err := d.read(vacationFile)
	if text == nil || err != nil {
		return nil, err
	}
	v, err := parseVacation(string(text))
	if err != nil {
		return nil, temp(fmt.Errorf("%s/%w", d.home, err))
	}
	st, err := d.dir.StatName(vacationFile)
	if err != nil {
		return nil, temp(err)
	}
	v.Written = time.Unix(st.Mtim.Unix())
	return v, nil
}

func parseVacation(text string) (*Vacation, error) {
	v := &Vacation{Every: defaultDays * 24 * time.Hour}
	if len(text) > maxVacation || !utf8.ValidString(text) || strings.ContainsFunc(text, odd) {
		return nil, fmt.Errorf("vacation is longer than %d bytes, or no text in UTF-8", maxVacation)
	}
	rest := strings.ReplaceAll(text, "\r\n", "\n")
	for n := 1; ; n++ {
		line, after, _ := strings.Cut(rest, "\n")
		name, value, ok := strings.Cut(line, ":")
		known := false
		if ok {
			var err error
			if known, err = v.field(strings.ToLower(name), strings.TrimSpace(value)); err != nil {
				return nil, fmt.Errorf("vacation:%d: %w", n, err)
			}
		}
		if !known {
			if n > 1 && strings.TrimSpace(line) != "" {
				return nil, fmt.Errorf("vacation:%d: %q is none of Subject, Days, From, Until, Addresses, and no blank line comes before it", n, line)
			}
			v.Text = strings.TrimLeft(rest, "\n")
			return v, nil
		}
		rest = after
	}
}

// odd are the characters that no text has.
func odd(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 127 }

// field reads one field; known is false for another line.
func (v *Vacation) field(name, value string) (known bool, err error) {
	switch name {
	case "subject":
		v.Subject = value
	case "days":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxDays {
			return true, fmt.Errorf("%q is no number of days from 1 to %d", value, maxDays)
		}
		v.Every = time.Duration(n) * 24 * time.Hour
	case "from", "until":
		at, err := time.ParseInLocation(vacationDates, value, time.Local)
		if err != nil {
			return true, fmt.Errorf("%q is no date such as 2026-12-24", value)
		}
		if name == "from" {
			v.From = at
		} else {
			v.Until = at
		}
	case "addresses":
		for _, a := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
			if err := addr.CheckAddress(a); err != nil {
				return true, fmt.Errorf("%q %w", a, err)
			}
			v.Addresses = append(v.Addresses, addr.FoldAddress(a))
		}
		if len(v.Addresses) > maxAddresses {
			return true, fmt.Errorf("more than %d addresses", maxAddresses)
		}
	default:
		return false, nil
	}
	return true, nil
}

// slack is by how much the clock of the file system may be ahead of ours.
const slack = time.Minute

// lockTime is how long another process may work on the memory.
const lockTime = time.Second

// Answer reports whether a sender is to get an answer now, and remembers it if may agrees. The
// memory is the file vacation.sent, which has the last 1000 senders.
func (d *Dir) Answer(v *Vacation, sender string, now time.Time, may func() (bool, error)) (bool, error) {
	if !v.From.IsZero() && now.Before(v.From) || !v.Until.IsZero() && !now.Before(v.Until) {
		return false, nil
	}
	lock, err := d.dir.OpenFile(vacationFile, unix.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if err := dir.Lock(lock, lockTime); err != nil {
		return false, err
	}
	had, _, err := d.read(vacationSent)
	if err != nil {
		return false, err
	}
	sender = addr.FoldAddress(sender)
	var kept []string
	for line := range strings.Lines(string(had)) {
		stamp, who, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		at, err := time.Parse(time.RFC3339, stamp)
		if err != nil || at.After(now) || now.Sub(at) >= v.Every || at.Before(v.Written.Add(-slack)) {
			continue
		}
		if who == sender {
			return false, nil
		}
		kept = append(kept, line)
	}
	if ok, err := may(); !ok || err != nil {
		return false, err
	}
	kept = append(kept, now.UTC().Format(time.RFC3339)+" "+sender+"\n")
	kept = kept[max(len(kept)-maxSent, 0):]
	size := 0
	for at := len(kept); at > 0; at-- {
		if size += len(kept[at-1]); size > maxFile {
			kept = kept[at:]
			break
		}
	}
	return true, d.remember(strings.Join(kept, ""))
}

// remember replaces the memory.
func (d *Dir) remember(text string) error {
	const draft = vacationSent + ".tmp"
	f, err := d.dir.OpenFile(draft, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return d.dir.Replace(draft, d.dir, vacationSent)
}
