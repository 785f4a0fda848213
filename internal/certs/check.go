package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"paperpath/internal/control"
)

// soon is how long before the end of a certificate Check warns: certificates that are
// renewed automatically have been by then.
const soon = 14 * 24 * time.Hour

// certbotHook is what certbot has to be told.
const certbotHook = "certbot renew --deploy-hook DIR/certbot-hook (contrib/certbot-hook)"

// Check examines all of control/tls: a certificate that cannot be served is an error; one
// that clients will refuse, or a key that everyone can read, is a warning. inForce has
// each certificate that is served.
func Check(home string, now time.Time) (findings []control.Finding, inForce []control.Value) {
	dir := filepath.Join(home, "control", "tls")
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil, []control.Value{{Setting: "tls", Text: "no TLS", From: "default"}}
		}
		return []control.Finding{wrong("", err.Error(), "the owner of the home must be able to read it")}, nil
	}
	for _, e := range entries {
		host := e.Name()
		info, err := os.Stat(filepath.Join(dir, host))
		switch {
		case control.PassedOver(host), host == "clientca.pem", host == "lost+found":
			continue
		case err == nil && !info.IsDir():
			findings = append(findings, wrong(host, "unknown setting",
				"a directory for each host has "+chainName+" and "+keyName))
			continue
		case !hostName(host):
			findings = append(findings, wrong(host, "no client can ask for this name", "a host name in lower case"))
			continue
		}
		found, value := checkPair(dir, host, now)
		findings = append(findings, found...)
		if value.Text != "" {
			inForce = append(inForce, value)
		}
	}
	if len(inForce) == 0 {
		inForce = append(inForce, control.Value{Setting: "tls", Text: "no TLS", From: "control/tls"})
	}
	return findings, inForce
}

// checkPair examines the certificate and the key of one host.
func checkPair(dir, host string, now time.Time) (findings []control.Finding, value control.Value) {
	chain, key := filepath.Join(dir, host, chainName), filepath.Join(dir, host, keyName)
	cert, err := tls.LoadX509KeyPair(chain, key)
	if err != nil {
		what := broken(host, err).Error()
		_, what, _ = strings.Cut(what, ": ")
		mend := "it is not served without a readable, matching pair"
		if errors.Is(err, fs.ErrPermission) {
			mend += "; certbot keeps keys for root alone: have it copy the pair, " + certbotHook
		}
		return []control.Finding{wrong(host, what, mend)}, value
	}
	if what := fault(cert.Leaf, host, now); what != "" {
		findings = append(findings, warning(host+"/"+chainName, what, "it is served anyway: replace both files"))
	} else if left := cert.Leaf.NotAfter.Sub(now); left < soon {
		what := fmt.Sprintf("the certificate expires in %d days, on %s", left/(24*time.Hour),
			cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
		findings = append(findings, warning(host+"/"+chainName, what, "renew it"))
	}
	if control.OthersRead(key) {
		findings = append(findings, warning(host+"/"+keyName,
			"every user of this machine can read it", "chmod o-r "+key))
	}
	return findings, control.Value{Setting: "tls", Key: host,
		From: "control/tls/" + host + "/" + chainName, Text: summary(cert.Leaf)}
}

// summary describes a certificate to people.
func summary(leaf *x509.Certificate) string {
	names := leaf.DNSNames
	if len(names) == 0 {
		names = []string{leaf.Subject.CommonName}
	}
	return strings.Join(names, " ") + ", until " + leaf.NotAfter.UTC().Format(time.RFC3339)
}

func wrong(name, what, mend string) control.Finding {
	file := strings.TrimSuffix("tls/"+name, "/")
	return control.Finding{Fault: control.Fault{File: file, What: what, Mend: mend}}
}

func warning(name, what, mend string) control.Finding {
	f := wrong(name, what, mend)
	f.Warning = true
	return f
}

// Leaf returns the certificate of a host in control/tls.
func Leaf(home, host string) (*x509.Certificate, error) {
	dir := filepath.Join(home, "control", "tls", host)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, chainName), filepath.Join(dir, keyName))
	return cert.Leaf, err
}

// SelfMade reports whether a certificate is signed with its own key, as that of a new home.
func SelfMade(leaf *x509.Certificate) bool {
	return bytes.Equal(leaf.RawIssuer, leaf.RawSubject) &&
		leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}
