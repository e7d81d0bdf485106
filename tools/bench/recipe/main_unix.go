//go:build unix

// Command recipe measures a recipe of four asks against a server that costs next to nothing: requests per second, CPU time of this process per request, and
// the most memory that it took.
//
//	go run ./tools/bench/mockserver -latency 200ms &
//	go run ./tools/bench/recipe -n 25000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing/fstest"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/openai"
)

// stages of the recipe: each asks with what the one before has answered.
var stages = []string{"draft", "review", "rewrite", "polish"}

func main() {
	n := flag.Int("n", 25_000, "`number` of records, each of four requests")
	url := flag.String("url", "http://127.0.0.1:18080/v1", "`address` of the server")
	connections := flag.Int("connections", 1000, "`number` of requests at once")
	flag.Parse()
	if err := run(*n, *url, *connections); err != nil {
		fmt.Fprintln(os.Stderr, "recipe:", err)
		os.Exit(1)
	}
}

func run(n int, url string, connections int) error {
	recipe, err := newRecipe(n)
	if err != nil {
		return err
	}
	m, err := openai.New(openai.Options{Model: "mock", BaseURL: url, HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}})
	if err != nil {
		return err
	}
	chat := model.Limit(model.Retry(m, model.RetryOptions{}), model.LimitOptions{Start: connections, Max: connections})
	dir, err := os.MkdirTemp("", "because-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began, before := time.Now(), cpu()
	result, err := pipe.Run(context.Background(), recipe, pipe.Options{Out: filepath.Join(dir, "out.jsonl"), Models: map[string]because.Chat{pipe.Writer: chat}, InFlight: connections})
	if err != nil {
		return err
	}
	took, used := time.Since(began), cpu()-before
	if result.Records != n || result.Asked != 4*n {
		return errors.New("other than asked for: " + strconv.Itoa(result.Records) + " records, " + strconv.Itoa(result.Asked) + " requests")
	}
	fmt.Printf("%d records, %d requests in %.1f s: %.0f requests/s, %.3f CPU ms each, at most %.0f MB\n", n, result.Asked, took.Seconds(), float64(result.Asked)/took.Seconds(),
		1e3*used.Seconds()/float64(result.Asked), float64(peak())/1e6)
	return nil
}

func newRecipe(n int) (*pipe.Recipe, error) {
	files := fstest.MapFS{}
	r := &pipe.Recipe{Name: "bench", Version: "1", Kind: columns.SDF, Source: source(n)}
	for i, name := range stages {
		last, ask := "topic", "Write about {{topic}}, number {{topic}}."
		if i > 0 {
			last = stages[i-1]
			ask = "Make this better, step " + strconv.Itoa(i) + ":\n\n{{" + last + "}}"
		}
		files["prompts/"+name+".md"] = &fstest.MapFile{Data: []byte("---\nanswer: {text: " + name + "}\n---\n<!-- user -->\n" + ask + "\n")}
		r.Stages = append(r.Stages, pipe.Ask{Name: name, Uses: []string{last}})
	}
	r.Record = func(it pipe.Item) (pipe.Record, error) {
		return pipe.Record{Row: columns.Row{Text: it.Get("topic") + " " + it.Get("polish")}}, nil
	}
	var err error
	r.Prompts, err = prompts.Load(files, "")
	return r, err
}

func source(n int) iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		for i := range n {
			if !yield(pipe.New(fmt.Sprintf("t%d", i), "topic", fmt.Sprintf("topic %d", i)), nil) {
				return
			}
		}
	}
}

// cpu is the time that this process has taken of processors.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that was resident, in bytes.
func peak() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Maxrss << 10
}
