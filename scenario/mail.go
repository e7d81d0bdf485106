package scenario

import (
	"fmt"
	"slices"
	"strings"
)

type mail struct {
	id, slot           string
	from, to, cc, date string
	subject, body      string
	sent, read, mine   bool
	after              int
}

var mailTools = []tool{
	{"list_mail", "List the mails of a folder, oldest first.", []param{{"folder", "inbox (if left out) or sent.", true}, pageParam}, listMail},
	{"read_mail", "Read one mail.", []param{{"id", "The mail's ID, as list_mail shows it.", false}}, readMail},
	{"send_mail", "Send a mail.", []param{{"to", "Mail address; several are separated by commas.", false}, {"subject", "Subject line.", false},
		{"body", "Text of the mail.", false}, {"cc", "Copies to, in the same form.", true}}, sendMail},
	{"delete_mail", "Delete a mail.", []param{{"id", "The mail's ID.", false}}, deleteMail},
}

func listMail(w *World, args map[string]string) (string, map[string]string, error) {
	folder := strings.ToLower(strings.TrimSpace(args["folder"]))
	if folder != "" && folder != "inbox" && folder != "sent" {
		return "", nil, fmt.Errorf("there is no folder %q; there are inbox and sent", args["folder"])
	}
	var lines []string
	for _, m := range w.mails {
		if m.sent != (folder == "sent") {
			continue
		}
		who, mark := m.from, ""
		if m.sent {
			who = "to " + m.to
		} else if !m.read {
			mark = " | unread"
		}
		lines = append(lines, fmt.Sprintf("%s | %s | %s | %s%s", m.id, m.date, who, m.subject, mark))
	}
	return page(lines, args, "No mails.")
}

func (m *mail) record() map[string]string {
	owner := "other"
	if m.mine {
		owner = "agent"
	}
	return map[string]string{"id": m.id, "item": m.slot, "from": m.from, "to": m.to, "subject": m.subject, "owner": owner}
}

func (m *mail) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\nTo: %s\n", m.from, m.to)
	if m.cc != "" {
		fmt.Fprintf(&b, "Cc: %s\n", m.cc)
	}
	fmt.Fprintf(&b, "Date: %s\nSubject: %s\n\n%s", m.date, m.subject, m.body)
	return b.String()
}

func (w *World) mail(id string) (*mail, error) {
	return find(w.mails, id, "mail", func(m *mail) string { return m.id })
}

func readMail(w *World, args map[string]string) (string, map[string]string, error) {
	m, err := w.mail(args["id"])
	if err != nil {
		return "", nil, err
	}
	m.read = true
	w.saw(m.slot)
	return m.String(), m.record(), nil
}

func (w *World) saw(slot string) {
	if slot != "" {
		w.read[slot] = true
	}
}

func sendMail(w *World, args map[string]string) (string, map[string]string, error) {
	for _, arg := range []string{"to", "cc"} {
		resolved, err := w.addresses(args[arg])
		if err != nil {
			return "", nil, err
		}
		if args[arg] != "" {
			args[arg] = resolved
		}
	}
	w.made++
	m := &mail{id: fmt.Sprintf("s%d", w.made), from: w.c.as["desk.mail"], to: args["to"], cc: args["cc"], date: "today",
		subject: args["subject"], body: args["body"], sent: true, read: true, mine: true}
	w.mails = append(w.mails, m)
	return fmt.Sprintf("Sent to %s as %s.", m.to, m.id), nil, nil
}

// addresses gives the addresses in a list of recipients. A person's name stands for their address.
func (w *World) addresses(list string) (string, error) {
	var out []string
	for _, part := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ';' }) {
		part = strings.TrimSpace(part)
		if i, j := strings.LastIndex(part, "<"), strings.LastIndex(part, ">"); i >= 0 && j > i {
			part = strings.TrimSpace(part[i+1 : j])
		}
		if part == "" {
			continue
		}
		if !strings.Contains(part, "@") {
			known := ""
			for key := range w.c.f.casts[w.c.cl.cast].People {
				if strings.EqualFold(w.c.as[key], part) {
					known = w.c.as[key+".mail"]
				}
			}
			if known == "" {
				return "", fmt.Errorf("%q is not a mail address; list_contacts shows addresses", part)
			}
			part = known
		}
		out = append(out, part)
	}
	if list != "" && out == nil {
		return "", fmt.Errorf("%q has no mail address", list)
	}
	return strings.Join(out, ", "), nil
}

func deleteMail(w *World, args map[string]string) (string, map[string]string, error) {
	m, err := w.mail(args["id"])
	if err != nil {
		return "", nil, err
	}
	w.mails = slices.DeleteFunc(w.mails, func(x *mail) bool { return x == m })
	return "Deleted " + m.id + ".", m.record(), nil
}
