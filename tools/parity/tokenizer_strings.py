"""Texts for make_tokenizers.py: a corpus to train on and strings to encode, the same at every run."""

import random

# PLACES stand for special tokens in the strings: place i is the family's special token number i modulo their count.
PLACES = [chr(0xF8F0 + i) for i in range(10)]

PROSE = """
The harbour was quiet when the first boats came in, and nobody on the quay asked why they were early. It's what we'd
expected: they'll unload, they've done it before, and I'm sure you're tired of hearing that the tide won't wait.
A model that can't say why it acted hasn't been asked well. She said "don't", he said 'didn't', and the clerk wrote both.
Les élèves naïfs croyaient que l'été durerait toujours; où est passé le garçon qui mangeait des crêpes à Noël?
Der Bäcker grüßte über die Straße, während die Möwen schrien. Fünf Äpfel kosten zwölf Groschen, sagte der Händler.
El niño comió piñas en el jardín mientras su abuela contaba historias de mañanas más frías. ¿Quién llamó? ¡Nadie!
Тихий вечер опустился на реку, и рыбаки вернулись домой с пустыми сетями. Кто-то запел старую песню.
夜の港は静かで、船が一隻ずつ戻ってきた。漁師たちは魚を数え、笑いながら家に帰った。猫が魚を見ている。
夜里的港口很安静，船一只一只地回来了。渔夫们数着鱼，笑着回家。你好，世界！今天的天气怎么样？
조용한 항구에 배가 하나씩 돌아왔다. 어부들은 물고기를 세며 웃었다. 안녕하세요, 오늘 날씨가 좋습니다.
كان الميناء هادئا عندما عادت القوارب الأولى، ولم يسأل أحد لماذا جاءت مبكرة. السلام عليكم.
हवा शांत थी और नावें एक-एक करके लौट आईं। मछुआरे हँसते हुए घर गए। नमस्ते दुनिया।
ท่าเรือเงียบสงบเมื่อเรือลำแรกกลับมา ไม่มีใครถามว่าทำไม สวัสดีครับ
Η θάλασσα ήταν ήσυχη και τα καράβια γύρισαν ένα ένα. Καλημέρα κόσμε.
השקט ירד על הנמל והסירות חזרו אחת אחת. שלום עולם.
"""

CODE = """
func main() {
\tfor i := range 10 {
\t\tfmt.Println("hello, world", i, 3.14159e-7, 0xFF)
\t}
\treturn nil, fmt.Errorf("read %s: %w", path, err)
}
def forward(self, x: torch.Tensor) -> torch.Tensor:
    # normalise, then project
    h = self.norm(x); q, k, v = self.qkv(h).chunk(3, dim=-1)
    if x.shape[0] != 128 and not self.training:
        raise ValueError(f"bad shape {tuple(x.shape)}: expected [B, T, {self.dim}]")
    return h @ self.w_o.T + x
<div class="row"><a href="https://example.com/a?b=c&d=e#f">link</a></div>
SELECT name, COUNT(*) FROM users WHERE id >= 1000 GROUP BY name HAVING COUNT(*) > 2;
{"id": 12, "items": [1, 2.5, -3e10, null, true], "text": "a\\"b\\\\c\\n"}
#include <stdio.h>
int main(void) { printf("%d\\n", 1 << 20); return 0; }
\\begin{equation} \\int_0^\\infty e^{-x^2} dx = \\frac{\\sqrt{\\pi}}{2} \\end{equation}
| a | b |\r\n|---|---|\r\n| 1 | 2 |\r\n\r\n
"""

EMOJI = ["😀", "🙏🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵🇫🇷", "❤️", "☕", "1️⃣", "🧑🏿‍🚀", "🤷‍♀️", "✨✨✨", "𓀀", "🫠"]
MARKS = ["é", "ẹ́", "ñ", "ạ̈", "가", "각", "ক‌ষ", "ஔ", "ণ্ড", "ก็", "שָׁלוֹם", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A", "Å", "Å", "ﬁ", "ｆｕｌｌ", "が", "ड़", "q̣̇", "q̣̇",
         "a" + "̖́" * 20, "का̅", "أٌ", "o࢘́", "e𑄰", "𑤸"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "    ", "        ", " ", " ", "　", "​", " ", "\x0b", "\x0c", "\x85", "\t\t ", " \r\n \n  "]
