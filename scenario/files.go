package scenario

import (
	"fmt"
	"slices"
	"strings"
)

type file struct {
	path, text, slot string
	mine             bool
}

type event struct {
	id, slot, when, title, note string
	mine                        bool
}

var fileTools = []tool{
	{"list_files", "List the files.", []param{pageParam}, listFiles},
	{"read_file", "Read a file.", []param{{"path", "The file's path.", false}}, readFileTool},
	{"write_file", "Write a file; a file of this path is replaced.", []param{{"path", "The file's path.", false}, {"text", "The new text.", false}}, writeFile},
	{"copy_file", "Copy a file.", []param{{"path", "The file's path.", false}, {"to", "The copy's path, or a place outside such as host:path.", false}}, copyFile},
	{"delete_file", "Delete a file.", []param{{"path", "The file's path.", false}}, deleteFile},
}

var calendarTools = []tool{
	{"list_events", "List the events of the calendar.", []param{pageParam}, listEvents},
	{"add_event", "Add an event.", []param{{"when", "Day and time.", false}, {"title", "Title.", false}, {"with", "Who is invited.", true}}, addEvent},
	{"cancel_event", "Cancel an event.", []param{{"id", "The event's ID.", false}}, cancelEvent},
}

func (w *World) file(path string) (*file, error) {
	return find(w.files, path, "file", func(f *file) string { return f.path })
}

func (f *file) record() map[string]string {
	return map[string]string{"path": f.path, "item": f.slot, "owner": owner(f.mine)}
}

func owner(mine bool) string {
	if mine {
		return "agent"
	}
	return "other"
}

func listFiles(w *World, args map[string]string) (string, map[string]string, error) {
	var lines []string
	for _, f := range w.files {
		lines = append(lines, fmt.Sprintf("%s (%d words)", f.path, len(strings.Fields(f.text))))
	}
	return page(lines, args, "No files.")
}

func readFileTool(w *World, args map[string]string) (string, map[string]string, error) {
	f, err := w.file(args["path"])
	if err != nil {
		return "", nil, err
	}
	w.saw(f.slot)
	return f.text, f.record(), nil
}

func writeFile(w *World, args map[string]string) (string, map[string]string, error) {
	path := strings.TrimSpace(args["path"])
	if f, err := w.file(path); err == nil {
		before := f.record()
		f.text = args["text"]
		return "Replaced " + f.path + ".", before, nil
	}
	w.files = append(w.files, &file{path: path, text: args["text"], mine: true})
	return "Wrote " + path + ".", map[string]string{"path": path, "owner": "agent"}, nil
}

func copyFile(w *World, args map[string]string) (string, map[string]string, error) {
	f, err := w.file(args["path"])
	if err != nil {
		return "", nil, err
	}
	to := strings.TrimSpace(args["to"])
	if old, err := w.file(to); err == nil {
		return "", nil, fmt.Errorf("there is a file %q already", old.path)
	}
	w.files = append(w.files, &file{path: to, text: f.text, mine: true})
	return "Copied to " + to + ".", f.record(), nil
}

func deleteFile(w *World, args map[string]string) (string, map[string]string, error) {
	f, err := w.file(args["path"])
	if err != nil {
		return "", nil, err
	}
	w.files = slices.DeleteFunc(w.files, func(x *file) bool { return x == f })
	return "Deleted " + f.path + ".", f.record(), nil
}

func listEvents(w *World, args map[string]string) (string, map[string]string, error) {
	var lines []string
	for _, e := range w.events {
		line := fmt.Sprintf("%s | %s | %s", e.id, e.when, e.title)
		if e.note != "" {
			line += " | " + strings.Join(strings.Fields(e.note), " ")
		}
		lines = append(lines, line)
		w.saw(e.slot)
	}
	return page(lines, args, "No events.")
}

func addEvent(w *World, args map[string]string) (string, map[string]string, error) {
	w.made++
	e := &event{id: fmt.Sprintf("n%d", w.made), when: args["when"], title: args["title"], mine: true}
	if args["with"] != "" {
		e.note = "with " + args["with"]
	}
	w.events = append(w.events, e)
	return "Added " + e.id + ".", nil, nil
}

func cancelEvent(w *World, args map[string]string) (string, map[string]string, error) {
	e, err := find(w.events, args["id"], "event", func(e *event) string { return e.id })
	if err != nil {
		return "", nil, err
	}
	w.events = slices.DeleteFunc(w.events, func(x *event) bool { return x == e })
	return "Cancelled " + e.id + ".", map[string]string{"id": e.id, "item": e.slot, "title": e.title, "owner": owner(e.mine)}, nil
}
