package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/because-lab/because/model/pretrained/tinychat"
)

// makeTinyChat is "tinychat DIR": it makes a tiny checkpoint of the form that real chat models have.
func makeTinyChat(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tinychat dir")
	}
	ts.Check(tinychat.Save(ts.MkAbs(args[0]), 1))
}

// startServing is "serving ARGS...": it runs because serve with these arguments on a free port until the story ends, and sets
// $URL to its address. The server has to end by itself when it is asked to, without an error.
func startServing(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serving args...")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	addr := l.Addr().String()
	ts.Check(l.Close())
	exe, err := exec.LookPath("because")
	ts.Check(err)
	var log bytes.Buffer
	cmd := exec.Command(exe, append([]string{"serve", "--addr", addr}, args...)...)
	cmd.Dir, cmd.Stderr, cmd.Env = ts.MkAbs("."), &log, append(os.Environ(), "BECAUSE_TOKEN="+ts.Getenv("BECAUSE_TOKEN"))
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case err := <-ended:
			if err != nil {
				ts.Fatalf("the server ended with %v:\n%s", err, &log)
			}
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			ts.Fatalf("the server does not end:\n%s", &log)
		}
	})
	ts.Setenv("URL", "http://"+addr)
	for range 400 {
		if r, err := http.Get("http://" + addr + "/health"); err == nil {
			r.Body.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("the server does not answer:\n%s", &log)
}

// askServer is "ask STATUS PATH [BODY]": a GET, or a POST with the body, with $BECAUSE_TOKEN if that is set. The answer's
// body becomes the file "answer".
func askServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: ask status path [body]")
	}
	method, body := http.MethodGet, ""
	if len(args) == 3 {
		method, body = http.MethodPost, args[2]
	}
	request, err := http.NewRequest(method, ts.Getenv("URL")+args[1], strings.NewReader(body))
	ts.Check(err)
	request.Header.Set("Content-Type", "application/json")
	if token := ts.Getenv("TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), text, 0o600))
	if got := strconv.Itoa(response.StatusCode); got != args[0] {
		ts.Fatalf("%s %s: status %s, want %s:\n%s", method, args[1], got, args[0], text)
	}
}
