package control

import (
	"testing"
	"time"
)

// A look counts for the questions after it, until somebody has new work.
func TestTrustedLooks(t *testing.T) {
	f := newFixture(t, nil)
	names := []string{"one.example", "two.example", "three.example"}
	ask := func(want string) {
		t.Helper()
		if got, err := f.Hostname(); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	f.write("hostname", names[0]+"\n")
	ask(names[0])
	f.write("hostname", names[1]+"\n")
	ask(names[1]) // nobody trusts looks yet
	f.Trust(time.Hour)
	ask(names[1])
	f.write("hostname", names[2]+"\n")
	ask(names[1])
	f.Anew()
	ask(names[2])
	f.Trust(time.Nanosecond)
	f.write("hostname", names[0]+"\n")
	ask(names[0])
}

func TestTrustedLooksAreBounded(t *testing.T) {
	f := newFixture(t, nil)
	f.Trust(time.Hour)
	f.write("dkim/x.example/active", "")
	for i := range 3 * maxLooks {
		if _, err := f.DKIMKeys(string(rune('a'+i%26)) + time.Duration(i).String() + ".example"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.looks.files); n > maxLooks+1 {
		t.Errorf("%d looks are kept", n)
	}
}
