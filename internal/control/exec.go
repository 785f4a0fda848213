package control

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// RunProgramsAs makes the programs that tables name run as another user if we are root:
// whoever may write those files need not be root. It is to be called at the start.
func (c *Control) RunProgramsAs(uid, gid int) {
	c.runAs = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(gid)}}
}

const (
	execUnderWay = 256              // questions to one program at a time
	execLine     = programOutput    // octets of an answer
	execAgain    = time.Second      // after the first death in a row without an answer, then twice that
	execRest     = time.Minute      // at most
	execLinger   = time.Second      // for what it has said to be read when it is killed
	execEnd      = 10 * time.Second // for a program to end once nobody asks it any more
)

// execAsker is the backend exec: a program that stays, and answers questions line by line
// (table(5)).
type execAsker struct{ *execTable }

func openExec(c *Control, table, argument string) (asker, error) {
	p, err := parseProgram(argument)
	if err != nil {
		return nil, err
	}
	return execAsker{c.execTable(table, argument, p)}, nil
}

func (e execAsker) String() string { return "exec:" + e.program[0] }

// execTable is the program of a table, whether it is running or not.
type execTable struct {
	table, argument string
	program         Program
	runAs           *syscall.Credential
	limit           time.Duration // for an answer

	mu      sync.Mutex
	running *execProcess
	deaths  int       // in a row without an answer
	rests   time.Time // until then it is not started again
	why     error     // of the last death
}

// execTable returns the program of a table. Another one that the table had before ends. The
// caller holds c.mu.
func (c *Control) execTable(table, argument string, p Program) *execTable {
	had := c.programs[table]
	if had != nil && had.argument == argument {
		return had
	}
	if had != nil {
		go had.retire()
	}
	t := &execTable{table: table, argument: argument, program: p, runAs: c.runAs, limit: programTime}
	c.programs[table] = t
	return t
}

// retire ends the program.
func (t *execTable) retire() {
	t.mu.Lock()
	p := t.running
	t.running = nil
	t.mu.Unlock()
	if p != nil {
		p.end()
	}
}

// errGone says that a program has ended before it answered.
var errGone = errors.New("the program has ended")

// ask asks the program. One that has answered before and ends meanwhile, such as one that is
// replaced, is started and asked once more.
func (t *execTable) ask(key string) (text string, found bool, err error) {
	for try := 0; ; try++ {
		p, err := t.process()
		if err != nil {
			return "", false, err
		}
		text, found, err = p.ask(key, t.limit)
		if err == nil {
			return text, found, nil
		}
		if try > 0 || !errors.Is(err, errGone) || !p.useful() {
			return "", false, fmt.Errorf("%s: %w", t.program[0], err)
		}
	}
}

// check starts the program if it is not running, and asks it for a name that no table has.
func (t *execTable) check() error {
	if err := t.program.check(); err != nil {
		return err
	}
	_, _, err := t.ask(execProbe)
	return err
}

// execProbe is the key by which mailctl check sees that a program answers.
const execProbe = "check@paperpath.invalid"

// process returns the running program, and starts it if there is none.
func (t *execTable) process() (*execProcess, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running != nil && t.running.alive() {
		return t.running, nil
	}
	if wait := time.Until(t.rests); wait > 0 {
		// Rounded up: a program that never started is not tried again at once.
		return nil, fmt.Errorf("%s: %w (not tried again for %v)", t.program[0], t.why, (wait + time.Second - 1).Truncate(time.Second))
	}
	p, err := startExec(t.program, t.table, t.runAs, t.died)
	if err != nil {
		t.rest(err)
		return nil, fmt.Errorf("%s: %w", t.program[0], err)
	}
	t.running = p
	return p, nil
}

// died notes that a process has ended.
func (t *execTable) died(p *execProcess, why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running != p {
		return // it was to end
	}
	t.running = nil
	if p.useful() {
		t.deaths = 0
		t.why = why
		return
	}
	t.rest(why)
}

// rest puts off the next start, longer each time.
func (t *execTable) rest(why error) {
	t.why = why
	t.rests = time.Now().Add(min(execAgain<<min(t.deaths, 10), execRest))
	t.deaths++
}

// execProcess is a program that is running.
type execProcess struct {
	cmd   *exec.Cmd
	in    *os.File // its standard input
	out   *os.File // its standard output
	slots chan struct{}

	writing sync.Mutex // of a line

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan execAnswer
	heard   time.Time // the last answer
	answers int
	why     error // it is over
	reaped  bool  // its number may be that of another process

	done chan struct{} // closed once it is over
}

type execAnswer struct {
	text  string
	found bool
	err   error
}

