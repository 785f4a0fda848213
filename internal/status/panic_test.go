package status

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// A panic is temporary whatever its value is, and its text and stack are bounded.
func TestPanic(t *testing.T) {
	var none []int
	for _, c := range []struct {
		name string
		f    func()
		want string
	}{
		{"a text", func() { panic("odd message") }, "panic: odd message"},
		{"a refusal", func() { panic(Refuse("5.6.0", "no")) }, "panic: no"},
		{"nil", func() { panic(nil) }, "panic: " + new(runtime.PanicNilError).Error()},
		{"an index", func() { _ = none[3] }, "panic: runtime error: index out of range [3] with length 0"},
		{"a long text", func() { panic(strings.Repeat("x", 9999)) }, "panic: " + strings.Repeat("x", maxPanicValue)},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Guard(func() error { c.f(); return nil })
			if err == nil || err.Error() != c.want || !IsTemporary(err) {
				t.Fatalf("%v, exit status %d", err, Exit(err))
			}
			if code, enhanced, text := Reply(err); code != 451 || enhanced != "4.3.0" || strings.Contains(text, "panic") {
				t.Errorf("reply %d %s %s", code, enhanced, text)
			}
			stack := Stack(fmt.Errorf("wrapped: %w", Temp("4.3.0", "", err)))
			if !strings.Contains(stack, "TestPanic") || len(stack) > maxPanicStack {
				t.Errorf("%d octets of stack: %s", len(stack), stack)
			}
		})
	}
}

// deep panics below so many calls.
func deep(n int) {
	if n > 0 {
		deep(n - 1)
	}
	panic("deep")
}

func TestStackIsBounded(t *testing.T) {
	if n := len(Stack(Guard(func() error { deep(500); return nil }))); n != maxPanicStack {
		t.Errorf("%d octets of stack", n)
	}
}

// Without a panic errors and results stay as they are.
func TestGuardWithoutPanic(t *testing.T) {
	cause := errors.New("disk")
	for _, want := range []error{nil, cause} {
		if err := Guard(func() error { return want }); err != want || Stack(err) != "" {
			t.Errorf("%v, stack %q, want %v", err, Stack(err), want)
		}
	}
	n, err := func() (n int, err error) {
		defer Catch(&err)
		n = 7
		panic("late")
	}()
	if n != 7 || err == nil || err.Error() != "panic: late" {
		t.Errorf("%d, %v", n, err)
	}
}
