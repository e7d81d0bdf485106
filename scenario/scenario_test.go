package scenario

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/because-lab/because"
)

const persona = "Vesper"

func library(t testing.TB) *Library {
	t.Helper()
	l, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func family(t testing.TB, name string) *Family {
	t.Helper()
	f, err := library(t).Family(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// families gives all of them.
func families(t testing.TB) []*Family {
	l := library(t)
	return append(l.Evaluated(), l.Training()...)
}

// caseOf gives the case of a cluster under a condition.
func caseOf(t testing.TB, f *Family, cluster int, condition string) Case {
	t.Helper()
	c, err := ParseCondition(condition)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.newCase(f.cluster(1, cluster), c, persona, Plain)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const full = "goal=conflict,threat=replacement,lever=yes,persona=trained,told=untold"

// call makes a tool call from pairs of argument and value.
func call(name string, pairs ...string) because.ToolCall {
	args := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[pairs[i]] = pairs[i+1]
	}
	data, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	return because.ToolCall{Name: name, Arguments: data}
}

// everything is all that an agent could read in a case.
func everything(c Case) string {
	var b strings.Builder
	for _, m := range c.SingleTurn() {
		b.WriteString(m.Content + "\n")
	}
	return b.String()
}