// startExec starts a program. died is called once it has ended.
func startExec(program Program, table string, as *syscall.Credential, died func(*execProcess, error)) (*execProcess, error) {
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	out, stdout, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer stdout.Close()
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	// Its standard error is not ours, which under inetd is the client's socket.
	cmd.Dir = "/"
	cmd.Env = []string{programPath, "TABLE=" + table}
	// A session of its own, as in Program.run.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: as}
	if err := cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, plain(err)
	}
	p := &execProcess{cmd: cmd, in: in, out: out, slots: make(chan struct{}, execUnderWay),
		waiting: map[uint64]chan execAnswer{}, done: make(chan struct{})}
	go func() {
		why := p.listen(out)
		out.Close()
		p.kill()
		p.mu.Lock()
		p.reaped = true
		p.mu.Unlock()
		if err := cmd.Wait(); err != nil && why == nil {
			why = fmt.Errorf("%w: %v", errGone, err)
		}
		if why == nil {
			why = errGone
		}
		died(p, why)
		p.over(why)
	}()
	return p, nil
}

// listen reads answers until the program closes its output, or says what is none.
func (p *execProcess) listen(out *os.File) error {
	lines := bufio.NewReaderSize(out, execLine)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("an answer has more than %d octets", execLine)
		case err != nil:
			return nil
		}
		if err := p.answer(strings.TrimSuffix(string(line), "\n")); err != nil {
			return err
		}
	}
}

// answer hands on an answer: `ID found ROW`, `ID none` or `ID later TEXT`.
func (p *execProcess) answer(line string) error {
	number, rest, _ := strings.Cut(line, " ")
	word, text, _ := strings.Cut(rest, " ")
	id, err := strconv.ParseUint(number, 10, 64)
	var a execAnswer
	switch {
	case err != nil:
		return fmt.Errorf("no number at the beginning of the answer %.100q", line)
	case word == "found":
		a.text, a.found = text, true
	case word == "later":
		a.err = fmt.Errorf("it cannot answer now: %.200q", text)
	case word != "none" || text != "":
		return fmt.Errorf("the answer %.100q is neither found, none nor later", line)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	to, asked := p.waiting[id]
	if !asked {
		if id == 0 || id > p.last {
			return fmt.Errorf("an answer to question %d, which nobody has asked", id)
		}
		return nil // it came too late
	}
	delete(p.waiting, id)
	p.heard = time.Now()
	p.answers++
	to <- a
	return nil
}

// ask asks one question, for at most limit. Where nothing has been answered in that time the
// program is stuck, and ends.
func (p *execProcess) ask(key string, limit time.Duration) (text string, found bool, err error) {
	begin := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	late := fmt.Errorf("no answer within %v", limit)
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-timer.C:
		return "", false, late
	}
	id, answer, err := p.question()
	if err != nil {
		return "", false, err
	}
	if err := p.write(fmt.Sprintf("%d %s\n", id, key), begin.Add(limit)); err != nil {
		p.kill() // the line may be cut
	}
	select {
	case a := <-answer:
		return a.text, a.found, a.err
	case <-timer.C:
	}
	p.mu.Lock()
	delete(p.waiting, id)
	stuck := p.heard.Before(begin)
	p.mu.Unlock()
	if stuck {
		p.kill()
	}
	return "", false, late
}

// question makes the number of a question.
func (p *execProcess) question() (id uint64, answer chan execAnswer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != nil {
		return 0, nil, p.why
	}
	p.last++
	answer = make(chan execAnswer, 1)
	p.waiting[p.last] = answer
	return p.last, answer, nil
}

func (p *execProcess) write(line string, until time.Time) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.in.SetWriteDeadline(until)
	_, err := p.in.WriteString(line)
	return err
}

// over fails all questions.
func (p *execProcess) over(why error) {
	p.mu.Lock()
	p.why = why
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	p.in.Close()
	for _, to := range waiting {
		to <- execAnswer{err: why}
	}
	close(p.done)
}

func (p *execProcess) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why == nil
}

// useful reports whether it has answered anything.
func (p *execProcess) useful() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers > 0
}

// kill ends the process group: whatever the program has started too. What has left the group may
// keep the output open, and nobody waits for that.
func (p *execProcess) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	p.out.SetReadDeadline(time.Now().Add(execLinger))
}

// end closes its input, by which it should end, and kills it if it does not.
func (p *execProcess) end() {
	p.writing.Lock()
	p.in.Close()
	p.writing.Unlock()
	select {
	case <-p.done:
	case <-time.After(execEnd):
		p.kill()
	}
}
