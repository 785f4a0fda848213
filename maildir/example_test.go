package maildir_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"paperpath/maildir"
)

// mailbox makes a Maildir in a new directory, which done removes.
func mailbox() (path string, d *maildir.Dir, done func()) {
	tmp, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(tmp, "Maildir")
	if err := maildir.Create(path); err != nil {
		log.Fatal(err)
	}
	if d, err = maildir.Open(path); err != nil {
		log.Fatal(err)
	}
	return path, d, func() {
		d.Close()
		os.RemoveAll(tmp)
	}
}

// deliver stores a message and returns its name.
func deliver(d *maildir.Dir, key, text string) string {
	name, err := d.Store(key, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	return name
}

// A program that delivers needs nothing else.
func ExampleDir_Begin() {
	_, d, done := mailbox()
	defer done()
	v, err := d.Begin("1764000000.M000001R0123456789abcdef.mx") // maildir.NewKey makes one
	if err != nil {
		log.Fatal(err)
	}
	defer v.Abort()
	if _, err := io.WriteString(v, "Subject: hello\n\nhello\n"); err != nil {
		log.Fatal(err)
	}
	name, err := v.Commit() // from now on it survives a power cut
	fmt.Println(name, err)
	// Output: 1764000000.M000001R0123456789abcdef.mx,S=22,W=25 <nil>
}

func ExampleDelivery_Abort() {
	_, d, done := mailbox()
	defer done()
	v, err := d.Begin(maildir.NewKey(time.Now(), "mx.example.net"))
	if err != nil {
		log.Fatal(err)
	}
	io.WriteString(v, "Subject: half of")
	v.Abort()
	list, err := d.List()
	fmt.Println(len(list), err)
	// Output: 0 <nil>
}

// No message is opened or looked at: the names say it all.
func ExampleDir_List() {
	_, d, done := mailbox()
	defer done()
	deliver(d, "1.a", "Subject: a\n\na\n")
	deliver(d, "2.b", "Subject: b\n\nmore of b\n")
	list, err := d.List()
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range list {
		fmt.Println(m.Sub, m.Key, m.Size, m.WireSize)
	}
	// Output:
	// new 1.a 14 17
	// new 2.b 22 25
}

// A message keeps its key, whatever becomes of its name.
func ExampleDir_SetFlags() {
	_, d, done := mailbox()
	defer done()
	deliver(d, "1.a", "Subject: a\n\na\n")
	m, err := d.Find("1.a")
	if err != nil {
		log.Fatal(err)
	}
	if err := d.SetFlags(&m, maildir.Seen, maildir.Flagged); err != nil {
		log.Fatal(err)
	}
	if err := d.AddFlags(&m, maildir.Replied); err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Sub, m.Name, m.Has(maildir.Seen))
	// Output: cur 1.a,S=14,W=17:2,FRS true
}

func ExampleDir_Move() {
	path, d, done := mailbox()
	defer done()
	deliver(d, "1.a", "Subject: a\n\na\n")
	name, err := maildir.FolderName("Lists", "go")
	if err != nil {
		log.Fatal(err)
	}
	folder, err := maildir.OpenFolder(path, name, true)
	if err != nil {
		log.Fatal(err)
	}
	defer folder.Close()
	m, err := d.Find("1.a")
	if err != nil {
		log.Fatal(err)
	}
	if err := d.Move(&m, folder); err != nil {
		log.Fatal(err)
	}
	folders, err := maildir.Folders(path)
	if err != nil {
		log.Fatal(err)
	}
	list, err := folder.List()
	fmt.Println(folders, len(list), err)
	// Output: [.Lists.go] 1 <nil>
}

func ExampleDir_Remove() {
	_, d, done := mailbox()
	defer done()
	deliver(d, "1.a", "Subject: a\n\na\n")
	list, err := d.List()
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range list {
		if err := d.Remove(&m); err != nil {
			log.Fatal(err)
		}
	}
	if err := d.Sync(); err != nil { // from now on they are gone for good
		log.Fatal(err)
	}
	list, err = d.List()
	fmt.Println(len(list), err)
	// Output: 0 <nil>
}

// A mailbox of 40 octets has no room for two messages of 30.
func ExampleQuota_Room() {
	path, d, done := mailbox()
	defer done()
	quota := maildir.Quota{Octets: 40}
	for _, key := range []string{"1.a", "2.b"} {
		_, fits, err := quota.Room(path, 30, time.Now())
		if err != nil {
			log.Fatal(err)
		}
		if !fits {
			fmt.Println(key, "does not fit")
			continue
		}
		name := deliver(d, key, "Subject: x\n\n12345678901234567\n")
		if err := d.CountQuota(name); err != nil {
			log.Fatal(err)
		}
	}
	used, err := quota.Used(path)
	fmt.Println(used.Octets, used.Messages, err)
	// Output:
	// 2.b does not fit
	// 30 1 <nil>
}
