package mta

import (
	"os"
	"path/filepath"

	"paperpath/test/harness"
)

// CertificateName is that of its file.
const CertificateName = "certificate.pem"

// Certificate writes the certificate of a home with its key into one file below dir, for other
// servers.
func Certificate(h *harness.Home, dir string) (path string, err error) {
	var all []byte
	for _, name := range []string{"privkey.pem", "fullchain.pem"} {
		text, err := os.ReadFile(filepath.Join(h.Dir, "control/tls", harness.Hostname, name))
		if err != nil {
			return "", err
		}
		all = append(all, text...)
	}
	path = filepath.Join(dir, CertificateName)
	return path, os.WriteFile(path, all, 0o600)
}
