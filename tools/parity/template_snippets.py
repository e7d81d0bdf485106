"""Small templates over VARS that go through the language of chat templates, for templates.py."""

VARS = {
    "s": "Hello, World", "pad": "  \t x y \n", "e": "", "u": "Grüße, 世界 \U0001f600!", "q": "it's \"q\" \\ \n\t\x01\x7f\u2028</script>", "lines": "a\nb\r\nc\n\nd",
    "i": 7, "neg": -7, "f": 2.5, "big": 12345678901234567890, "tiny": 1e-7, "huge": 1e22, "one": 1.0, "t": True, "no": False, "z": None,
    "xs": [3, 1, 2], "words": ["b", "A", "c", "a"], "mixed": [1, "a", None, True, 2.0, [], {}], "nest": [[1, 2], [3]], "none": [],
    "d": {"b": 1, "a": "x", "c": [1, {"k": None}]}, "people": [{"n": "Bo", "age": 5, "in": {"k": 1}}, {"n": "al", "age": 3}, {"n": "Cy", "age": 5, "ok": True}],
    "odd": {"items": "mine", "keys": 1, "get": 2, "x y": 3, "_u": 4}, "special": "<|im_end|>", "dash": "one-two (three) [four] they're",
}

EXPRESSIONS = r"""
s|s[0]|s[-1]|s[99]|s[1:4]|s[:-1]|s[::-1]|s[5:2]|s[::2]|s[10:0:-3]|s[-3:]|u[1:9]|u[::-1]|u[-2]|xs[1:]|xs[::-1]|xs[-1]|xs[7]|nest[0][1]|e[0]
s + '!'|s ~ i ~ f ~ z ~ t|s * 2|3 * s|s * -1|s * t|xs + nest|xs * 2|s + i|i + f|i - neg|i * f|i / 2|i // 2|neg // 2|neg % 3|i % neg|i ** 2|2 ** -1|2 ** 0.5|-i ** 2|f // 1|-f % 2|i / 0|i % 0|t + t|1 + z|big|-big|big + 1.0|+i|-s|- f
1e3|1.5e-3|1_000|0x1F|0b101|0o17|1E5|.5|5.|tiny|huge|one|1e15|1e16|123456789.125|1/3|100 * 1.1|0.1 + 0.2|-0.0|1e400
'a' 'b'|"q\"x"|'\x41\u00e9\U0001F600\101\n\t\\\'\q'|'%s-%d-%5.2f-%%' % ('x', 3, 2.5)|'%s' % xs|'%s %s' % 'a'|'%x %o %e' % (255, 8, 1234.5)|'{} {}'.format(1, 'b')|'{1}{0}{x}{{}}'.format('a', 'b', x=3)|'%s' % undefined_thing
i == 7|i == 7.0|t == 1|'1' == 1|xs == [3, 1, 2]|d == {'a': 'x', 'b': 1, 'c': [1, {'k': none}]}|(1, 2) == [1, 2]|1 < 2 < 3|1 < 3 < 2|'a' < 'b'|'Z' < 'a'|[1, 2] < [1, 3]|1 < 'a'|z < 1|not i|not e|i != 7|s >= 'Hello'|2 >= 2.0|z == none|zz == none|zz == yy|zz < 1
'World' in s|'x' not in s|1 in xs|'b' in d|'z' in d|1 in s|none in mixed|'a' in zz|zz in s|not 1 in xs|'' in s|[1, 2] in nest|(1 in xs) == true
e or 'x'|s or 'x'|s and i|e and i|z or e or xs|i if t else f|i if no else f|i if no|(i if no) is defined|1 if no else 2 if no else 3|not no and t|t and not no or zz.x|'a' if 1 in xs and not no else 'b'
s.upper()|s.lower()|s.title()|u.upper()|dash.title()|dash.capitalize()|pad.strip()|pad.lstrip()|pad.rstrip()|pad.strip(' ')|s.strip('Held')|s.strip(none)|s.split()|pad.split()|s.split(', ')|s.split('l', 1)|s.rsplit('l', 1)|' a b  c '.split(none, 1)|' a b  c '.rsplit(none, 1)|s.split('')|lines.splitlines()|lines.splitlines(true)|s.split('o')[-1]|e.split()|e.split(',')|s.partition(', ')|s.rpartition('l')|s.partition('zz')|s.rpartition('zz')
s.startswith('He')|s.startswith(('x', 'He'))|s.endswith('ld')|s.endswith('')|s.replace('l', 'L')|s.replace('l', 'L', 1)|'abc'.replace('', '-')|'abc'.replace('', '-', 2)|s.find('o')|s.rfind('o')|s.find('zz')|s.index('W')|s.index('zz')|u.find('世')|s.count('l')|', '.join(words)|', '.join(xs)|'-'.join('abc')|s.removeprefix('Hello')|s.removesuffix('World')|'12'.isdigit()|'1a'.isdigit()|e.isdigit()|'ab'.isalpha()|' \t'.isspace()|'AB'.isupper()|'aB'.islower()|'a1'.isalnum()|'ab'.ljust(5, '.')|'ab'.rjust(5)|s.nothing|s.nothing()|s.__class__|s.upper
d.b|d['b']|d.nope|d['nope']|d.nope.deeper|d.get('b')|d.get('nope')|d.get('nope', 5)|d.keys()|d.values()|d.items()|d|odd.items|odd['items']|odd.get|odd._u|odd['x y']|d.items()[0]|d.pop('b')|d.update({})|d.copy()|xs.append(1)|xs.index(2)|xs.count(1)|xs.pop()|d.c[1].k|d.c[1]['k'] is none|xs.0|nest.1.0|i.x|z.x|zz.x|zz['x']|zz()|s()|xs['a']|d[xs]
xs|mixed|d|nest|(1,)|(1, 'a')|()|[]|{}|{'a': 1, 2: 'b', none: t}|{1: 'a', 1.0: 'b', true: 'c'}|[q]|[special, "it's"]|[zz]|range(3)|range(1000000)|dict(a=1, b='x')|dict([('k', 1)])|dict(d, b=2)|none|true|False|None
"""

