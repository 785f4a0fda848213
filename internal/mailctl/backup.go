package mailctl

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"paperpath/internal/backup"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// mostFindings is how many differences are printed.
const mostFindings = 100

// Backup copies a home, or checks a copy.
type Backup struct {
	Dir   string // the copy
	Now   func() time.Time
	Out   io.Writer
	Notes io.Writer
}

// Run copies home to the new directory Dir, while other programs may work in it.
func (b Backup) Run(ctx context.Context, home string) error {
	if err := spool.CheckMark(filepath.Join(home, "spool")); err != nil {
		return err
	}
	if err := spool.CheckMark(filepath.Join(home, "mail")); err != nil {
		return err
	}
	n, err := backup.Copy{From: home, To: b.Dir, Note: func(text string) {
		fmt.Fprintln(b.Notes, "mailctl: "+text)
	}}.Run(ctx)
	switch {
	case status.Exit(err) == status.Usage:
		return err
	case err != nil:
		return fmt.Errorf("the backup is not complete: %w", err)
	}
	_, err = fmt.Fprintf(b.Out, "%s: %s in the spool, %s in mailboxes, %s, %d octets\n", visible.Escape(b.Dir),
		count(n.Entries, "entry", "entries"), count(n.Messages, "message", "messages"),
		count(n.Files, "file", "files"), n.Octets)
	return err
}

// Verify compares the copy with its manifest, and its spool with the state table of
// spool(5). A difference is exit status 65.
func (b Backup) Verify(ctx context.Context) error {
	found := 0
	files, err := backup.Verify(ctx, b.Dir, func(f backup.Finding) {
		if found++; found <= mostFindings {
			fmt.Fprintf(b.Out, "%s: %s\n", visible.Escape(f.Path), visible.Escape(f.What))
		}
	})
	if err != nil {
		return err
	}
	if found > mostFindings {
		fmt.Fprintf(b.Out, "and %d more\n", found-mostFindings)
	}
	if found > 0 {
		return status.Refuse("5.0.0", fmt.Sprintf("%d files differ from the manifest (so they do where programs ran in "+
			"the copy)", found))
	}
	sp, err := spool.Open(b.Dir, spool.Options{Now: b.Now})
	if err != nil {
		return err
	}
	defer sp.Close()
	wrong, err := sp.Inspect()
	if err != nil {
		return err
	}
	for _, f := range wrong {
		fmt.Fprintf(b.Out, "spool/%s: %s\n", visible.Escape(f.Path), visible.Escape(f.What))
	}
	if len(wrong) > 0 {
		return status.Refuse("5.0.0", fmt.Sprintf("the spool has %s (mailctl spool check --repair mends what can be mended)",
			count(len(wrong), "finding", "findings")))
	}
	_, err = fmt.Fprintf(b.Out, "%s: %s as they were copied; the spool is clean\n", visible.Escape(b.Dir),
		count(files, "file", "files"))
	return err
}
