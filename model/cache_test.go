package model_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// counting answers each request with another text.
func counting() (m because.Chat, calls *atomic.Int64) {
	calls = new(atomic.Int64)
	return chat(func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		return says(fmt.Sprintf("%d: %s %d", calls.Add(1), r.Messages[0].Content, seed)), nil
	}), calls
}

func openCache(t *testing.T, m because.Chat, o model.CacheOptions) *model.Cached {
	t.Helper()
	return must[*model.Cached](t)(model.Cache(m, o))
}

func answer(t *testing.T, m because.Chat, seed uint64, text string) string {
	t.Helper()
	got, err := m.Answer(t.Context(), seed, ask(text))
	if err != nil {
		t.Fatal(err)
	}
	return got.Text
}

func TestCacheGivesBackWhatItKept(t *testing.T) {
	full := because.Response{Text: "a <b> \u2028 ü\n", Reasoning: "r", Calls: []because.ToolCall{{ID: "1", Name: "n", Arguments: json.RawMessage("{ \"b\": 1,\n\"a\":\t[]}")},
		{ID: "2", Arguments: json.RawMessage(`{"broken`)}}, Native: json.RawMessage(` [ {"signature" : "x"} ] `), Stop: because.StopCalls,
		Usage: because.Usage{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4, Reasoning: 5}, Model: "m-2025"}
	for _, want := range []because.Response{full, {}, {Text: "x", Stop: because.StopLength}} {
		dir := t.TempDir()
		var calls int
		m := chat(func(context.Context, uint64, because.Request) (because.Response, error) { calls++; return want, nil })
		for range 2 { // the second time by another cache, as in another run
			got, err := openCache(t, m, model.CacheOptions{Dir: dir}).Answer(t.Context(), 1, ask("x"))
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		}
		if calls != 1 {
			t.Errorf("the model was asked %d times", calls)
		}
	}
}

func TestCacheTellsApart(t *testing.T) {
	dir := t.TempDir()
	m, calls := counting()
	c := openCache(t, m, model.CacheOptions{Dir: dir})
	other := openCache(t, m, model.CacheOptions{Dir: dir, Identity: "http://localhost:8000/v1"})
	first := answer(t, c, 1, "x")
	if answer(t, c, 2, "x") == first || answer(t, c, 1, "y") == first || answer(t, other, 1, "x") == first {
		t.Error("another seed, text or server got the same answer")
	}
	if answer(t, c, 1, "x") != first || calls.Load() != 4 {
		t.Errorf("%d calls", calls.Load())
	}
	if diff := cmp.Diff(model.CacheStats{Hits: 1, Misses: 3}, c.Stats()); diff != "" {
		t.Error(diff)
	}
	if c.Name() != "test/model" {
		t.Error(c.Name())
	}
}

func TestCacheModes(t *testing.T) {
	for _, tt := range []struct {
		mode        model.CacheMode
		reads, adds bool
	}{{model.CacheOff, false, false}, {model.CacheRead, true, false}, {model.CacheWrite, false, true}, {model.CacheBoth, true, true}} {
		dir := t.TempDir()
		m, _ := counting()
		kept := answer(t, openCache(t, m, model.CacheOptions{Dir: dir}), 1, "old") // "1: old"
		c := openCache(t, m, model.CacheOptions{Dir: dir, Mode: tt.mode})
		if got := answer(t, c, 1, "old"); (got == kept) != tt.reads {
			t.Errorf("%s: of %q it gave %q", tt.mode, kept, got)
		}
		fresh := answer(t, c, 1, "new")
		after := openCache(t, m, model.CacheOptions{Dir: dir, Mode: model.CacheRead})
		if got := answer(t, after, 1, "new"); (got == fresh) != tt.adds {
			t.Errorf("%s: after %q the cache gave %q", tt.mode, fresh, got)
		}
		if got := answer(t, after, 1, "old"); (got != kept) != (tt.mode == model.CacheWrite) {
			t.Errorf("%s: %q became %q", tt.mode, kept, got)
		}
	}
	if _, err := model.Cache(nil, model.CacheOptions{Dir: "x", Mode: "on"}); because.Hint(err) == "" {
		t.Errorf("%v", err)
	}
	if _, err := model.Cache(nil, model.CacheOptions{}); err == nil {
		t.Error("a cache without a folder")
	}
}