FILTERS = r"""
s | length
'%5s|%-5s|%05d' % ('a', 'b', 42)
range(2, 8, 3) | list
range(5, 0, -2) | list
range(0) | list
d.keys() | list
u | length
xs | length
d | length
zz | length
i | length
xs | count
s | upper
none | upper
i | lower
u | capitalize
dash | title
pad | trim
pad | trim(' ')
none | trim
zz | trim
s | trim('Hd')
zz | default('x')
zz | default
e | default('x')
e | default('x', true)
z | d('x', boolean=true)
z | default('x')
d.nope | default(xs)
xs | join
xs | join(', ')
words | join('-') | upper
people | join(', ', attribute='n')
mixed | join('|')
d | join(',')
s | join('.')
xs | first
xs | last
none_ | first
none_ | last is defined
s | first
u | last
d | first
d | last
xs | reverse | list
s | reverse
xs | reverse
xs | sort
xs | sort(reverse=true)
words | sort
words | sort(case_sensitive=true)
words | sort(reverse=true)
people | sort(attribute='age') | map(attribute='n') | list
people | sort(attribute='age,n') | map(attribute='n') | join(',')
people | sort(attribute='age', reverse=true) | map(attribute='n') | list
mixed | sort
words | unique | list
words | unique(case_sensitive=true) | list
people | unique(attribute='age') | map(attribute='n') | list
xs | min
xs | max
words | min
words | max(case_sensitive=true)
people | max(attribute='age')
[] | max
xs | sum
people | sum(attribute='age')
people | sum(attribute='age', start=10)
words | sum
people | map(attribute='n') | list
people | map(attribute='in.k') | list | length
people | map(attribute='ok', default='?') | list
words | map('upper') | list
xs | map('string') | join
words | map('replace', 'a', 'x') | list
words | map('nope') | list
people | selectattr('age', 'equalto', 5) | map(attribute='n') | list
people | selectattr('ok') | map(attribute='n') | list
people | selectattr('ok', 'defined') | list | length
people | rejectattr('age', '>', 3) | map(attribute='n') | list
people | selectattr('n', 'in', ['Bo', 'Cy']) | list | length
xs | select('odd') | list
xs | reject('gt', 2) | list
mixed | select | list
mixed | select('string') | first
mixed | reject('none') | list
xs | select('odd') | length
xs | select('odd')
xs | list
s | list
d | list
z | list
d | items | list
d | dictsort
d | dictsort(reverse=true)
{'b': 1, 'A': 2} | dictsort
{'b': 1, 'A': 2} | dictsort(true)
{'b': 1, 'A': 2} | dictsort(by='value')
zz | items | list
xs | items
neg | abs
f | abs
s | abs
'42' | int
'42.9' | int
' 4_2 ' | int
'x' | int
'x' | int(5)
'ff' | int(base=16)
'0xff' | int(0, 16)
f | int
none | int
t | int
xs | int
'99999999999999999999' | int
'1.5' | float
'x' | float
'x' | float(1.0)
i | float
f | round
3.14159 | round(2)
2.5 | round
3.5 | round
0.125 | round(2)
42.55 | round(1, 'floor')
42.55 | round(1, 'ceil')
i | round
1234 | round(-2)
s | replace('l', 'L')
s | replace('l', 'L', 2)
s | replace('o', 0)
s | string
xs | string
d | string
f | string
lines | indent
lines | indent(2, true)
lines | indent('> ', first=true, blank=true)
e | indent(2, true)
'%s=%s' | format('a', 1)
d | tojson
xs | tojson
q | tojson
u | tojson
u | tojson(ensure_ascii=true)
mixed | tojson
d | tojson(indent=2)
d | tojson(indent=4)
d | tojson(indent=0)
d | tojson(indent='\t')
[] | tojson(indent=2)
{} | tojson(indent=2)
[{}] | tojson(indent=2)
d | tojson(separators=(',', ':'))
d | tojson(indent=2, separators=(',', ':'))
d | tojson(sort_keys=true)
d | tojson(none, 2)
d | tojson(true, 2)
{1: 'a', none: 2, true: 3, 1.5: 4} | tojson
(1, 2) | tojson
z | tojson
f | tojson
one | tojson
tiny | tojson
huge | tojson
big | tojson
1e400 | tojson
zz | tojson
d.items() | tojson
range(3) | tojson
xs | map('string') | tojson
d | attr('items')
d | attr('b') is defined
xs | nope
i is odd
i is even
i is divisibleby 7
i is divisibleby(2)
s is string
i is string
z is none
z is not none
zz is defined
zz is undefined
zz is not defined
s is defined
d is mapping
xs is mapping
xs is iterable
s is iterable
i is iterable
z is iterable
xs is sequence
d is sequence
s is sequence
i is number
t is number
f is float
i is integer
t is integer
t is boolean
i is boolean
t is true
i is true
no is false
z is false
'abc' is lower
'ABC' is upper
'123' is upper
range is callable
s.upper is callable
s is callable
i is eq 7
i is ne 7
i is lt 8
i is ge 7
i is equalto 7
i is sameas 7
t is sameas true
i is sameas 7.0
1 is in xs
9 is in(xs)
'trim' is filter
'nope' is filter
'odd' is test
s is nope
zz is none
zz is string
d.b is defined and d.b == 1
not z is none
z is none or s
i is odd and s is string
x if x is defined else 'nothing'
xs is sequence and xs is not string and xs | length > 2
s | upper | lower | length + 1
-i | abs
(s ~ 'x') | upper
s ~ 'x' | upper
1 + 2 * 3 ~ 4
2 * 3 % 4
2 ** 3 ** 2
10 - 2 - 3
not t == no
'a' ~ 1 + 2
-2 ** 2
xs[i - 6]
d[words[0]]
{'a': xs}['a'][1]
[x for x in xs]
s,
s, i
(s if t else i)[0]
'%d' % f
strftime_now('%d %b %Y')
strftime_now('%A %B %-d %Y %H:%M:%S %p %I %j %y %% %f')
strftime_now('%a %e %-H %D %F %T %U %W %w %u %V %G %C|%z|%Z')
raise_exception('stop: ' + s)
raise_exception(none)
namespace(a=1).a
namespace({'a': 2}, b=3).b
namespace(_a=1)
bos_token
messages[0].role
messages[0]['content'] + messages[-1].content
messages | length
messages
tools
tools is none
tools is defined
documents is defined
documents is none
add_generation_prompt
1 if
s ||
)
{'a'}
s[1,2]
s | safe
(q | safe) + '<'
'<' + (q | safe)
(q | safe) ~ '<'
q | e
(q | escape) + q
(s | safe | trim) + '&'
z | selectattr('x') | list
z | map('upper') | list
z | select | list
d[zz] is defined
xs[zz] is defined
zz in d
s is
is
f(*xs, **d)
"""

