// Command mockserver runs a model behind OpenAI's API that costs next to nothing and fails as it is told: package model/mockserver.
//
//	go run ./tools/bench/mockserver -addr 127.0.0.1:18080 -latency 200ms -rate-limited 0.05 -server-error 0.02 -hang 0.01 -cut 0.01 -garbage 0.01
//
// GET /stats counts what was asked, POST /reset starts anew.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/because-lab/because/model/mockserver"
)

func main() {
	s := &mockserver.Server{}
	addr := flag.String("addr", "127.0.0.1:18080", "`address` to listen on; a loopback one")
	flag.DurationVar(&s.Latency, "latency", 0, "`time` that an answer takes")
	flag.StringVar(&s.Text, "text", "", "`text` of answers")
	flag.Float64Var(&s.Limited, "rate-limited", 0, "`share` of requests that get status 429 with Retry-After: 1")
	flag.Float64Var(&s.Broken, "server-error", 0, "`share` of requests that get status 500")
	flag.Float64Var(&s.Hanging, "hang", 0, "`share` of requests that are never answered")
	flag.Float64Var(&s.Cut, "cut", 0, "`share` of requests whose answer is cut off")
	flag.Float64Var(&s.Garbage, "garbage", 0, "`share` of requests whose answer is no JSON")
	flag.StringVar(&s.Seed, "seed", "0", "`text` that decides which requests fail")
	flag.Parse()
	if host, _, err := net.SplitHostPort(*addr); err != nil || !loopback(host) {
		fmt.Fprintf(os.Stderr, "mockserver: %s is no loopback address\n", *addr)
		os.Exit(2)
	}
	log.Fatal(http.ListenAndServe(*addr, s.Handler()))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
