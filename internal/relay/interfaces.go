package relay

import (
	"net"
	"sync"
	"time"
)

// interfaces are the addresses of this machine, which is asked once a second at most: it
// answers with a table, and each message may ask several times.
type interfaces struct {
	mu   sync.Mutex
	list []net.Addr
	read time.Time
}

func (i *interfaces) addrs() ([]net.Addr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.read.IsZero() && time.Since(i.read) < time.Second {
		return i.list, nil
	}
	list, err := net.InterfaceAddrs()
	if err == nil {
		i.list, i.read = list, time.Now()
	}
	return list, err
}
