// Package certs finds the TLS certificates in control/tls and makes the
// self-signed one that a new home begins with.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

const (
	chainName = "fullchain.pem"
	keyName   = "privkey.pem"

	maxHosts = 1000 // certificates that are considered as the default
)

// store has the certificates in control/tls, read when they are needed and kept until
// their files change.
type store struct {
	dir  string // home/control/tls
	main string // the certificate for clients that name no host, or an unknown one

	trouble func(error) // called once for each faulty state of the files; may be nil

	mu   sync.Mutex
	held map[string]held
}

// held is a certificate and the state of its two files.
type held struct {
	chain, key mark
	cert       *tls.Certificate // nil: there was no usable one

	unusable               bool // the files, in the states that follow, were not usable
	brokenChain, brokenKey mark
	reported               string // the fault of the certificate that was reported
}

// mark identifies a state of a file.
type mark struct {
	mtime time.Time
	size  int64
}

// Config returns the TLS settings of a server: the certificate in
// control/tls/HOST/{fullchain,privkey}.pem for the host that the client names (RFC 6066
// 3), the one of hostname for all others. A pair that cannot be loaded is skipped; a
// certificate that has expired or is for other names is served anyway. trouble, which may
// be nil, is called for each of them, here and at the first handshake after a change. The
// result is nil if there is no usable certificate. Changed files are used from the next
// handshake on. The oldest version is TLS 1.2 (RFC 8996), and tickets are off: programs
// that serve one session share no ticket key.
func Config(home, hostname string, trouble func(error)) (*tls.Config, error) {
	s := &store{dir: filepath.Join(home, "control", "tls"), trouble: trouble, held: map[string]held{}}
	var err error
	if s.main, err = s.choose(addr.FoldDomain(hostname)); err != nil || s.main == "" {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
		GetCertificate:         s.forClient,
	}, nil
}

// choose returns the directory of the default certificate: the one of hostname, else the
// first that is usable, else "".
func (s *store) choose(hostname string) (string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", broken("", err)
	}
	first := ""
	for _, e := range entries[:min(len(entries), maxHosts)] {
		host := e.Name()
		if !hostName(host) || !s.has(host) {
			continue
		}
		if _, err := s.get(host); err == nil && first == "" {
			first = host
		}
	}
	if hostName(hostname) && s.has(hostname) { // beyond maxHosts too
		if _, err := s.get(hostname); err == nil {
			first = hostname
		}
	}
	return first, nil
}

// has reports whether there is a directory for host. A file missing in it is an error.
func (s *store) has(host string) bool {
	st, err := os.Lstat(filepath.Join(s.dir, host))
	if err != nil || st.Mode().IsRegular() {
		return false
	}
	return true
}

// forClient returns the certificate for the host that the client names. The name comes
// from the network, so only a plain host name is looked up.
func (s *store) forClient(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := addr.FoldDomain(hello.ServerName)
	if host == s.main || !hostName(host) {
		return s.get(s.main)
	}
	if s.has(host) {
		if cert, err := s.get(host); err == nil {
			return cert, nil
		}
	}
	if cert := s.wildcard(host); cert != nil {
		return cert, nil
	}
	return s.get(s.main)
}

// wildcard returns the certificate of the domain that host is in, if it is valid for
// host, too (RFC 6125 6.4.3).
func (s *store) wildcard(host string) *tls.Certificate {
	_, domain, ok := strings.Cut(host, ".")
	if !ok || !strings.Contains(domain, ".") || !hostName(domain) || !s.has(domain) {
		return nil
	}
	cert, err := s.get(domain)
	if err != nil || cert.Leaf == nil || cert.Leaf.VerifyHostname(host) != nil {
		return nil
	}
	return cert
}

// get returns the certificate of host. If its files have become unreadable, incomplete or
// do not match, the last good one stays in use.
func (s *store) get(host string) (*tls.Certificate, error) {
	chain, key := filepath.Join(s.dir, host, chainName), filepath.Join(s.dir, host, keyName)
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.held[host]
	now := held{chain: markOf(chain), key: markOf(key)}
	if had.cert != nil && had.chain == now.chain && had.key == now.key {
		s.judge(host, &had)
		return had.cert, nil
	}
	cert, err := tls.LoadX509KeyPair(chain, key)
	if err == nil {
		now.cert = &cert
		s.judge(host, &now)
		return now.cert, nil
	}
	if !had.unusable || had.brokenChain != now.chain || had.brokenKey != now.key {
		s.report(broken(host, err))
	}
	had.unusable, had.brokenChain, had.brokenKey = true, now.chain, now.key
	s.held[host] = had
	if had.cert == nil {
		return nil, broken(host, err)
	}
	return had.cert, nil
}

// judge keeps a usable certificate, and reports once why clients that verify it will
// refuse it.
func (s *store) judge(host string, h *held) {
	said := fault(h.cert.Leaf, host, time.Now())
	if said != "" && said != h.reported {
		s.report(broken(host, errors.New(chainName+": "+said+"; it is served anyway")))
	}
	h.reported = said
	s.held[host] = *h
}

// fault returns what is wrong with a certificate for host, or "".
func fault(leaf *x509.Certificate, host string, now time.Time) string {
	switch {
	case leaf == nil:
		return ""
	case now.After(leaf.NotAfter):
		return "the certificate expired on " + leaf.NotAfter.UTC().Format(time.RFC3339)
	case now.Before(leaf.NotBefore):
		return "the certificate is not valid before " + leaf.NotBefore.UTC().Format(time.RFC3339)
	// The certificate of *.host is also in that directory.
	case leaf.VerifyHostname(host) != nil && leaf.VerifyHostname("any."+host) != nil:
		return fmt.Sprintf("the certificate is for other names: %.200q", leaf.DNSNames)
	}
	return ""
}

func (s *store) report(err error) {
	if s.trouble != nil {
		s.trouble(err)
	}
}

func markOf(path string) mark {
	info, err := os.Stat(path)
	if err != nil {
		return mark{}
	}
	return mark{info.ModTime(), info.Size()}
}

// broken returns the error for a certificate that is not usable: the fault is ours, so it
// is temporary (RFC 3207 4: 454 TLS not available).
func broken(host string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", filepath.Base(p.Path), p.Err)
	}
	return &status.Error{Exit: status.TempFail, Reply: 454, Enhanced: "4.7.0",
		Err: fmt.Errorf("control/tls/%s: %w", host, err)}
}

// hostName reports whether s can be the directory of a host.
func hostName(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '.' {
		return false
	}
	for i := 0; i < len(s); i++ {
		b := s[i]
		if !('a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '.' || b == '_') {
			return false
		}
	}
	return true
}
