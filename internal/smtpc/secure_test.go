package smtpc

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"
)

// certificate is a new key pair for mx.test.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(made)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// After STARTTLS nothing that came in the clear counts, neither extensions nor replies.
func TestStartTLS(t *testing.T) {
	cert, pool := certificate(t)
	for name, behind := range map[string]string{"": "", "a reply": "\r\n250 injected", "a part of one": "\r\n2"} {
		client, other := pair(t)
		done := host(other, func(r *bufio.Reader) error {
			err := talk(other, r, append(append([]string{}, hello...), "C: STARTTLS", "S: 220 go on"+behind)...)
			if err != nil || behind != "" {
				return err
			}
			secure := tls.Server(other, &tls.Config{Certificates: []tls.Certificate{cert}})
			inner := bufio.NewReader(secure)
			return talk(secure, inner, "C: EHLO c.test", "S: 250-mx.test", "S: 250 SIZE 1000", "C: QUIT", "S: 221 bye")
		})
		s := open(t, t.Context(), client, DefaultTimes())
		err := s.StartTLS(&tls.Config{RootCAs: pool, ServerName: "mx.test"})
		if name != "" {
			if !errors.Is(err, ErrEarly) || !s.Over() {
				t.Errorf("%s: %v", name, err)
			}
			s.Close()
			<-done
			continue
		}
		if _, ok := s.Offers("CHUNKING"); err != nil || ok || s.MaxSize() != 1000 || s.TLS().Version == 0 {
			t.Errorf("%v, CHUNKING %v, SIZE %d", err, ok, s.MaxSize())
		}
		s.Quit()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A refused STARTTLS leaves the session as it was.
func TestStartTLSRefused(t *testing.T) {
	client, other := pair(t)
	done := host(other, func(r *bufio.Reader) error {
		return talk(other, r, append(append([]string{}, hello...), "C: STARTTLS", "S: 454 not now", "C: QUIT", "S: 221 bye")...)
	})
	s := open(t, t.Context(), client, DefaultTimes())
	var e *Error
	if err := s.StartTLS(&tls.Config{}); !errors.As(err, &e) || e.Reply.Code != 454 || s.Over() {
		t.Errorf("%v, over %v", err, s.Over())
	}
	s.Quit()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAuth(t *testing.T) {
	long := bytes.Repeat([]byte("token"), 100)
	refuse := errors.New("no such challenge")
	for name, c := range map[string]struct {
		initial []byte
		next    func([]byte) ([]byte, error)
		lines   []string
		code    int
		err     error
	}{
		"initial":      {[]byte("\x00u\x00p"), nil, []string{"C: AUTH TEST AHUAcA==", "S: 235 welcome"}, 0, nil},
		"empty":        {[]byte{}, nil, []string{"C: AUTH TEST =", "S: 235 welcome"}, 0, nil},
		"long":         {long, nil, []string{"C: AUTH TEST", "S: 334 ", "C: " + encode(long), "S: 235 welcome"}, 0, nil},
		"challenge":    {nil, func(b []byte) ([]byte, error) { return append(b, '!'), nil }, []string{"C: AUTH TEST", "S: 334 YQ==", "C: YSE=", "S: 334 ", "C: IQ==", "S: 235 welcome"}, 0, nil},
		"refused":      {[]byte("x"), nil, []string{"C: AUTH TEST eA==", "S: 535 5.7.8 wrong"}, 535, nil},
		"taken back":   {nil, func([]byte) ([]byte, error) { return nil, refuse }, []string{"C: AUTH TEST", "S: 334 YQ==", "C: *", "S: 501 ended"}, 0, refuse},
		"no challenge": {nil, nil, []string{"C: AUTH TEST", "S: 334 no base64", "C: *", "S: 501 ended"}, 0, errors.New("any")},
	} {
		client, other := pair(t)
		done := host(other, func(r *bufio.Reader) error {
			return talk(other, r, append(append(append([]string{}, hello...), c.lines...), "C: QUIT", "S: 221 bye")...)
		})
		s := open(t, t.Context(), client, DefaultTimes())
		err := s.Auth("TEST", c.initial, c.next)
		s.Quit()
		if failed := <-done; failed != nil {
			t.Errorf("%s: %v", name, failed)
		}
		var e *Error
		switch {
		case c.code == 0 && c.err == nil && err != nil, (c.code != 0 || c.err != nil) && err == nil:
			t.Errorf("%s: %v", name, err)
		case err != nil && (!errors.As(err, &e) || e.Reply.Code != c.code || e.Command != "AUTH TEST"):
			t.Errorf("%s: %+v", name, err)
		}
	}
	// 250 is not a valid answer to AUTH.
	client, other := pair(t)
	done := host(other, func(r *bufio.Reader) error {
		return talk(other, r, append(append([]string{}, hello...), "C: AUTH TEST =", "S: 250 ok")...)
	})
	s := open(t, t.Context(), client, DefaultTimes())
	if err := s.Auth("TEST", []byte{}, nil); err == nil || !s.Over() {
		t.Errorf("250 to AUTH: %v", err)
	}
	s.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
