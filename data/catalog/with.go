package catalog

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

// with reads a recipe's own options into its package's, and gathers what is wrong with them. An option that is not given leaves what is there.
type with struct {
	recipe Recipe
	values map[string]any
	asked  []string
	errs   []error
}

// known refuses options that the recipe doesn't have, and the lack of one that it needs.
func (w *with) known() error {
	var names []string
	for _, p := range w.recipe.Params {
		names = append(names, p.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.values)) {
		if !slices.Contains(names, name) {
			return because.E(op, w.recipe.Name+": "+name, errors.New("the recipe has no such option"), input.DidYouMean(name, names))
		}
	}
	for _, p := range w.recipe.Params {
		if _, given := w.values[p.Name]; p.Needed != "" && !given {
			return because.E(op, w.recipe.Name+": "+p.Name, errors.New("the option is missing"), "such as "+p.Name+"="+p.Needed)
		}
	}
	return nil
}

// err is what is wrong.
func (w *with) err() error { return errors.Join(w.errs...) }

// get gives a value, and notes that the option was asked for.
func (w *with) get(name string) (any, bool) {
	w.asked = append(w.asked, name)
	v, ok := w.values[name]
	return v, ok
}

func (w *with) bad(name, hint, format string, args ...any) {
	w.errs = append(w.errs, because.E(op, w.recipe.Name+": "+name, fmt.Errorf(format, args...), hint))
}

// belongs refuses an option that only one way to choose takes.
func (w *with) belongs(name, chosen, way string) {
	if _, given := w.values[name]; given && chosen != way {
		w.bad(name, "", "it belongs to select=%s", way)
	}
}

// text reads a text that is not empty.
func (w *with) text(name string, into *string) {
	v, ok := w.get(name)
	if !ok {
		return
	}
	s, is := v.(string)
	if !is || strings.TrimSpace(s) == "" {
		w.bad(name, "", "%v is no text", v)
		return
	}
	*into = s
}

// oneOf reads one of some words.
func oneOf[T ~string](w *with, name string, into *T, words ...T) {
	v, ok := w.get(name)
	if !ok {
		return
	}
	if s, is := v.(string); is && slices.Contains(words, T(s)) {
		*into = T(s)
		return
	}
	var list []string
	for _, x := range words {
		list = append(list, string(x))
	}
	w.bad(name, input.DidYouMean(fmt.Sprint(v), list), "%v is none of %s", v, strings.Join(list, ", "))
}

// texts reads a list, which may be a text with commas.
func (w *with) texts(name string, into *[]string) {
	v, ok := w.get(name)
	if !ok {
		return
	}
	var out []string
	switch v := v.(type) {
	case string:
		out = strings.Split(v, ",")
	case []string:
		out = slices.Clone(v)
	case []any:
		for _, x := range v {
			out = append(out, fmt.Sprint(x))
		}
	}
	for i := range out {
		if out[i] = strings.TrimSpace(out[i]); out[i] == "" {
			out = nil
			break
		}
	}
	if len(out) == 0 {
		w.bad(name, "such as "+name+"=first,second", "%v is no list", v)
		return
	}
	*into = out
}

// wholes reads a list of whole numbers of at least 1.
func (w *with) wholes(name string, into *[]int) {
	before := len(w.errs)
	var list []string
	w.texts(name, &list)
	var out []int
	for _, s := range list {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			w.bad(name, "", "%q is no whole number of at least 1", s)
			return
		}
		out = append(out, n)
	}
	if len(w.errs) == before && out != nil {
		*into = out
	}
}

// truth reads true or false.
func (w *with) truth(name string, into *bool) {
	v, ok := w.get(name)
	if !ok {
		return
	}
	is, fine := v.(bool)
	if s, text := v.(string); text && (s == "true" || s == "false") {
		is, fine = s == "true", true
	}
	if !fine {
		w.bad(name, "", "%v is neither true nor false", v)
		return
	}
	*into = is
}

// number reads a number within bounds.
func (w *with) number(name string, into *float64, least, most float64) {
	v, ok := w.get(name)
	if !ok {
		return
	}
	x, fine := toNumber(v)
	if !fine || !(x >= least && x <= most) {
		w.bad(name, "", "%v is no number %s", v, within(least, most))
		return
	}
	*into = x
}

// share reads a share from 0 to 1, where the recipe takes 0 for its default and a negative one for none.
func (w *with) share(name string, into *float64) {
	before := *into
	*into = math.NaN()
	w.number(name, into, 0, 1)
	switch {
	case math.IsNaN(*into):
		*into = before
	case *into == 0:
		*into = -1
	}
}

// whole reads a whole number within bounds.
func (w *with) whole(name string, into *int, least, most int) {
	v, ok := w.get(name)
	if !ok {
		return
	}
	x, fine := toNumber(v)
	if !fine || x != math.Trunc(x) || !(x >= float64(least) && x <= float64(most)) {
		w.bad(name, "", "%v is no whole number %s", v, within(float64(least), float64(most)))
		return
	}
	*into = int(x)
}

// votes reads how often a judge is asked.
func (w *with) votes(into *int) {
	n := *into
	w.whole("votes", &n, 1, 31)
	if n%2 == 0 && n != *into {
		w.bad("votes", "", "%d votes may be divided; an odd number lets a majority decide", n)
		return
	}
	*into = n
}

// span reads "2..7".
func (w *with) span(name string, into *[2]int) {
	v, ok := w.get(name)
	if !ok {
		return
	}
	s, _ := v.(string)
	from, to, cut := strings.Cut(s, "..")
	a, err1 := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	if !cut || err1 != nil || err2 != nil || a < 1 || b < a {
		w.bad(name, "such as "+name+"=2..7", "%v is no range", v)
		return
	}
	*into = [2]int{a, b}
}

// many is more than any number that means something.
const many = 1_000_000

func within(least, most float64) string {
	if most == many {
		return fmt.Sprintf("of at least %g", least)
	}
	return fmt.Sprintf("from %g to %g", least, most)
}

func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case string:
		x, err := strconv.ParseFloat(v, 64)
		return x, err == nil
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
