package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"paperpath/test/harness"
)

// letter makes a message of about size octets from its token. The sum of the
// body is in its header, so that a torn one shows.
func letter(token string, size int) []byte {
	line := "0123456789 abcdefghijklmnopqrstuvwxyz " + token + "\n"
	body := strings.Repeat(line, 1+size/len(line))
	return fmt.Appendf(nil, "From: bob@example.net\nTo: someone@example.net\nSubject: %s %d\n"+
		"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <%s@example.net>\nX-Sum: %x\n\n%s",
		token, size, token, sha256.Sum256([]byte(body)), body)
}

const small = 300 // octets of most letters

// report is the token of every bounce.
const report = "report"

// identify returns the token of a message that arrived, and whether the
// message is whole. content begins at our Received or at the letter itself.
func identify(message []byte) (token string, whole bool) {
	if isReport(message) {
		return report, bytes.Contains(message, []byte("\nSubject: token-")) &&
			bytes.HasSuffix(bytes.TrimSpace(message), []byte("--"))
	}
	if header, text, _ := bytes.Cut(message, []byte("\n\n")); bytes.Contains(header, []byte("\nAuto-Submitted: auto-replied")) {
		return answer, bytes.Contains(text, []byte("I am away."))
	}
	_, rest, _ := bytes.Cut(message, []byte("\nSubject: "))
	subject, _, _ := bytes.Cut(rest, []byte("\n"))
	var size int
	if n, _ := fmt.Sscanf(string(subject), "%s %d", &token, &size); n != 2 || size > 10<<20 {
		return "", false
	}
	sent := letter(token, size)
	return token, bytes.HasSuffix(message, sent) && (isBelowOurs(harness.Body(message), sent) || isOwn(message, sent))
}

// isBelowOurs reports whether body is a letter, or one with what a check scenario has above it.
func isBelowOurs(body, letter []byte) bool {
	above := string(bytes.TrimSuffix(body, letter))
	return above == "" || above == fromFilter || above == oddFields || above == forwardTrail
}

// forwardTrail is above what alice's rules have forwarded.
const forwardTrail = "Delivered-To: alice@example.net\n"

func isReport(message []byte) bool {
	header, _, _ := bytes.Cut(message, []byte("\n\n"))
	return bytes.Contains(header, []byte("multipart/report"))
}

// isOwn is for what maildeliver stores as an MDA, and what mailrelay sends from standard
// input: no Received of ours on top.
func isOwn(message, letter []byte) bool {
	head := bytes.TrimSuffix(message, letter)
	return len(head) == 0 || bytes.HasPrefix(head, []byte("Return-Path: ")) && bytes.Count(head, []byte("\n")) == 2
}

// arrived counts the tokens in every mailbox and at the next host.
type arrived struct {
	counts map[string]map[string]int // box, token
	torn   []string
}

// junk is the box of alice's folder for junk; those at the next host are addresses there.
const (
	junk      = "alice, junk"
	elsewhere = "x@elsewhere.example"
	other     = "y@elsewhere.example"
)

func (w *world) arrived() (arrived, error) {
	a := arrived{counts: map[string]map[string]int{}}
	places := map[string]string{junk: filepath.Join(w.mailbox("alice"), "Maildir", ".Junk")}
	for _, box := range boxes {
		places[box] = filepath.Join(w.mailbox(box), "Maildir")
	}
	for box, dir := range places {
		names, _ := filepath.Glob(dir + "/[nc][eu][wr]/*")
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				return a, err
			}
			a.add(box, data, name)
		}
	}
	if err := w.takenByRules(&a); err != nil {
		return a, err
	}
	for _, m := range w.sink.Received() {
		for _, rcpt := range m.To {
			a.add(rcpt, m.Data, "at the next host")
		}
	}
	a.torn = append(a.torn, w.sink.Wrong()...)
	return a, nil
}

func (a *arrived) add(box string, data []byte, where string) {
	token, whole := identify(data)
	if !whole {
		a.torn = append(a.torn, fmt.Sprintf("%s: %.200q", where, data))
		return
	}
	if a.counts[box] == nil {
		a.counts[box] = map[string]int{}
	}
	a.counts[box][token]++
}
