package mailctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// maxInput is the most that is read for a password.
const maxInput = 4096

// PasswordLine reads the password from one line of r.
func PasswordLine(r io.Reader) (string, error) {
	in := bufio.NewReader(io.LimitReader(r, maxInput+1))
	text, err := io.ReadAll(in)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if len(text) > maxInput {
		return "", status.UsageError("the password on standard input is too long")
	}
	line, rest, _ := strings.Cut(string(text), "\n")
	if rest != "" {
		return "", status.UsageError("more than one line on standard input (the password is one line)")
	}
	return strings.TrimSuffix(line, "\r"), nil
}

// PasswordPrompt asks for the password of address twice on the terminal in, without echo.
// When ctx ends the terminal gets its echo back.
func PasswordPrompt(ctx context.Context, in, out *os.File, address string) (string, error) {
	fd := int(in.Fd())
	if !term.IsTerminal(fd) {
		return "", status.UsageError("standard input is not a terminal (give the password with --password-stdin)")
	}
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the terminal's settings: %w", err)
	}
	// Before the first prompt: what is typed at once is not shown either.
	if err := silence(fd); err != nil {
		return "", fmt.Errorf("turn the terminal's echo off: %w", err)
	}
	defer term.Restore(fd, before)
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := twice(bufio.NewReader(io.LimitReader(in, 6*maxInput)), out, address)
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		return a.text, a.err
	case <-ctx.Done():
		fmt.Fprintln(out)
		return "", errors.New("interrupted, nothing was changed")
	}
}

// twice asks until both answers are the same, three times at most.
func twice(in *bufio.Reader, out io.Writer, address string) (text string, err error) {
	defer status.Catch(&err)
	for range 3 {
		first, err := ask(in, out, "password of "+visible.Escape(address)+": ")
		if err != nil {
			return "", err
		}
		second, err := ask(in, out, "again: ")
		if err != nil {
			return "", err
		}
		if first == second {
			return first, nil
		}
		fmt.Fprintln(out, "the passwords differ, please try again")
	}
	return "", status.UsageError("the two passwords differ")
}

// ask reads a line. It leaves the terminal's settings alone, unlike
// term.ReadPassword: an interrupt just then would find the echo turned off again.
func ask(in *bufio.Reader, out io.Writer, prompt string) (string, error) {
	fmt.Fprint(out, prompt)
	text, err := in.ReadString('\n')
	fmt.Fprintln(out)
	if err != nil && (text == "" || !errors.Is(err, io.EOF)) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(text, "\r\n"), nil
}

// silence turns the terminal's echo off, and lets it hand over whole lines and
// turn an interrupt into a signal, as it does for people.
func silence(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	t.Lflag |= unix.ICANON | unix.ISIG
	t.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}
