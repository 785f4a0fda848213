package sendmail

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/compose"
	"paperpath/internal/status"
)

func TestRefusalsKeepTheirStatus(t *testing.T) {
	for _, want := range []*status.Error{
		{Exit: status.NotAllowed, Reply: 550, Enhanced: "5.7.1", Text: "you may not"},
		status.Refuse("5.6.0", "not that"),
		{Exit: status.Refused, Reply: 552, Enhanced: "5.3.4", Text: "too large"},
		{Exit: status.NoMailbox, Reply: 550, Enhanced: "5.1.1", Text: "no such mailbox"},
		status.Temp("4.3.5", "later", nil),
		{Exit: status.TempFail, Reply: 452, Enhanced: "4.3.1", Text: "the disk is full"},
		status.UsageError("no recipients"),
	} {
		code, enhanced, text := status.Reply(want)
		got := reply{code, []string{enhanced + " " + text, enhanced + " and more"}}.err()
		if status.Exit(got) != want.Exit || got.Error() != want.Text {
			t.Errorf("%+v became %+v", want, got)
		}
	}
	if err := (reply{452, []string{"4.5.3 too many recipients"}}).err(); status.Exit(err) != status.Refused {
		t.Errorf("too many recipients: %v", err)
	}
}

// broken is a body that cannot be read beyond its first half.
type broken struct{ *strings.Reader }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if half := b.Size() / 2; off >= half {
		return 0, io.ErrUnexpectedEOF
	}
	return b.Reader.ReadAt(p[:min(int64(len(p)), b.Size()/2-off)], off)
}

func TestData(t *testing.T) {
	const whole = ".\n..a\n\n.b"
	long := strings.Repeat("line\n", 100000)
	for _, tt := range []struct {
		name string
		body compose.Body
		want string
		fail bool
	}{
		{"dots, no line end", strings.NewReader(whole), "..\r\n...a\r\n\r\n..b\r\n.\r\n", false},
		{"long", strings.NewReader(long), strings.ReplaceAll(long, "\n", "\r\n") + ".\r\n", false},
		// The final dot would make the half a message.
		{"unreadable", broken{strings.NewReader(long)}, strings.ReplaceAll(long[:len(long)/2], "\n", "\r\n"), true},
	} {
		near, far := net.Pipe()
		sent := make(chan string)
		go func() { sent <- takesData(far) }()
		c := newClient(near)
		err := c.text(tt.body, false)
		if err == nil {
			_, err = c.reply(250)
		}
		c.Close()
		got := <-sent
		if tt.fail { // the rest is still in the buffer
			tt.want = tt.want[:min(len(got), len(tt.want))]
		}
		if got != tt.want || (err != nil) != tt.fail {
			t.Errorf("%s: %d octets, want %d, %v", tt.name, len(got), len(tt.want), err)
		}
	}
}

// takesData answers the final dot, and returns the text.
func takesData(c net.Conn) string {
	var text strings.Builder
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			return text.String()
		}
		if line == ".\r\n" {
			io.WriteString(c, "250 2.0.0 ok\r\n")
		}
	}
}

// What is not one of the faults that pass is not tried again.
func TestOtherFaultsAreNotWaitedFor(t *testing.T) {
	for _, err := range []error{status.Temp("4.3.0", "", unix.EACCES), &status.Error{Reply: 421, Enhanced: "4.3.5"}} {
		if got := tryFor(err, time.Minute); got >= 0 {
			t.Errorf("%v is tried again for %v", err, got)
		}
	}
}

// Replies that SMTP does not know are a lost connection.
func TestReplies(t *testing.T) {
	for text, want := range map[string]int{
		"250 2.0.0 ok\r\n":                      0,
		"250-one\r\n250 two\r\n":                0,
		"250\r\n":                               0,
		"":                                      status.TempFail,
		"\r\n":                                  status.TempFail,
		"25\r\n":                                status.TempFail,
		"2x0 ok\r\n":                            status.TempFail,
		"250-one\r\n550 two\r\n":                status.TempFail,
		"550 5.1.1 who\r\n":                     status.NoMailbox,
		"550 who\r\n":                           status.Refused,
		strings.Repeat("250-x\r\n", maxLines+1): status.TempFail,
		strings.Repeat("x", 2*maxLine):          status.TempFail,
		"250 " + strings.Repeat("x", 2*maxLine) + "\r\n": status.TempFail,
	} {
		near, far := net.Pipe()
		go func() { io.WriteString(far, text); far.Close() }()
		_, err := newClient(near).reply(250)
		near.Close()
		if status.Exit(err) != want {
			t.Errorf("%.40q: %v, want status %d", text, err, want)
		}
	}
}

// However many recipients there are, at most window commands wait for their replies; a recipient that is
// refused ends it without a text.
func TestManyRecipients(t *testing.T) {
	for _, refuse := range []int{0, 3 * window} {
		near, far := connected(t)
		commands := make(chan int)
		go func() {
			r := bufio.NewReader(far)
			n := 0
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					break
				}
				n++
				said := "250 2.0.0 ok\r\n"
				switch {
				case line == "DATA\r\n":
					said = "354 go\r\n"
				case n == refuse:
					said = "550 5.1.1 who\r\n"
				}
				io.WriteString(far, said)
			}
			commands <- n
		}()
		env := Envelope{To: make([]Recipient, 4*window)}
		err := newClient(near).envelope(env)
		near.Close()
		n := <-commands
		if refuse == 0 && (err != nil || n != len(env.To)+2) || refuse != 0 && (status.Exit(err) != status.NoMailbox || n > refuse+window) {
			t.Errorf("refusing %d: %d commands, %v", refuse, n, err)
		}
		far.Close()
	}
}

// connected returns two ends of a Unix socket.
func connected(t *testing.T) (near, far *os.File) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
}