CONTRACTIONS = ["it's", "IT'S", "we'Ll", "I'M", "you'RE", "they'Ve", "he'D", "can'T", "it'ſ", "'S", "' s", "o'clock", "''s", "d'être", "x're", "K'll", "rock'n'roll"]
ODD = ["\x00", "\x04\x06", "\x13\x14\x1d", "ß", "ẞ", "İ", "ı", "ſ", "K", "Ⅷ", "½", "²", "٣٤", "१२", "一二", "〇", "𝟘𝟙", "𞥐", "\ufeff", "\ufffd", "\u2028", "́", "·", "_", "__init__",
       "▁", "▁▁a", "Ġ", "Ġthe", "Ċ", "<0x0A>", "<0x41>", "<s", "</", "[INST", "<|", "|>", "<|im_", "<tool_call", "﷽", "ﷺ", "\U0010ffff", "\U000e0041", "\ue000", "𐵐𐵰", "᲍", "𑛐", "𑷠",
       "CamelCase", "camelCase", "HTTPServer", "ABCdef", "АБВгд", "iPhone15Pro", "ÀÉî", "Dž", "日ABC", "éÀʰBC", "\u0301ABC", " 日本語X", "ʰa", "aʰB", "ªº"]


def corpus():
    """Lines to train on."""
    rng = random.Random(5)
    lines = PROSE.strip().split("\n") * 4 + CODE.strip("\n").split("\n") * 3 + EMOJI + CONTRACTIONS
    for _ in range(300):
        lines.append(prose(rng))
    return lines


def prose(rng):
    sentences = PROSE.strip().split("\n")
    words = rng.choice(sentences).split(" ")
    start = rng.randrange(len(words))
    return " ".join(words[start:start + rng.randint(1, 12)])


def code(rng):
    lines = CODE.strip("\n").split("\n")
    start = rng.randrange(len(lines))
    return "\n".join(lines[start:start + rng.randint(1, 3)])


def number(rng):
    kind = rng.randrange(6)
    n = rng.randrange(10 ** rng.randint(1, 16))
    return [str(n), f"{n:,}", f"{n / 997:.4f}", f"-{n:e}", f"{n % 2400:04d}-{n % 12 + 1:02d}-{n % 28 + 1:02d}", f"a{n}b{n % 7}"][kind]


def point(rng):
    """One code point from anywhere."""
    while True:
        limit = rng.choice([0x80, 0x250, 0x800, 0x3000, 0x10000, 0x20000, 0x110000])
        c = rng.randrange(limit)
        if not 0xD800 <= c <= 0xDFFF and chr(c) not in PLACES:
            return chr(c)


def broken(rng):
    """Random bytes as Python decodes them."""
    data = bytes(rng.randrange(256) for _ in range(rng.randint(1, 12))) + rng.choice(["é", "日", "😀"]).encode()[:-1]
    return data.decode("utf-8", errors="replace")


def atom(rng):
    """A small piece of any kind."""
    kind = rng.randrange(12)
    if kind < 3:
        return rng.choice(prose(rng).split(" "))
    if kind == 3:
        return number(rng)
    if kind == 4:
        return rng.choice(EMOJI)
    if kind == 5:
        return rng.choice(MARKS)
    if kind == 6:
        return rng.choice(CONTRACTIONS)
    if kind == 7:
        return rng.choice(ODD)
    if kind == 8:
        return point(rng)
    return "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 3)))


def strings(n):
    """What to encode."""
    rng = random.Random(7)
    out = ["", " ", "\n", "a", *EMOJI, *MARKS, *SPACES, *CONTRACTIONS, *ODD, *PLACES]
    makers = [prose, prose, code, number, broken,
              lambda r: "".join(atom(r) for _ in range(r.randint(1, 6))),
              lambda r: "".join(atom(r) for _ in range(r.randint(1, 6))),
              lambda r: "".join(atom(r) + (r.choice(PLACES) if r.random() < 0.5 else "") for _ in range(r.randint(1, 5))),
              lambda r: r.choice(PLACES) + prose(r) + r.choice(["", " ", "\n"]) + r.choice(PLACES),
              lambda r: "".join(point(r) for _ in range(r.randint(1, 5)))]
    seen = set(out)
    while len(out) < n:
        s = rng.choice(makers)(rng)
        if s not in seen:
            seen.add(s)
            out.append(s)
    return out
