package harness

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// TLSSink is a recording SMTP server made of go-smtp's, which offers STARTTLS with a
// certificate that no client knows: an implementation other than ours for mailrelay to
// talk to.
type TLSSink struct {
	Addr   string
	PEM    []byte // its certificate
	server *smtp.Server

	mu       sync.Mutex
	received []Received
}

// NewTLSSink returns a sink on a free port of 127.0.0.1.
func NewTLSSink() (*TLSSink, error) {
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &TLSSink{Addr: l.Addr().String(),
		PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})}
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &tlsSession{sink: s}, nil }))
	s.server.Domain = "tls.example"
	s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	go s.server.Serve(l)
	return s, nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"tls.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// Received returns what arrived so far.
func (s *TLSSink) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.received...)
}

// Close ends the server.
func (s *TLSSink) Close() error { return s.server.Close() }

type tlsSession struct {
	sink *TLSSink
	m    Received
}

func (t *tlsSession) Reset()        { t.m = Received{} }
func (t *tlsSession) Logout() error { return nil }

func (t *tlsSession) Mail(from string, _ *smtp.MailOptions) error {
	t.m = Received{From: from}
	return nil
}

func (t *tlsSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	t.m.To = append(t.m.To, to)
	return nil
}

func (t *tlsSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	t.m.Data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	t.sink.mu.Lock()
	defer t.sink.mu.Unlock()
	t.sink.received = append(t.sink.received, t.m)
	return nil
}
