package pipe

// task is an item that waits for a stage.
type task struct {
	origin *origin
	node   *node
	at     int // index in stages
	item   Item
	number int64
}

// tasks is a heap: the oldest origin first, within it the farthest, within that the first.
type tasks []task

func (t tasks) Len() int      { return len(t) }
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t tasks) Less(i, j int) bool {
	a, b := t[i], t[j]
	if a.origin.number != b.origin.number {
		return a.origin.number < b.origin.number
	}
	if a.at != b.at {
		return a.at > b.at
	}
	return a.number < b.number
}

// Push and Pop are for package heap.
func (t *tasks) Push(x any) { *t = append(*t, x.(task)) }

// Pop takes the last.
func (t *tasks) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = task{}
	*t = old[:len(old)-1]
	return last
}
