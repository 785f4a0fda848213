package peers

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dns/dnstest"
	"paperpath/test/harness"
)

// Hosts that never answer hold back their own mail and no other: four that accept and
// say nothing, one that does not even accept, and one whose DNS is silent, each with a
// queue of mail for it; then comes mail for one that answers.
func TestSilentHostsStopNobody(t *testing.T) {
	h := newHome(t)
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	mute, reached := muteHosts(t, 4)
	var routes, domains []string
	records := []string{"host.good.example. IN A 127.0.0.1", "silent.example !silent"}
	for i, at := range append(mute, fullHost(t)) {
		domain := fmt.Sprintf("mute%d.example", i)
		routes = append(routes, fmt.Sprintf("%s: host.%s:%d", domain, domain, at.Port))
		records = append(records, fmt.Sprintf("host.%s. IN A %s", domain, at.IP))
		domains = append(domains, domain)
	}
	set(t, h, "routes", append(routes, "good.example: host.good.example:"+harness.Port(sink.Addr))...)
	set(t, h, "resolver", dnstest.New(t, strings.Join(records, "\n")).Addr)
	queue(t, h, 6, append(domains, "silent.example")...)
	relay := exec.Command(programs.Path("mailrelay"), "watch")
	relay.Env = programs.Env(h.Dir)
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	defer relay.Wait()
	defer relay.Process.Kill()
	err = harness.Wait("sessions with the mute hosts", time.Minute, func() bool { return reached() == len(mute) })
	if err != nil {
		t.Fatal(err, h.Describe())
	}
	began := time.Now()
	queue(t, h, 1, "good.example")
	err = harness.Wait("the host that answers", time.Minute, func() bool { return len(sink.Received()) == 1 })
	if err != nil {
		t.Fatal(err, h.Describe())
	}
	harness.Report("measured: mail beside that for six silent hosts left after %.1f s", time.Since(began).Seconds())
}

// queue puts that many messages for each domain into relay/.
func queue(t *testing.T, h *harness.Home, messages int, domains ...string) {
	t.Helper()
	for i := range messages * len(domains) {
		letter := fmt.Sprintf("From: %s\nSubject: %d\n\nhello\n", alice, i)
		to := "dora@" + domains[i%len(domains)]
		if _, err := programs.Must(h.Dir, strings.NewReader(letter), "sendmail", "-f", alice, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, stage := range []string{"mailcheck", "mailroute"} {
		if _, err := programs.Must(h.Dir, nil, stage, "run"); err != nil {
			t.Fatal(err)
		}
	}
}

// muteHosts listen on addresses of their own, accept, and say nothing. reached
// is how many of them were connected to.
func muteHosts(t *testing.T, n int) (hosts []*net.TCPAddr, reached func() int) {
	t.Helper()
	var count atomic.Int32
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", 20+i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		hosts = append(hosts, l.Addr().(*net.TCPAddr))
		go func() {
			for first := true; ; first = false {
				c, err := l.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { c.Close() })
				if first {
					count.Add(1)
				}
			}
		}()
	}
	return hosts, func() int { return int(count.Load()) }
}

// fullHost has a full backlog: no connection to it is ever made.
func fullHost(t *testing.T) *net.TCPAddr {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 30}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 30), Port: bound.(*unix.SockaddrInet4).Port}
	for {
		c, err := net.DialTimeout("tcp", addr.String(), time.Second)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
}
