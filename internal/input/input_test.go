package input

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"paperpath/internal/status"
)

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("odd") }

// Standard input is read unchanged; after the end of ctx, not even its end is
// reported.
func TestInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := strings.Repeat("0123456789", 1000)
	go func() { io.WriteString(w, text); w.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	in := Until(ctx, r)
	if got, err := io.ReadAll(in); err != nil || string(got) != text {
		t.Errorf("%d octets, %v", len(got), err)
	}
	cancel()
	if n, err := in.Read(make([]byte, 10)); n != 0 || errors.Is(err, io.EOF) || status.Exit(err) != status.TempFail {
		t.Errorf("%d octets, %v", n, err)
	}
}

// A panic in the goroutine that reads is an error like any other.
func TestInputPanics(t *testing.T) {
	in := Until(t.Context(), panicking{})
	if _, err := in.Read(make([]byte, 1)); status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), "panic: odd") {
		t.Errorf("%v", err)
	}
}

// What is there already is read without a context; what is not is waited for until that ends.
func TestInputThatIsThere(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	asked, waited := 0, 0
	in := &Reader{In: r, Context: func() context.Context { asked++; return ctx }, Waits: func() { waited++; cancel() }}
	io.WriteString(w, "half")
	if n, err := in.Read(make([]byte, 10)); n != 4 || err != nil || asked+waited != 0 {
		t.Errorf("%d octets, %v, asked %d, waited %d", n, err, asked, waited)
	}
	if n, err := in.Read(make([]byte, 10)); n != 0 || status.Exit(err) != status.TempFail || asked != 1 || waited != 1 {
		t.Errorf("%d octets, %v, asked %d, waited %d", n, err, asked, waited)
	}
	w.Close() // its end is not reported
	if n, err := in.Read(make([]byte, 10)); n != 0 || status.Exit(err) != status.TempFail {
		t.Errorf("%d octets, %v", n, err)
	}
}