func TestCacheDoesNotKeepFailures(t *testing.T) {
	m, calls := failing(kind(model.Overloaded), nil)
	c := openCache(t, m, model.CacheOptions{Dir: t.TempDir()})
	if _, err := c.Answer(t.Context(), 1, ask("x")); model.KindOf(err) != model.Overloaded {
		t.Error(err)
	}
	for range 2 {
		if got := answer(t, c, 1, "x"); got != "at last" || *calls != 2 {
			t.Errorf("%q after %d calls", got, *calls)
		}
	}
	filtered := 0
	c = openCache(t, chat(func(context.Context, uint64, because.Request) (because.Response, error) {
		filtered++
		return because.Response{Text: "half", Stop: because.StopFilter}, nil
	}), model.CacheOptions{Dir: t.TempDir()})
	answer(t, c, 1, "x")
	answer(t, c, 1, "x")
	if filtered != 2 {
		t.Error("a moderated answer was kept")
	}
}

// files lists the files of a cache.
func files(t *testing.T, dir string) []string {
	t.Helper()
	return must[[]string](t)(filepath.Glob(filepath.Join(dir, "*")))
}

// Whatever is done to a file, an answer is the one that was kept or is asked for again, never anything else; what is damaged is reported,
// and put right for the next run.
func TestDamagedAnswersAreReplaced(t *testing.T) {
	dir := t.TempDir()
	m, calls := counting()
	c := openCache(t, m, model.CacheOptions{Dir: dir})
	texts := []string{"x", "yy", "zzz"}
	kept := map[string]string{}
	for _, text := range texts {
		kept[text] = answer(t, c, 1, text)
	}
	if len(files(t, dir)) != 1 {
		t.Fatalf("one cache made %v", files(t, dir))
	}
	path := files(t, dir)[0]
	whole := must[[]byte](t)(os.ReadFile(path))
	second := bytes.Index(whole[1:], whole[:4]) + 1
	damages := map[string][]byte{"empty": nil, "cut head": whole[:second+20], "first gone": whole[second:], "zeros before": append(make([]byte, 1000), whole...),
		"two swapped": append(append([]byte(nil), whole[second:]...), whole[:second]...), "mark at the end": append(whole[:len(whole):len(whole)], whole[:4]...)}
	for i := range whole {
		flipped := append([]byte(nil), whole...)
		flipped[i] ^= 4
		damages[fmt.Sprint("byte ", i)] = flipped
		if i%7 == 0 {
			damages[fmt.Sprint("cut ", i)] = whole[:i]
		}
	}
	for name, damage := range damages {
		for _, f := range files(t, dir) {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		var lost int
		for run := range 2 {
			c := openCache(t, m, model.CacheOptions{Dir: dir})
			before := calls.Load()
			for _, text := range texts {
				got := answer(t, c, 1, text)
				if run == 0 && got != kept[text] {
					lost++
					if !strings.HasSuffix(got, ": "+text+" 1") {
						t.Fatalf("%s: %q was answered by %q", name, text, got)
					}
				}
			}
			if asked := int(calls.Load() - before); run == 0 && asked != lost || run == 1 && asked != 0 {
				t.Fatalf("%s, run %d: %d answers were lost and %d asked for", name, run, lost, asked)
			}
		}
		if strings.HasPrefix(name, "byte") && lost != 1 {
			t.Fatalf("%s: one damaged byte lost %d answers", name, lost)
		}
	}
}

// Damage that comes while the cache is open is told; so is a file that is gone.
func TestDamageIsReported(t *testing.T) {
	dir := t.TempDir()
	var warned []error
	m, calls := counting()
	c := openCache(t, m, model.CacheOptions{Dir: dir, Warn: func(err error) { warned = append(warned, err) }})
	answer(t, c, 1, "x")
	path := files(t, dir)[0]
	text := must[[]byte](t)(os.ReadFile(path))
	text[len(text)-1] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	answer(t, c, 1, "x")
	answer(t, c, 1, "x")
	if len(warned) != 1 || !strings.Contains(warned[0].Error(), path) || because.Hint(warned[0]) == "" || calls.Load() != 2 {
		t.Errorf("%v, %d calls", warned, calls.Load())
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, c, 1, "x"); got != "3: x 1" || len(warned) != 3 || c.Stats().Failures != 3 { // one to read, one to keep
		t.Errorf("%q, %v", got, warned)
	}
	if again := answer(t, c, 1, "x"); again != "4: x 1" || len(warned) != 3 { // into a new file
		t.Errorf("%q, %v", again, warned)
	}
	if got := answer(t, c, 1, "x"); got != "4: x 1" {
		t.Errorf("%q", got)
	}
}

// An answer that can't be kept is an answer all the same. A folder that can't be one is an error at once.
func TestAnswersThatCannotBeKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Cache(nil, model.CacheOptions{Dir: file}); because.Hint(err) == "" || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
	var warned []error
	c := openCache(t, chat(func(context.Context, uint64, because.Request) (because.Response, error) { return says("\xff"), nil }),
		model.CacheOptions{Dir: t.TempDir(), Warn: func(err error) { warned = append(warned, err) }})
	if got := answer(t, c, 1, "x"); got != "\xff" || len(warned) != 1 {
		t.Errorf("%q, %v", got, warned)
	}
}

