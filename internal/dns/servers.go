package dns

import (
	"bufio"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// watched is a system file that is read again when it has changed.
type watched[T any] struct {
	path  string
	parse func(path string) (T, error)
	again time.Duration // after which it is looked at again

	mu     sync.Mutex
	looked time.Time
	read   bool
	mtime  time.Time
	size   int64
	value  T
}

// get returns the contents of the file; the zero value if it is missing.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var zero T
	now := time.Now()
	if now.Sub(w.looked) < w.again {
		return w.value, nil
	}
	st, err := os.Stat(w.path)
	if errors.Is(err, fs.ErrNotExist) {
		w.read, w.looked, w.value = false, now, zero
		return zero, nil
	}
	if err != nil {
		return zero, err
	}
	if w.read && st.ModTime().Equal(w.mtime) && st.Size() == w.size {
		w.looked = now
		return w.value, nil
	}
	v, err := w.parse(w.path)
	if err != nil {
		return zero, err
	}
	w.read, w.looked, w.mtime, w.size, w.value = true, now, st.ModTime(), st.Size(), v
	return v, nil
}

// parseResolvConf returns the servers of a resolv.conf(5) as address:port.
func parseResolvConf(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []string
	sc := bufio.NewScanner(f)
	for sc.Scan() && len(list) < maxServers {
		words := strings.Fields(sc.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(words[1]); err == nil {
			list = append(list, net.JoinHostPort(ip.String(), "53"))
		}
	}
	return list, sc.Err()
}

// servers returns the servers to ask: the one of control/resolver, else the system's, else
// one on this machine, as resolv.conf(5) says. Only control/resolver can say that the AD
// bit is believed: anybody on the way to another server can set it.
func (r *Resolver) servers() (list []string, trusted bool, err error) {
	own, trusted, err := r.settings.Resolver()
	if err != nil {
		return nil, false, err
	}
	if own != "" {
		return []string{own}, trusted, nil
	}
	list, err = r.system.get()
	if err == nil && len(list) == 0 {
		list = []string{"127.0.0.1:53"}
	}
	return list, false, err
}
