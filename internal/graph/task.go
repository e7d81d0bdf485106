package graph

// Task is what a running step is given.
type Task struct {
	Step    string            // ID of the step
	Inputs  map[string]string // read-only folder of each input, by its name
	Output  string            // empty folder to fill
	Workers int               // how many cores to use; must not change the output

	report func(done, total float64, unit, note string)
}

// Progress tells how far the step is, in any unit ("tokens"); total is 0 where it is unknown. It may be called often and from
// several goroutines: most calls only set what the next event will show.
func (t *Task) Progress(done, total float64, unit, note string) {
	if t.report != nil {
		t.report(done, total, unit, note)
	}
}
