//go:build !race

package dkim

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the CPU time of this process.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tenTimes returns ten signature fields above letter's header. Their headers verify and
// half of them hash the body in each form, so that it has to be read.
func tenTimes(t testing.TB, z zone) string {
	t.Helper()
	var fields strings.Builder
	for i := range MaxSignatures {
		selector := fmt.Sprintf("s%d", i)
		z[Name(selector, "example.org")] = z["r._domainkey.example.org"]
		tags := fmt.Sprintf(" v=1; a=rsa-sha256; c=relaxed/%s; d=example.org; s=%s; h=From; bh=%s; b=",
			[]canonical{simple, relaxed}[i%2], selector, base64.StdEncoding.EncodeToString(make([]byte, 32)))
		text := relaxed.field([]byte("from:A <a@example.org>\r\n"), signatureField, []byte(":"+tags))
		sum := sha256.Sum256(text)
		sig, err := testRSA().Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		fields.WriteString(signatureField + ":" + tags + base64.StdEncoding.EncodeToString(sig) + "\r\n")
	}
	return fields.String() + crlf(letter[:strings.Index(letter, "\n\n")+2])
}

// costLimit is the processor time that a message may cost. The race detector makes code
// many times slower: what measures runs without it.
const costLimit = time.Second

// costTries is how often a message may be measured. A machine that does other work counts
// more than its own to a process, by its caches and shared cores: the least counts.
const costTries = 5

// Ten signatures of 25 MB of anything cost less than a second of CPU.
func TestCost(t *testing.T) {
	const size = 25 << 20
	_, z := pair(t)
	for name, unit := range map[string]string{"blank lines": "\r\n", "blanks": " \t", "short words": "a b \r\n",
		"one line": "x", "CRs": "\r", "lines": strings.Repeat("z", 76) + "\r\n"} {
		body := strings.Repeat(unit, size/len(unit))
		head := tenTimes(t, z)
		used := costLimit + 1
		for try := 0; try < costTries && used > costLimit; try++ {
			used = min(used, costOf(t, z, head, body))
		}
		if used > costLimit {
			t.Errorf("%s: %v of CPU", name, used)
		}
		t.Logf("%s: %v of CPU", name, used)
	}
}

// costOf is the processor time of verifying a message of tenTimes, whose body was changed.
func costOf(t testing.TB, z zone, head, body string) time.Duration {
	t.Helper()
	before := cpu(t)
	got, err := verifier(z).Verify(context.Background(), io.MultiReader(strings.NewReader(head), strings.NewReader(body)))
	used := cpu(t) - before
	if err != nil || len(got) != MaxSignatures || got[0].Reason != "the body was changed" {
		t.Fatalf("%+v, %v", got, err)
	}
	return used
}

func BenchmarkVerify4K(b *testing.B) {
	keys, z := pair(b)
	text := signedWith(b, letter+strings.Repeat(strings.Repeat("z", 63)+"\n", 55), keys[:1])
	b.ReportAllocs()
	for b.Loop() {
		if got := verdicts(b, z, text); got != "pass" {
			b.Fatal(got)
		}
	}
}

func BenchmarkVerify25MBlankLines(b *testing.B) {
	_, z := pair(b)
	text := tenTimes(b, z) + strings.Repeat("\r\n", 25<<19)
	for b.Loop() {
		verdicts(b, z, text)
	}
}

func BenchmarkSign4K(b *testing.B) {
	keys, _ := pair(b)
	text := letter + strings.Repeat(strings.Repeat("z", 63)+"\n", 55)
	for b.Loop() {
		if _, err := Sign(strings.NewReader(text), keys, testTime); err != nil {
			b.Fatal(err)
		}
	}
}
