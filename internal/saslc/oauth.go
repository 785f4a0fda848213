package saslc

import (
	"encoding/json"
	"strconv"
	"strings"

	"paperpath/internal/visible"
)

// A refused token is announced by a challenge in JSON (RFC 7628 3.2.2, and Google's
// XOAUTH2). Its answer says nothing, but without it the reply that ends the exchange
// does not come.

// oauthBearer is OAUTHBEARER (RFC 7628 3.1). go-sasl's ends the exchange at the challenge
// with `*`, so that the server's own reply is lost.
func (x *Exchange) oauthBearer(c Credentials) {
	var b strings.Builder
	b.WriteString("n,a=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.User) + ",\x01")
	if c.Host != "" {
		b.WriteString("host=" + c.Host + "\x01port=" + strconv.Itoa(int(c.Port)) + "\x01")
	}
	b.WriteString("auth=Bearer " + c.Secret + "\x01\x01")
	x.Initial = []byte(b.String())
	x.next = once(x.challenged("\x01"))
}

// xoauth2 is XOAUTH2, as Google and Microsoft document it.
func (x *Exchange) xoauth2(c Credentials) {
	x.Initial = []byte("user=" + c.User + "\x01auth=Bearer " + c.Secret + "\x01\x01")
	x.next = once(x.challenged(""))
}

// challenged keeps what the server says about a token and gives the empty answer.
func (x *Exchange) challenged(answer string) func([]byte) []byte {
	return func(challenge []byte) []byte {
		x.words = tokenWords(challenge)
		return []byte(answer)
	}
}

// tokenWords is what a server says about a token, for people.
func tokenWords(challenge []byte) string {
	var said struct {
		Status  string `json:"status"`
		Schemes string `json:"schemes"`
		Scope   string `json:"scope"`
	}
	if json.Unmarshal(challenge, &said) != nil || said.Status == "" {
		return visibleWords(string(challenge))
	}
	words := "status " + said.Status
	if said.Schemes != "" {
		words += ", schemes " + said.Schemes
	}
	if said.Scope != "" {
		words += ", scope " + said.Scope
	}
	return visibleWords(words)
}

// visibleWords makes what a server said harmless and short.
func visibleWords(s string) string { return visible.Shorten(visible.ASCII(s), 200) }
