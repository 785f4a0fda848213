package callout

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What a program reads is a copy of its own: it cannot move our place in the message's file, nor
// write there, nor change what its children read; and a large message takes no heap.
func TestInputIsACopy(t *testing.T) {
	const size = 64 << 20
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "message"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	c := call(script(t, `wc -c; (echo forged 1<>/dev/stdin) 2>/dev/null || echo sealed; wc -c </dev/stdin`))
	c.Input = io.NewSectionReader(file, 0, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := c.Run(context.Background())
	runtime.ReadMemStats(&after)
	if err != nil || got.Output != "67108864\nsealed\n67108864\n" {
		t.Errorf("%q %v", got.Output, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes of memory for a message of %d", used, size)
	}
	if at, err := file.Seek(0, io.SeekCurrent); at != 0 || err != nil {
		t.Errorf("our place in the message is %d, %v", at, err)
	}
	head := make([]byte, 16)
	if _, err := file.ReadAt(head, 0); err != nil || strings.Trim(string(head), "\x00") != "" {
		t.Errorf("the message begins with %q, %v", head, err)
	}
}

// A program whose caller is killed reads the whole message: it could not tell the beginning
// of one from a message, and would store it.
func TestWholeMessageWhenKilled(t *testing.T) {
	const reader = "PAPERPATH_TEST_READER"
	if path := os.Getenv(reader); path != "" {
		c := call(path)
		c.Input = section(strings.Repeat("0123456789abcde\n", 1<<16))
		c.Run(context.Background())
		return
	}
	done := filepath.Join(t.TempDir(), "done")
	program := script(t, `echo >`+done+`.begun
while kill -0 $PPID 2>/dev/null && [ "$(cut -d" " -f4 /proc/$$/stat)" = $PPID ]; do sleep 0.01; done
wc -c >`+done+`.tmp; mv `+done+`.tmp `+done)
	caller := exec.Command(os.Args[0], "-test.run=^TestWholeMessageWhenKilled$")
	caller.Env = append(os.Environ(), reader+"="+program)
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, done+".begun")
	caller.Process.Kill()
	caller.Wait()
	if got := await(t, done); got != "1048576\n" {
		t.Errorf("the program read %q octets", got)
	}
}

// await returns what is in the file once it is there.
func await(t *testing.T, path string) (text string) {
	t.Helper()
	until(t, path, func() bool {
		all, err := os.ReadFile(path)
		text = string(all)
		return err == nil
	})
	return text
}
