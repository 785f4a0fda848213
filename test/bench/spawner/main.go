// Spawner runs a command for each message in a directory, and tells how long that took. It is a
// program of its own for commands that need another root directory.
//
//	spawner ATONCE DIRECTORY COMMAND...
//
// The name of a message's file ends with a colon and its recipient, which becomes the last argument
// of the command; the file is its standard input. So many commands run at once. A line of JSON is
// the result (bench.Spawned); then it waits for the end of its own standard input.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"paperpath/test/bench"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: spawner ATONCE DIRECTORY COMMAND...")
		os.Exit(64)
	}
	atOnce, err := strconv.Atoi(os.Args[1])
	var files []string
	if err == nil {
		files, err = filepath.Glob(filepath.Join(os.Args[2], "*"))
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(run(atOnce, files, os.Args[3:]))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "spawner:", err)
		os.Exit(75)
	}
	io.Copy(io.Discard, os.Stdin)
}

// run runs all commands.
func run(atOnce int, files, command []string) bench.Spawned {
	work := make(chan string, len(files))
	for _, f := range files {
		work <- f
	}
	close(work)
	each := make([]bench.Spawned, atOnce)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range each {
		wg.Go(func() {
			for f := range work {
				each[i].Add(one(f, command))
			}
		})
	}
	wg.Wait()
	all := bench.Spawned{Began: began, Ended: time.Now()}
	for _, x := range each {
		all.Add(x)
	}
	return all
}

// one runs the command for one message.
func one(file string, command []string) (x bench.Spawned) {
	message, err := os.Open(file)
	if err != nil {
		return bench.Spawned{Failed: 1, Why: err.Error()}
	}
	defer message.Close()
	_, recipient, _ := strings.Cut(filepath.Base(file), ":")
	var said strings.Builder
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], recipient)...)
	cmd.Stdin, cmd.Stderr = message, &said
	began := time.Now()
	err = cmd.Run()
	x.Took = []time.Duration{time.Since(began)}
	if err != nil {
		x.Failed, x.Why = 1, err.Error()+": "+said.String()
	}
	if cmd.ProcessState != nil {
		x.User, x.System = cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds()
	}
	return x
}
