package peers

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/maillog"
	"paperpath/internal/relay"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/test/harness"
)

// manyHosts are the MX records of many.example, in the order of preference. The DNS is
// silent about hosts whose names begin with "silent".
func manyHosts(hosts ...string) string {
	list := []string{"first.example A 192.0.2.1"}
	for i, host := range hosts {
		list = append(list, fmt.Sprintf("many.example MX %d %s.example", i, host))
		if strings.HasPrefix(host, "silent") {
			list = append(list, host+".example !silent")
		}
	}
	return strings.Join(list, "\n")
}

func silentHosts(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("silent%d", i))
	}
	return list
}

// sendMany sends a letter to many.example, whose host "first" is the sink, and
// returns how long it took, and the error.
func sendMany(t *testing.T, z *dnstest.Server, sink *harness.Sink, lookup time.Duration) (time.Duration, error) {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"hostname": "mx.example.net\n", "resolver": z.Addr + "\n"} {
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := relay.New(control.Open(home, time.Now), maillog.To(io.Discard, "mailrelay", time.Now), time.Now, nil)
	r.Times.Lookup = lookup
	r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, sink.Addr)
	}
	text := "Subject: hello\n\nhello\n"
	m := &relay.Message{From: spool.Path{Addr: alice}, To: []spool.Recipient{{Addr: "dora@many.example"}},
		Content: io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))),
		Done:    func([]int, maillog.Remote, string) {}}
	began := time.Now()
	err := r.Send(context.Background(), m, []int{0})[0].Err
	return time.Since(began), err
}

// Once a host has accepted the message, nothing more is looked up.
func TestNoLookupBehindTheAnswer(t *testing.T) {
	z := dnstest.New(t, manyHosts(append([]string{"first"}, silentHosts(12)...)...))
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	took, err := sendMany(t, z, sink, time.Second)
	if err != nil || len(sink.Received()) != 1 {
		t.Fatalf("%v, %d messages", err, len(sink.Received()))
	}
	for _, name := range z.Asked() {
		if strings.HasPrefix(name, "silent") {
			t.Fatalf("%s was looked up too; all was over after %v", name, took)
		}
	}
}

// All look-ups of an attempt share one time limit, and a silent name leaves enough of
// it for the names after it.
func TestOneDeadlineForAllLookups(t *testing.T) {
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	z := dnstest.New(t, manyHosts(silentHosts(24)...))
	took, err := sendMany(t, z, sink, time.Second)
	if !status.IsTemporary(err) || took > 10*time.Second { // half a second each would be 12 s
		t.Errorf("24 silent hosts: %v after %v", err, took)
	}
	z = dnstest.New(t, manyHosts(append(silentHosts(3), "first")...))
	if _, err := sendMany(t, z, sink, 4*time.Second); err != nil || len(sink.Received()) != 1 {
		t.Errorf("behind 3 silent hosts: %v, %d messages", err, len(sink.Received()))
	}
}
