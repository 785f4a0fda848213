package kill

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"

	"paperpath/test/harness"
)

// flow sends mail by SMTP and stdin until it is stopped, and remembers what was
// acknowledged.
type flow struct {
	h    *harness.Home
	seed uint64
	stop chan struct{}
	wg   sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[string][]string // token of the message: mailboxes that must have it
	alias        map[string]string   // token of the message: the name that it was sent to
	running      map[int]bool        // pids of mailsubmit processes
	sent         int
}

func newFlow(h *harness.Home, seed uint64) *flow {
	return &flow{h: h, seed: seed, stop: make(chan struct{}), acknowledged: map[string][]string{}, alias: map[string]string{}, running: map[int]bool{}}
}

func (f *flow) begin() {
	for n, send := range []func(to, token string) bool{f.bySMTP, f.bySMTP, f.byStdin, f.byStdin} {
		rnd := rand.New(rand.NewPCG(f.seed, uint64(100+n)))
		f.wg.Go(func() { f.loop(rnd, send) })
	}
}

func (f *flow) end() {
	close(f.stop)
	f.wg.Wait()
}

// held stands for hold/ as a mailbox, and in the tokens of messages that go there.
const held = "held"

// destinations are addresses and the mailboxes that each leads to.
var destinations = []struct {
	to    string
	boxes []string
}{
	{"alice@example.net", []string{"alice"}},
	{"bob+lists@example.net", []string{"bob"}},
	{"both@example.net", []string{"alice", "bob"}},
	{"all@example.net", []string{"alice", "bob", elsewhere}},
	{"away@example.net", []string{elsewhere}},
	{"alice@example.net", []string{held}},
}

func (f *flow) loop(rnd *rand.Rand, send func(to, token string) bool) {
	for {
		select {
		case <-f.stop:
			return
		default:
		}
		d := destinations[rnd.IntN(len(destinations))]
		f.mu.Lock()
		f.sent++
		token := fmt.Sprintf("token-%06d-%d", f.sent, rnd.IntN(20000))
		if d.boxes[0] == held {
			token = strings.Replace(token, "token-", "token-"+held+"-", 1)
		}
		f.alias[token] = d.to
		f.mu.Unlock()
		if send(d.to, token) {
			f.mu.Lock()
			f.acknowledged[token] = d.boxes
			f.mu.Unlock()
		}
	}
}

func (f *flow) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.acknowledged)
}

// letter makes a message from its token: the last number is how long it is,
// and the sum of the body is in its header, so that a torn one shows.
func letter(token string) []byte {
	var size int
	fmt.Sscanf(token[strings.LastIndexByte(token, '-')+1:], "%d", &size)
	body := strings.Repeat("0123456789 "+token+"\n", 1+size/30)
	from := "From: carol@example.org\n"
	if strings.Contains(token, held) {
		from += from // which a check holds
	}
	return fmt.Appendf(nil, from+"To: someone@example.net\nSubject: %s\n"+
		"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <%s@example.org>\nX-Sum: %x\n\n%s",
		token, token, sha256.Sum256([]byte(body)), body)
}

// tokenOf returns the token of a message that arrived, and whether it is whole:
// what was sent below our Received, and nothing else.
func tokenOf(message []byte) (token string, whole bool) {
	_, rest, _ := bytes.Cut(message, []byte("\nSubject: "))
	subject, _, _ := bytes.Cut(rest, []byte("\n"))
	token = string(subject)
	return token, strings.HasPrefix(token, "token-") && bytes.Equal(harness.Body(message), letter(token))
}

// tokenAway is tokenOf for the next host. Only aliases lead there, and such a copy
// has the alias in Delivered-To below our Received.
func (f *flow) tokenAway(message []byte) (token string, whole bool) {
	token, whole = tokenOf(message)
	f.mu.Lock()
	defer f.mu.Unlock()
	want := append([]byte("\nDelivered-To: "+f.alias[token]+"\n"), letter(token)...)
	return token, whole && bytes.HasSuffix(message, want)
}

func (f *flow) bySMTP(to, token string) bool {
	_, err := harness.SendMail(f.h.Addr["mx"], "carol@example.org", []string{to}, letter(token))
	return err == nil
}

func (f *flow) byStdin(to, token string) bool {
	cmd := exec.Command(programs.Path("mailsubmit"), "-f", "bob@example.net", to)
	cmd.Env = programs.Env(f.h.Dir)
	cmd.Stdin = bytes.NewReader(letter(token))
	if cmd.Start() != nil {
		return false
	}
	f.track(cmd.Process.Pid, true)
	defer f.track(cmd.Process.Pid, false)
	return cmd.Wait() == nil
}

func (f *flow) track(pid int, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if on {
		f.running[pid] = true
	} else {
		delete(f.running, pid)
	}
}

// submitters returns the mailsubmit processes that run now.
func (f *flow) submitters() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var pids []int
	for pid := range f.running {
		pids = append(pids, pid)
	}
	return pids
}
