package mta

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// Helper is the path of a program of make bench, which is built beside this one.
func Helper(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is built by make bench: %w", name, err)
	}
	return path, nil
}

// ReferenceName is what the table calls the server that does nothing but one synced write.
const ReferenceName = "reference server"

// Reference runs it.
func Reference(dir string, users []string) (m *MTA, err error) {
	m = &MTA{Name: ReferenceName, Addr: harness.FreeAddr()}
	if m.Boxes, err = bench.NewBoxes(filepath.Join(dir, "reference"), users, 0); err != nil {
		return nil, err
	}
	program, err := Helper("reference")
	if err != nil {
		return nil, err
	}
	m.Server, err = bench.Start(m.Name, m.Addr, exec.Command(program, m.Addr, m.Boxes.Dir), Greets)
	if err != nil {
		return nil, err
	}
	m.log = m.Server.Output
	return m, nil
}
