package auth

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/dir"
)

// likenessFile is the file from which a process that has not seen a user of the program
// yet (under inetd each session is one) learns what a password check costs here. It
// has a password field without a user.
func likenessFile(c *control.Control) string { return filepath.Join(c.Home(), "run", "likeness") }

// maxLikeness is how much of the file is read, in octets.
const maxLikeness = 4096

// readLikeness returns the field in the file, "" for none.
func readLikeness(c *control.Control) string { return readShort(likenessFile(c)) }

// readShort returns the content of a file in run/ without its last line end.
func readShort(path string) string {
	f, err := dir.OpenPath(path, os.O_RDONLY, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	text := make([]byte, maxLikeness)
	n, _ := f.Read(text)
	return strings.TrimSuffix(string(text[:n]), "\n")
}

// writeShort replaces the file of readShort, if it can.
func writeShort(path, text string) {
	f, err := os.CreateTemp(filepath.Dir(path), ".likeness*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text + "\n")
	f.Chmod(0o660) // the programs may run as several users of one group
	if f.Close() == nil && err == nil {
		os.Rename(f.Name(), path)
	}
}

// keepLikeness puts a field with the cost of this one into the file. If it cannot, an
// unknown login costs what the default scheme does.
func keepLikeness(c *control.Control, field string) {
	if costOf(readLikeness(c)) == costOf(field) {
		return
	}
	like := likeness(field)
	if like == "" || len(like) >= maxLikeness {
		return
	}
	writeShort(likenessFile(c), like)
}

// costOf returns a field without what differs between users of one scheme.
func costOf(field string) string {
	scheme, _, rest := control.SplitScheme(field)
	f := strings.Split(rest, "$")
	switch {
	case scheme == Scram:
		iterations, _, _ := strings.Cut(rest, ",")
		return scheme + iterations
	case scheme == "PBKDF2" && len(f) == 5:
		return scheme + f[3]
	case len(f) < 4:
		return scheme
	case f[1] == "1" || f[1] == "5" || f[1] == "6":
		return strings.Join(f[:len(f)-2], "$")
	}
	return strings.Join(f[:min(len(f)-1, 4)], "$")
}

// likeness makes a field with the cost of another one and nothing of its password; "" if
// it cannot.
func likeness(field string) string {
	scheme, _, rest := control.SplitScheme(field)
	f := strings.Split(rest, "$")
	d, isDigest := digests()[scheme]
	switch {
	case isClear(scheme):
		return "{PLAIN}" + rand.Text()
	case scheme == Scram:
		k, err := parseKeys(rest)
		if err != nil {
			return ""
		}
		k.Salt, k.StoredKey, k.ServerKey = random(len(k.Salt)), random(32), random(32)
		return "{" + Scram + "}" + k.String()
	case isDigest:
		n := d.new().Size()
		if d.salted {
			n += 8
		}
		return "{" + scheme + ".b64}" + base64.StdEncoding.EncodeToString(random(n))
	case scheme == "PBKDF2" && len(f) == 5:
		f[4] = hex.EncodeToString(random(len(f[4]) / 2))
		return "{PBKDF2}" + strings.Join(f, "$")
	case len(f) < 4:
		return ""
	}
	last := f[len(f)-1]
	kept := 0
	if strings.HasPrefix(f[1], "2") { // bcrypt has 22 letters of salt before the digest
		kept = min(22, len(last))
	}
	if len(last) <= kept {
		return ""
	}
	// All of these alphabets have the hex digits. The last letter has to encode fewer
	// bits than it could: yescrypt insists on that.
	f[len(f)-1] = last[:kept] + hex.EncodeToString(random(len(last)))[:len(last)-kept-1] + "0"
	return strings.Join(f, "$")
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}
