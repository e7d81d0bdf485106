package chat

// The syntax tree. Every node knows its line.

type expr interface{ at() int }

// node is what all expressions have.
type node struct{ line int }

func (n node) at() int { return n.line }

type (
	constant struct {
		node
		v value
	}
	name struct {
		node
		name string
	}
	getAttr struct {
		node
		of   expr
		name string
	}
	getItem struct {
		node
		of, key expr
	}
	getSlice struct {
		node
		of           expr
		lo, hi, step expr // nil where left out
	}
	call struct {
		node
		fn   expr
		args arguments
	}
	filter struct {
		node
		of   expr
		name string
		args arguments
	}
	test struct {
		node
		of   expr
		name string
		args arguments
	}
	unary struct {
		node
		op string // "not", "-", "+"
		of expr
	}
	binary struct {
		node
		op          string // "and", "or", or an arithmetic operator
		left, right expr
	}
	compare struct {
		node
		first expr
		ops   []string
		rest  []expr
	}
	concat struct {
		node
		parts []expr
	}
	conditional struct {
		node
		test, yes, no expr // no is nil where there is no else
	}
	sequence struct {
		node
		kind  listKind
		items []expr
	}
	mapping struct {
		node
		keys, values []expr
	}
	// nsRef is an assignment's target ns.attr.
	nsRef struct {
		node
		ns, attr string
	}
	// bound stands for a value that is known already: what a filter block hands to its filters.
	bound struct {
		node
		v value
	}
)

// arguments are those of a call, filter or test.
type arguments struct {
	pos        []expr
	names      []string
	named      []expr
	star, dict expr // *args and **kwargs, or nil
}

type stmt interface{}

type (
	outputStmt struct {
		of expr
	}
	dataStmt struct {
		s string
	}
	ifStmt struct {
		tests  []expr
		bodies [][]stmt
		other  []stmt
	}
	forStmt struct {
		line   int
		target expr
		over   expr
		where  expr // nil where there is no filter
		body   []stmt
		other  []stmt
	}
	setStmt struct {
		line   int
		target expr
		to     expr
	}
	// captureStmt is a set block (target) or a filter block (no target).
	captureStmt struct {
		line    int
		target  expr
		filters func(value) expr // the filters around what the body gave; nil: none
		body    []stmt
	}
	withStmt struct {
		line    int
		targets []expr
		values  []expr
		body    []stmt
	}
	// scopeStmt is a generation block: its own scope and nothing else.
	scopeStmt struct {
		body []stmt
	}
	macroStmt struct {
		line     int
		name     string
		params   []string
		defaults []expr // of the last params
		varargs  bool   // the body mentions varargs
		kwargs   bool
		body     []stmt
	}
	callStmt struct {
		line  int
		macro *macroStmt // the block, which the callee gets as caller
		call  *call
	}
	loopControl struct {
		stop bool // break, else continue
	}
)
