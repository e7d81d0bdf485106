package page

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

// browse opens a page in a headless browser, runs a script after the page's own, and gives what it returns. The policy of the page stays as it
// is but for that one script. The test is skipped where there is no chromium.
func browse(t *testing.T, page, script string) string {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium")
	}
	script = "{const out=(()=>{" + script + "})();const e=document.createElement('output');e.id='out';e.textContent=JSON.stringify(out);document.body.append(e)}"
	own := regexp.MustCompile(`script-src '(sha256-[^']*)'`)
	page = own.ReplaceAllString(page, "script-src '$1' '"+policyHash(script)+"'")
	page = strings.Replace(page, "</body>", "<script>"+script+"</script></body>", 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "page.html")
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	text, err := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+path).Output()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)<output id="out">(.*?)</output>`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("the page's script did not get to its end:\n%.2000s", text)
	}
	return html.UnescapeString(m[1])
}

// TestHostileRecordsInABrowser shows harmful records and looks whether they are there as text, and did nothing.
func TestHostileRecordsInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	c := corpus("p<b>&amp;.jsonl")
	var want []string
	for _, bad := range nasty {
		c.Rows = append(c.Rows, columns.Row{Messages: []because.Message{{Role: because.RoleUser, Content: "q"}, {Role: because.RoleAssistant, Content: "<" + bad}}})
		want = append(want, "<"+bad)
	}
	got := browse(t, readPage(t, c, Options{}), `openAll(true); return {title: document.title, bad: document.querySelectorAll("img,iframe,object,#main script,[onerror]").length,
		texts: [...document.querySelectorAll(".assistant .text")].map((e) => e.textContent)}`)
	var seen struct {
		Title string
		Bad   int
		Texts []string
	}
	if err := json.Unmarshal([]byte(got), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Title != "p<b>&amp;.jsonl" || seen.Bad != 0 || strings.Join(seen.Texts, "\x00") != strings.Join(want, "\x00") {
		t.Errorf("%+v", seen)
	}
}

// TestJudgingInABrowser judges by keys and buttons, and compares what the page counts and gives to download with the tally of what it gives.
func TestJudgingInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	a, b := sides(12)
	page, _ := blindPage(t, a, b, Options{Number: 10})
	// Whoever likes the first file best: nine times, with a tie, and a change of mind before the end.
	got := browse(t, page, `localStorage.clear();
		const key = (k) => document.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true}));
		const press = (name) => [...document.querySelectorAll("button")].find((b) => b.textContent.startsWith(name)).click();
		const mine = () => document.querySelector(".side .assistant .text").textContent.startsWith("answer a");
		const hidden = !document.body.innerText.includes("-name.jsonl") && document.querySelector(".result") === null;
		key("2"); press("‹ Back"); press(mine() ? "Left" : "Right");
		key("3");
		for (let i = 2; i < 9; i++) key(mine() ? "1" : "2");
		const where = document.querySelector(".where").textContent, before = document.querySelector(".result") === null;
		key(mine() ? "1" : "2");
		key("3"); press("‹ Back"); key("3");
		return {hidden, before, where, share: document.querySelector(".share").textContent, json: document.querySelector("pre.json").textContent};`)
	var seen struct {
		Hidden, Before     bool
		Where, Share, JSON string
	}
	if err := json.Unmarshal([]byte(got), &seen); err != nil {
		t.Fatal(err)
	}
	if !seen.Hidden || !seen.Before || seen.Where != "Pair 10 of 10" {
		t.Errorf("%+v", seen)
	}
	j, err := ParseJudgments("download", []byte(seen.JSON))
	if err != nil {
		t.Fatal(err)
	}
	n := j.Tally()
	if n.A != 9 || n.B != 0 || n.Ties != 1 || j.About("download", a.Sum, b.Sum) != nil {
		t.Errorf("%+v", n)
	}
	want := fmt.Sprintf("A was chosen in 100.0 %% of the decided pairs, 95 %% [%.1f, 100.0] (Wilson), n = 9.", 100*n.Lo)
	if seen.Share != want || math.Abs(n.Lo-0.7009) > 1e-3 {
		t.Errorf("the page says %q, want %q", seen.Share, want)
	}
}