// Several caches on one folder don't disturb each other, and a later one has the answers of all.
func TestCachesShareAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[*]?", "answers")
	m, calls := counting()
	var wg sync.WaitGroup
	const caches, each = 4, 50
	for i := range caches {
		c := openCache(t, m, model.CacheOptions{Dir: dir})
		for j := range each {
			wg.Go(func() {
				if _, err := c.Answer(t.Context(), 1, ask(fmt.Sprint(i, j))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	asked := calls.Load()
	c := openCache(t, m, model.CacheOptions{Dir: dir})
	for i := range caches {
		for j := range each {
			if got := answer(t, c, 1, fmt.Sprint(i, j)); !strings.HasSuffix(got, fmt.Sprintf(": %d %d 1", i, j)) {
				t.Errorf("%q", got)
			}
		}
	}
	if calls.Load() != asked || asked != caches*each {
		t.Errorf("%d were asked for, then %d again", asked, calls.Load()-asked)
	}
}

func TestEqualRequestsAreSentOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := openCache(t, s, model.CacheOptions{Dir: dir})
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if _, err := c.Answer(t.Context(), uint64(i%2), ask("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if st := c.Stats(); len(s.order) != 2 || st.Misses != 2 || st.Hits+st.Joined != 98 || st.Joined == 0 {
			t.Errorf("%d requests were sent, %+v", len(s.order), st)
		}
	})
}

// Who gives up does so alone: another one takes the request over. Who waits can give up, too.
func TestJoinedRequestsOutliveTheFirst(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := openCache(t, s, model.CacheOptions{Dir: dir})
		first, giveUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		send := func(ctx context.Context, want error) {
			wg.Go(func() {
				if _, err := c.Answer(ctx, 1, ask("x")); !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			})
			synctest.Wait()
		}
		send(first, context.Canceled)
		second, giveUpToo := context.WithCancel(t.Context())
		send(second, context.Canceled)
		send(t.Context(), nil)
		send(t.Context(), nil)
		giveUpToo()
		synctest.Wait()
		giveUp()
		wg.Wait()
		if len(s.order) != 2 {
			t.Errorf("%d requests were sent, want the first and one of those that waited", len(s.order))
		}
	})
}

// BenchmarkCache measures the CPU time of a hit and of a miss with 2 kB answers, among 20,000 others.
func BenchmarkCache(b *testing.B) {
	text := strings.Repeat("ten bytes ", 200)
	m := chat(func(context.Context, uint64, because.Request) (because.Response, error) { return says(text), nil })
	dir := b.TempDir()
	c, err := model.Cache(m, model.CacheOptions{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	r := ask(text)
	ask := func(b *testing.B, seed int) {
		if _, err := c.Answer(b.Context(), uint64(seed), r); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 20_000 {
		ask(b, i)
	}
	seed := 1 << 20
	b.Run("miss", func(b *testing.B) {
		for b.Loop() {
			seed++
			ask(b, seed)
		}
	})
	b.Run("hit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			ask(b, i%20_000)
		}
	})
	b.Run("open", func(b *testing.B) { // with all that was kept above
		for b.Loop() {
			if _, err := model.Cache(m, model.CacheOptions{Dir: dir}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
