package dkim

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/message"
)

// How a field is signed.
const (
	always  = iota // one more than there are, so that nobody can add one (RFC 6376 8.15)
	present        // the same, but only if there is one: others may add the first
	asIs           // those that there are, for others add more
)

// signedFields are the fields that are signed. A mailing list that leaves the text as it
// is adds List fields and perhaps Sender: so those are closed only against a second one.
// Who resends a message adds a block of Resent fields.
func signedFields() []struct {
	name string
	how  int
} {
	return []struct {
		name string
		how  int
	}{
		{"From", always}, {"To", always}, {"Cc", always}, {"Reply-To", always}, {"Subject", always},
		{"Date", always}, {"Message-ID", always}, {"In-Reply-To", always}, {"References", always},
		{"MIME-Version", always}, {"Content-Type", always}, {"Content-Transfer-Encoding", always},
		{"Content-Disposition", always}, {"Content-ID", present}, {"Content-Description", present},
		{"Content-Language", present}, {"Sender", present}, {"Auto-Submitted", present},
		{"List-Id", present}, {"List-Unsubscribe", present}, {"List-Unsubscribe-Post", present},
		{"List-Post", present}, {"List-Help", present}, {"List-Subscribe", present},
		{"List-Owner", present}, {"List-Archive", present},
		{"Resent-From", asIs}, {"Resent-To", asIs}, {"Resent-Cc", asIs}, {"Resent-Date", asIs},
		{"Resent-Message-ID", asIs}, {"Resent-Sender", asIs},
	}
}

// Signed is what Sign made.
type Signed struct {
	Fields    string   // DKIM-Signature fields with CRLF line ends, to stand above the message
	Domain    string   // of the keys that signed
	Selectors []string // that signed, in the order of the keys
}

// Sign reads a message and signs it with each key, relaxed/relaxed and without l=. A key
// whose domain and selector have signed the message already is left out.
func Sign(r io.Reader, keys []Key, now time.Time) (Signed, error) {
	var out Signed
	in := message.Buffered(r)
	defer message.Done(in)
	h, err := readHeader(in)
	if err != nil {
		return out, fmt.Errorf("sign: %w", err)
	}
	defer h.done()
	keys = h.unsignedBy(keys)
	if len(keys) == 0 {
		return out, nil
	}
	b := newBody(relaxed)
	defer b.done()
	if _, err := io.Copy(b, in); err != nil {
		return out, fmt.Errorf("sign: read the message: %w", err)
	}
	sum, _ := b.sum()
	names := h.toSign()
	text := h.appendSigned(nil, relaxed, names, -1)
	for _, k := range keys {
		field, err := k.sign(text, names, sum, now)
		if err != nil {
			return out, fmt.Errorf("sign for %s with %s: %w", k.Domain, k.Selector, err)
		}
		out.Fields += field
		out.Domain, out.Selectors = k.Domain, append(out.Selectors, k.Selector)
	}
	return out, nil
}

// unsignedBy returns the keys of which the message has no signature yet.
func (h *header) unsignedBy(keys []Key) []Key {
	there := map[string]bool{}
	for n, i := range h.all(signatureField) {
		if n == MaxSignatures {
			break // more than anybody verifies
		}
		var r Result
		parseSignature(string(h.value(i)), &r) // what cannot be read is not ours
		there[Name(r.Selector, r.Domain)] = true
	}
	var list []Key
	for _, k := range keys {
		if !there[Name(k.Selector, k.Domain)] {
			list = append(list, k)
		}
	}
	return list
}

// toSign returns the names of h=.
func (h *header) toSign() []string {
	var names []string
	for _, f := range signedFields() {
		n := len(h.all(f.name))
		if f.how == always || f.how == present && n > 0 {
			n++
		}
		for range n {
			names = append(names, f.name)
		}
	}
	return names
}

// sign returns the signature field of one key. text has the canonical fields, sum is the
// hash of the body.
func (k Key) sign(text []byte, names []string, sum []byte, now time.Time) (string, error) {
	algorithm := Algorithm(k.Signer.Public())
	if err := Usable(k.Signer.Public()); err != nil {
		return "", err
	}
	var f folder
	f.add(signatureField + ": v=1;")
	f.add(" a=" + algorithm + ";")
	f.add(" c=relaxed/relaxed;")
	f.add(" d=" + k.Domain + ";")
	f.add(" s=" + k.Selector + ";")
	f.add(fmt.Sprintf(" t=%d;", now.Unix()))
	before := " h="
	for _, name := range names {
		f.add(before + name)
		before = ":"
	}
	f.add(";")
	f.add(" bh=" + base64.StdEncoding.EncodeToString(sum) + ";")
	f.add(" b=")
	hash := sha256.Sum256(relaxed.field(append([]byte{}, text...), signatureField, []byte(f.String())))
	digest, opts := hash[:], crypto.SignerOpts(crypto.SHA256)
	if algorithm == Ed25519 {
		opts = crypto.Hash(0) // it signs the hash (RFC 8463 3)
	}
	sig, err := k.Signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		return "", err
	}
	f.addAnywhere(base64.StdEncoding.EncodeToString(sig))
	return f.String() + "\r\n", nil
}

// lineLength is how long a folded line becomes at most (RFC 5322 2.1.1).
const lineLength = 78

// folder writes a folded field.
type folder struct {
	strings.Builder
	line int // octets of the line so far
}

// add adds a word, on a line of its own if it does not fit.
func (f *folder) add(word string) {
	if f.line > 0 && f.line+len(word) > lineLength-1 { // one for a colon or semicolon
		colon, rest := "", strings.TrimPrefix(word, " ")
		if strings.HasPrefix(word, ":") {
			colon, rest = ":", word[1:]
		}
		f.WriteString(colon + "\r\n\t")
		f.line, word = 8, rest
	}
	f.WriteString(word)
	f.line += len(word)
}

// addAnywhere adds base64, which may be folded anywhere.
func (f *folder) addAnywhere(text string) {
	for len(text) > 0 {
		if f.line >= lineLength {
			f.WriteString("\r\n\t")
			f.line = 8
		}
		n := min(len(text), lineLength-f.line)
		f.WriteString(text[:n])
		f.line, text = f.line+n, text[n:]
	}
}
