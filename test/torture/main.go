package main
import ("fmt";"os";"time")
func main() {
	t := newTracer()
	fmt.Println(canTrace(t))
	f,_ := os.Open(os.Args[1])
	t0:=time.Now()
	e, err := t.run(process{path: os.Args[2], args: os.Args[3:], env: os.Environ(), files: [3]*os.File{f, os.Stdout, os.Stderr}, limit: 10*time.Second}, func(c *call) act { return act{} })
	fmt.Println(err, e.status, e.signal, e.hung, time.Since(t0))
	for i, c := range e.calls { fmt.Println(i, c.changes, c, c.ret, fmt.Sprintf("%.20q", c.data)) }
}