STATEMENTS = [
    # white space
    "a\n{% if t %}\nb\n{% endif %}\nc\n", "a\n  {% if t %}  \n  b\n  {% endif %}  \nc", "  {% if t %}x{% endif %}  ", "a {%- if t -%} b {%- endif -%} c",
    "a\n\n{%- if t %}\n\nb{% endif -%}\n\n c", "a\n  {%+ if t %}b{% endif %}\n", "{% if t +%}\nx{% endif %}", "  {{ s }}  \n  {{- s -}}  \n x", "a  {#- c -#}  b", "a\n  {# c #}\nb",
    "a\n{# c #} b", "{# c\n +#}\nb", "{% raw %}\n {{ x }} {% y %}\n{% endraw %}\nz", "  {% raw -%}  {{ x }}  {%- endraw %}\nz", "{%- raw %} a {% endraw -%} b", "x{{ s }}\n", "x{{ s }}\n\n", "\n", "a\r\nb\rc",
    "{{'a'}}\n{{'b'}}\n", "\t{% set x = 1 %}\t\n{{ x }}", "a{% set x = 1 %}\n\n{{ x }}", "{{ '{{' }}{{ '}}' }}", "{{ {'a': {'b': 1}}['a'] }}", "{{ {'a':{}} }}", "a { b } % # }}", "\u00a0\u2003{%- if t %}x{% endif %}\u3000",
    "   \n   {% for x in xs %}\n   {{ x }}\n   {% endfor %}\n   z", "{%if t%}x{%endif%}", "{%\n if t\n %}x{% endif %}", "{% if t: %}x{% endif %}", "a\n \x0c{% if t %}\nb{% endif %}",
    # statements
    "{% if no %}a{% elif i == 7 %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% elif no %}d{% else %}c{% endif %}", "{% if not zz %}u{% endif %}",
    "{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ x }};{% endfor %}",
    "{% for x in xs %}{{ loop.previtem }}-{{ loop.nextitem }} {% endfor %}", "{% for x in xs %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for x in xs if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {{ loop.last }} {% endfor %}", "{% for x in none %}a{% else %}empty{% endfor %}", "{% for x in z %}a{% endfor %}", "{% for x in zz %}a{% else %}e{% endfor %}",
    "{% for x in xs if x > 9 %}a{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for a, b in nest %}{{ a }}{% endfor %}", "{% for c in s %}{{ c }}.{% endfor %}",
    "{% for x in xs %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in xs %}{% for y in xs %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% break %}", "{% for x in xs %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}", "{% for x in xs %}{{ loop.depth }}{{ loop.nope }}{% endfor %}", "{{ loop }}", "{{ loop is defined }}",
    "{% for x in xs | select('odd') %}{{ x }}{{ loop.length }}{{ loop.last }}{% endfor %}", "{% set g = xs | select('odd') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% endfor %}{{ g is iterable }}{% if g %}y{% endif %}",
    "{% set x = 1 %}{% for y in xs %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=1) %}{% for y in xs %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}", "{% set d.b = 2 %}", "{% set ns = namespace() %}{% set ns.y = 'a' %}{{ ns.y }}{{ ns.zz is defined }}{{ ns['y'] }}", "{% set ns = namespace() %}{% set ns._y = 1 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = xs %}", "{% set (a, b) = (1, 2) %}{{ b }}", "{% set x %}  text {{ i }}  {% endset %}[{{ x }}]", "{% set x | trim | upper %}  text {{ i }}  {% endset %}[{{ x }}]", "{% set 1 = 2 %}", "{% set x = 1, %}{{ x }}",
    "{% if t %}{% set x = 5 %}{% endif %}{{ x }}", "{% with a = 1, b = i %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% set a = 1 %}{% with a = 2, b = a %}{{ b }}{{ a }}{% endwith %}{{ a }}", "{% filter upper | trim %} a {{ s }} {% endfilter %}",
    "{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=4, a=5) }} {{ m() }}", "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(x) %}{% if x %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(4) }}", "{% macro m() %}{{ y }}{% endmacro %}{% set y = 3 %}{{ m() }}", "{% macro m(a=i, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}{{ m(1) }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{% endcall %}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a + b }}{% endcall %}", "{% macro m() %}  x  {% endmacro %}{{ m() | trim }}{{ m() | length }}", "{% macro m() %}{% set s = 1 %}{{ s }}{% endmacro %}{{ m() }}{{ s }}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ xs | map('string') | map('upper') | list }}{{ m(xs) }}",
    "{% generation %}{{ s }}{% set x = 1 %}{% endgeneration %}{{ x is defined }}", "{% generation %}\na\n{% endgeneration %}\nb", "{%- for x in xs %}{%- generation %} {{ x }} {%- endgeneration %}{%- endfor %}",
    "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% from 'x' import y %}", "{% do x %}", "{% nope %}", "{% if t %}", "{% endif %}", "{{ s", "{{ s }", "{% if t }", "{# c", "{% raw %}", "{{ 's }}", "{{ }}", "{% %}", "{{ s s }}", "{% for x xs %}{% endfor %}", "{% for x in xs %}{% endif %}",
    "{{ s | safe }}", "{{ messages[0]['role'] ~ '\\n' ~ messages[0]['content'] | trim }}", "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] }}{{ '\\n' if not loop.last }}{% endfor %}", "{{ ([1,2] + [3])[-1] }}{{ (1, 2)[0] }}", "{{- s -}}\n\n", "{{ s if s is string and s | length > 3 else 'short' }}",
    "{% set x = {'a': 1} %}{{ x.a }}{{ x | length }}", "{% set content = s.split(',')[0] | trim %}{{ content }}", "{% set ns = namespace(found=false) %}{% for m in messages if not ns.found %}{{ m.content }}{% set ns.found = true %}{% endfor %}", "{{ d | tojson(indent=2) | indent(4) }}",
    "{% for m in messages | reverse %}{{ m.content }}{% endfor %}", "{% for m in messages[::-1] %}{{ loop.index0 }}{{ m.content }}{% endfor %}", "{% for a in xs %}{% for b in nest[0] %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}", "{{ xs | length == 3 }}{{ xs | length > 2 and t }}",
    "{% set x = xs | map(attribute='y') | list %}{{ x | length }}", "{% if s.startswith('He') and s.endswith('ld') %}{{ s[1:-1] }}{% endif %}", "{{ (s | upper)[:3] ~ (i | string) }}", "{% if 'a' in d and d.a is string %}{{ d['a'] }}{% endif %}", "{{ undefined_function('x') }}", "{{ s.__class__.__mro__ }}", "{{ xs.append }}", "{{ d.__init__.__globals__ }}", "{#", "{% if zz is defined and zz.x %}a{% else %}b{% endif %}",
]

SNIPPETS = (
    ["{{ " + e + " }}" for line in EXPRESSIONS.strip().split("\n") for e in line.split("|")]
    + ["{{ " + e + " }}" for e in FILTERS.strip().split("\n")]
    + STATEMENTS
)
