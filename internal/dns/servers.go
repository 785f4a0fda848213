package dns

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// watched is a system file that is read again when it has changed.
type watched[T any] struct {
	path  string
	parse func(path string) (T, error)

	mu    sync.Mutex
	read  bool
	mtime time.Time
	size  int64
	value T
}

// get returns the contents of the file; the zero value if it is missing.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var zero T
	st, err := os.Stat(w.path)
	if errors.Is(err, fs.ErrNotExist) {
		w.read = false
		return zero, nil
	}
	if err != nil {
		return zero, err
	}
	if w.read && st.ModTime().Equal(w.mtime) && st.Size() == w.size {
		return w.value, nil
	}
	v, err := w.parse(w.path)
	if err != nil {
		return zero, err
	}
	w.read, w.mtime, w.size, w.value = true, st.ModTime(), st.Size(), v
	return v, nil
}

// parseResolvConf returns the servers of a resolv.conf(5) as address:port.
func parseResolvConf(path string) ([]string, error) {
	c, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, s := range c.Servers[:min(len(c.Servers), maxServers)] {
		list = append(list, net.JoinHostPort(s, c.Port))
	}
	return list, nil
}

// servers returns the servers to ask: the one of control/resolver, else the
// system's, else one on this machine, as resolv.conf(5) says.
func (r *Resolver) servers() ([]string, error) {
	own, err := r.settings.Resolver()
	if err != nil {
		return nil, err
	}
	if own != "" {
		return []string{own}, nil
	}
	list, err := r.system.get()
	if err == nil && len(list) == 0 {
		list = []string{"127.0.0.1:53"}
	}
	return list, err
}
