package relay

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"paperpath/internal/dns"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// TestMixedRecipients: each recipient has its own reply, and only those accepted are
// done.
func TestMixedRecipients(t *testing.T) {
	l, p := newLab(t), newPeer(t, func(_ int, command string) string {
		switch {
		case strings.Contains(command, "TO:<no@"):
			return "550 5.1.1 nobody"
		case strings.Contains(command, "TO:<grey@"):
			return "450 4.7.1 grey"
		}
		return ""
	})
	l.route("elsewhere.example", p)
	res := l.send("yes@elsewhere.example", "no@elsewhere.example", "grey@elsewhere.example", "too@ELSEWHERE.example")
	for i, want := range []int{0, 69, 75, 0} {
		if got := status.Exit(res[i].Err); got != want {
			t.Errorf("recipient %d: exit %d, want %d (%v)", i, got, want, res[i].Err)
		}
	}
	if len(l.done) != 2 || l.done[0] != "250 2.0.0 taken as 4711" || l.done[3] != l.done[0] {
		t.Errorf("done: %v", l.done)
	}
	if res[1].Diagnostic != "550 5.1.1 nobody" || res[1].RemoteMTA != "127.0.0.1" {
		t.Errorf("%+v", res[1])
	}
	if n := p.count("MAIL"); n != 1 {
		t.Errorf("%d transactions", n)
	}
}

// TestManyRecipients: a hundred per transaction, fewer if the host wants that.
func TestManyRecipients(t *testing.T) {
	for _, most := range []int{1000, 30} {
		var mu sync.Mutex
		in := map[int]int{}
		l, p := newLab(t), newPeer(t, func(n int, command string) string {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case strings.HasPrefix(command, "MAIL"):
				in[n] = 0
			case strings.HasPrefix(command, "RCPT"):
				if in[n]++; in[n] > most {
					return "452 4.5.3 too many recipients"
				}
			}
			return ""
		})
		l.route("elsewhere.example", p)
		var to []string
		for i := range 250 {
			to = append(to, fmt.Sprintf("u%d@elsewhere.example", i))
		}
		for _, res := range l.send(to...) {
			if res.Err != nil {
				t.Fatal(res.Err)
			}
		}
		sessions, _, texts := p.seen()
		want := (250 + min(most, 100) - 1) / min(most, 100)
		if most == 30 {
			want = 12 // three of a hundred, and their rest in thirties
		}
		if len(l.done) != 250 || sessions > firstAllowed || len(texts) < 3 || len(texts) > want {
			t.Errorf("most %d: %d done, %d sessions, %d texts", most, len(l.done), sessions, len(texts))
		}
	}
}

// TestRefusedEverywhere: a host that refuses everybody fails the message only if no
// other host may still accept it.
func TestRefusedEverywhere(t *testing.T) {
	l := newLab(t)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example", Pref: 10}, {Host: "b.example", Pref: 20}}
	no := newPeer(t, always("", "521 5.3.2 no mail here"))
	l.host("a.example", "192.0.2.1", no)
	l.host("b.example", "192.0.2.2", no)
	if err := l.send(far)[0].Err; status.Exit(err) != 69 || status.Enhanced(err) != "5.3.2" {
		t.Errorf("%v", err)
	}
	delete(l.w.peers, "192.0.2.2:25") // down now
	if err := l.send(far)[0].Err; status.Exit(err) != 75 {
		t.Errorf("%v", err)
	}
	delete(l.w.peers, "192.0.2.1:25")
	l.w.peers["192.0.2.2:25"] = no.addr
	if err := l.send(far)[0].Err; status.Exit(err) != 75 {
		t.Errorf("%v", err)
	}
}

// TestOnlyAReplyMakesDone: a recipient that no host has taken and that has no failure is
// deferred, whatever went wrong.
func TestOnlyAReplyMakesDone(t *testing.T) {
	m := &Message{Done: func([]int, maillog.Remote, string) {}}
	m.accepted([]int{1}, maillog.Remote{}, "250 ok")
	failed := map[int]*failure{2: {}, 3: {err: permanent(550, "5.1.1", "no")}}
	got := results(m, []int{0, 1, 2, 3}, failed)
	for i, want := range []int{status.TempFail, status.OK, status.TempFail, status.Unavailable} {
		if exit := status.Exit(got[i].Err); exit != want {
			t.Errorf("recipient %d: exit status %d (%v), want %d", i, exit, got[i].Err, want)
		}
	}
}
