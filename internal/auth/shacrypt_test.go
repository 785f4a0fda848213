package auth

import (
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"pgregory.net/rapid"
)

// Test vectors of the specification, as libcrypt computes them.
func TestSHA512Vectors(t *testing.T) {
	for hash, password := range map[string]string{
		"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1":                    "Hello world!",
		"$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.": "Hello world!",
		"$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1":  "a very much longer text to encrypt.  This one even stretches over morethan one line.",
	} {
		if !matchSHA512(hash, password) || matchSHA512(hash, password+"x") {
			t.Errorf("%s", hash)
		}
	}
}

// The result agrees with the library, which makes the hashes.
func TestSHA512Library(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := strings.Repeat(rapid.StringN(1, 40, 100).Draw(t, "password"), rapid.IntRange(1, 4).Draw(t, "times"))
		other := rapid.StringN(1, 40, 100).Draw(t, "other")
		h, err := shacrypt.New(shacrypt.WithSHA512(), shacrypt.WithIterations(rapid.IntRange(1000, 1100).Draw(t, "rounds")),
			shacrypt.WithSaltLength(rapid.IntRange(1, 16).Draw(t, "salt")))
		if err != nil {
			t.Fatal(err)
		}
		d, err := h.Hash(password)
		if err != nil {
			t.Fatal(err)
		}
		if s := d.Encode(); !matchSHA512(s, password) || matchSHA512(s, other) != (other == password) {
			t.Fatalf("%s of %q", s, password)
		}
	})
}

func BenchmarkSHA512(b *testing.B) {
	hash, err := Hash("SHA512-CRYPT", "correct-horse")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := verify(hash, "correct-horse"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
