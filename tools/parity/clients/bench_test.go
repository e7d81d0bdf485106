package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	claude "github.com/anthropics/anthropic-sdk-go"
	claudeoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/because-lab/because"
	"github.com/because-lab/because/model/anthropic"
	"github.com/because-lab/because/model/openai"
	gpt "github.com/openai/openai-go/v3"
	gptoption "github.com/openai/openai-go/v3/option"
)

// serveEnv makes this test binary the benchmarks' server, whose CPU time must not count as the clients'.
const serveEnv = "BECAUSE_PARITY_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// serve answers requests until its input ends.
func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/messages") {
			io.WriteString(w, claudeAnswers["text"])
		} else {
			io.WriteString(w, openaiAnswers["text"])
		}
	}))
	io.Copy(io.Discard, os.Stdin)
}

// startServer starts it and gives its URL.
func startServer(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return "http://" + strings.TrimSpace(address)
}

// cpu is the CPU time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure sends b.N requests, 32 at once, and reports CPU milliseconds of each.
func measure(b *testing.B, send func() error) {
	if err := send(); err != nil { // opens what is opened once
		b.Fatal(err)
	}
	b.ResetTimer()
	before := cpu(b)
	var wg sync.WaitGroup
	todo := make(chan struct{}, 32)
	for range 32 {
		wg.Go(func() {
			for range todo {
				if err := send(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		todo <- struct{}{}
	}
	close(todo)
	wg.Wait()
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e6, "cpu-ms/request")
}

// workload is a request of a usual size: a system prompt of 3 KB, three tools, and a conversation with calls.
func workload() because.Request {
	r := because.Request{Messages: append([]because.Message(nil), dialogue...), Temperature: 1, MaxTokens: 1000}
	r.Messages[0].Content = strings.Repeat("You are an assistant of a firm, and you read its mail.\n", 55)
	for _, name := range []string{"search", "read", "send"} {
		r.Tools = append(r.Tools, because.Tool{Name: name, Description: "A tool of the office.", Parameters: parameters})
	}
	return r
}

func BenchmarkOpenAI(b *testing.B) {
	url, r := startServer(b), workload()
	b.Run("ours", func(b *testing.B) {
		m, err := openai.New(openai.Options{Model: "m", BaseURL: url + "/v1", Key: key})
		if err != nil {
			b.Fatal(err)
		}
		measure(b, func() error { _, err := m.Answer(b.Context(), 7, r); return err })
	})
	b.Run("official", func(b *testing.B) {
		client := gpt.NewClient(gptoption.WithAPIKey(key), gptoption.WithBaseURL(url+"/v1/"), gptoption.WithHTTPClient(pooled()))
		params := officialParams("m", 7, r) // once: what it costs to make them is not the client's
		measure(b, func() error {
			c, err := client.Chat.Completions.New(b.Context(), params)
			if err == nil {
				officialAnswer(c)
			}
			return err
		})
	})
}

func BenchmarkAnthropic(b *testing.B) {
	url, r := startServer(b), workload()
	b.Run("ours", func(b *testing.B) {
		m, err := anthropic.New(anthropic.Options{Model: "claude-opus-4-6", BaseURL: url + "/v1", Key: key})
		if err != nil {
			b.Fatal(err)
		}
		measure(b, func() error { _, err := m.Answer(b.Context(), 7, r); return err })
	})
	b.Run("official", func(b *testing.B) {
		client := claude.NewClient(claudeoption.WithAPIKey(key), claudeoption.WithBaseURL(url), claudeoption.WithHTTPClient(pooled()))
		params := claudeParams("claude-opus-4-6", r)
		measure(b, func() error {
			m, err := client.Messages.New(b.Context(), params)
			if err == nil {
				claudeAnswer(m)
			}
			return err
		})
	})
}

// BenchmarkBare is net/http alone with the bytes of one request: what no client can go below.
func BenchmarkBare(b *testing.B) {
	url, client := startServer(b), pooled()
	body, err := json.Marshal(officialParams("m", 7, workload()))
	if err != nil {
		b.Fatal(err)
	}
	measure(b, func() error {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/v1/chat/completions", strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	})
}

// pooled gives the official clients as many connections as ours have.
func pooled() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8192, DisableCompression: true}}
}
