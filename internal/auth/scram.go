package auth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
)

const errScram = Malformed("invalid SCRAM message")

// scramRun is an exchange of SCRAM after the client's first message.
type scramRun struct {
	*Exchange
	keys    Keys
	nonce   string // the client's and ours
	binding []byte // the required c=: the gs2 header and the channel's data
	said    string // client-first-message-bare "," server-first-message
	wrong   bool   // whatever the proof
}

// scramFirst handles the client's first message (RFC 5802 7).
func (x *Exchange) scramFirst(ctx context.Context, response []byte) ([]byte, step, error) {
	m, ok := parseFirst(string(response))
	if !ok {
		return nil, nil, errScram
	}
	x.login = m.login
	channel, bound, err := x.channel(m.flag)
	if err != nil {
		return nil, nil, err
	}
	r := &scramRun{Exchange: x, binding: append([]byte(m.header), channel...)}
	r.wrong = !bound || m.acting != "" && m.acting != m.login || !WellFormed(m.login)
	name := m.login
	if !WellFormed(name) {
		name = "?"
	}
	if r.keys, err = x.users.Keys(ctx, name); err != nil {
		return nil, nil, err
	}
	r.wrong = r.wrong || r.keys.Nobody
	r.nonce = m.nonce + rand.Text()
	first := "r=" + r.nonce + ",s=" + base64.StdEncoding.EncodeToString(r.keys.Salt) +
		",i=" + strconv.Itoa(r.keys.Iterations)
	r.said = m.bare + "," + first
	return []byte(first), r.final, nil
}

// final handles the client's proof. All wrong proofs get the same answer.
func (r *scramRun) final(ctx context.Context, response []byte) ([]byte, step, error) {
	without, proof, ok := cutLast(string(response), ",p=")
	given, err := base64.StdEncoding.Strict().DecodeString(proof)
	fields := strings.Split(without, ",")
	if !ok || err != nil || len(fields) < 2 ||
		!strings.HasPrefix(fields[0], "c=") || !strings.HasPrefix(fields[1], "r=") {
		return nil, nil, errScram
	}
	binding, err := base64.StdEncoding.Strict().DecodeString(fields[0][2:])
	if err != nil {
		return nil, nil, errScram
	}
	said := []byte(r.said + "," + without)
	right := r.keys.proves(given, said)
	right = right && !r.wrong && bytes.Equal(binding, r.binding) && fields[1][2:] == r.nonce
	if err := r.users.Proved(ctx, r.login, right); err != nil || !right {
		return nil, nil, cmp.Or(err, refused())
	}
	signature := mac(r.keys.ServerKey, said)
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature)), r.finish, nil
}

// finish handles the empty response to our own proof, which neither protocol can send
// in its success reply.
func (r *scramRun) finish(_ context.Context, response []byte) ([]byte, step, error) {
	if len(response) > 0 {
		return nil, nil, errScram
	}
	return nil, nil, nil
}

// proves reports whether a ClientProof matches these keys (RFC 5802 3).
func (k Keys) proves(proof, said []byte) bool {
	signature := mac(k.StoredKey, said)
	if len(proof) != len(signature) {
		return false
	}
	clientKey := make([]byte, len(proof))
	subtle.XORBytes(clientKey, proof, signature)
	stored := sha256.Sum256(clientKey)
	return hmac.Equal(stored[:], k.StoredKey)
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// channel returns the data of the channel binding that the client requests by the flag
// of its header, and whether the flag is allowed.
func (x *Exchange) channel(flag string) (data []byte, ok bool, err error) {
	kind, binds := strings.CutPrefix(flag, "p=")
	switch {
	case binds != (x.mechanism == ScramPlus):
		return nil, false, errScram
	case binds:
		data, err := x.peer.binding(kind)
		return data, err == nil, err
	case flag == "y":
		// The client supports binding and thinks that we do not: somebody has removed
		// -PLUS from our list (RFC 5802 6).
		return nil, x.peer.TLS == nil, nil
	}
	return nil, flag == "n", nil
}

// firstMessage holds the parts of the client's first message.
type firstMessage struct {
	header string // gs2-header
	flag   string // "n", "y" or "p=KIND"
	acting string // authzid
	bare   string
	login  string
	nonce  string
}

// parseFirst parses `flag,a=authzid,n=login,r=nonce`, and extensions unless one is
// mandatory.
func parseFirst(s string) (m firstMessage, ok bool) {
	f := strings.SplitN(s, ",", 3)
	if len(f) < 3 {
		return m, false
	}
	m.flag, m.bare, m.header = f[0], f[2], f[0]+","+f[1]+","
	if m.flag != "n" && m.flag != "y" && !strings.HasPrefix(m.flag, "p=") {
		return m, false
	}
	if f[1] != "" {
		acting, named := strings.CutPrefix(f[1], "a=")
		if m.acting, ok = saslName(acting); !named || !ok {
			return m, false
		}
	}
	b := strings.Split(m.bare, ",")
	if len(b) < 2 || !strings.HasPrefix(b[0], "n=") || !strings.HasPrefix(b[1], "r=") {
		return m, false
	}
	m.nonce = b[1][2:]
	m.login, ok = saslName(b[0][2:])
	return m, ok && m.nonce != "" && printable(m.nonce)
}

// printable reports whether s is `printable` of RFC 5802 7; there is no comma
// in it.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// saslName decodes a name: =2C is a comma, =3D an equals sign, and no other equals sign
// is allowed (RFC 5802 5.1).
func saslName(s string) (string, bool) {
	plain := strings.NewReplacer("=2C", "", "=3D", "").Replace(s)
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s), s != "" && !strings.Contains(plain, "=")
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
