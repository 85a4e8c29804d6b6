package lookalike

import (
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// appendLook appends a label as it looks at a glance: the ASCII part of Unicode's confusables (UTS 39) that host names can
// have.
func appendLook(dst, label []byte) []byte {
	for i := 0; i < len(label); i++ {
		switch c := label[i]; {
		case c == '0':
			dst = append(dst, 'o')
		case c == '1':
			dst = append(dst, 'l')
		case c == 'r' && i+1 < len(label) && label[i+1] == 'n':
			dst = append(dst, 'm')
			i++
		case c == 'v' && i+1 < len(label) && label[i+1] == 'v':
			dst = append(dst, 'w')
			i++
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// latin is how a label in Punycode looks to who reads Latin letters; ok is false when it holds others.
func latin(label string) (plain []byte, ok bool) {
	text, err := idna.Punycode.ToUnicode(label)
	if err != nil || text == label {
		return nil, false
	}
	for _, r := range norm.NFKD.String(text) {
		switch l, known := confusable[r]; {
		case r < utf8.RuneSelf:
			plain = append(plain, byte(r))
		case known:
			plain = append(plain, l...)
		case r >= 0x300 && r < 0x370: // a mark above or below the letter before it
		default:
			return nil, false
		}
	}
	return plain, true
}

// confusable gives the Latin letters that others look like: what of Unicode's confusables (UTS 39) can stand in a name, and
// letters that imitations use although they look less alike. Accents are taken away before.
var confusable = map[rune]string{
	// Cyrillic
	'а': "a", 'в': "b", 'с': "c", 'ԁ': "d", 'е': "e", 'ҽ': "e", 'г': "r", 'һ': "h", 'н': "h", 'і': "i", 'ј': "j", 'к': "k", 'ӏ': "l", 'м': "m",
	'п': "n", 'о': "o", 'р': "p", 'ԛ': "q", 'ѕ': "s", 'т': "t", 'ц': "u", 'ѵ': "v", 'ԝ': "w", 'ш': "w", 'х': "x", 'у': "y", 'ү': "y", 'ь': "b",
	'ѡ': "w", 'є': "e", 'з': "3", 'б': "6",
	// Greek
	'α': "a", 'β': "b", 'ϲ': "c", 'ε': "e", 'η': "n", 'ι': "i", 'κ': "k", 'ν': "v", 'ο': "o", 'ρ': "p", 'σ': "o", 'τ': "t", 'υ': "u", 'χ': "x",
	'γ': "y", 'ω': "w", 'ϳ': "j",
	// Armenian
	'ա': "w", 'զ': "q", 'հ': "h", 'յ': "j", 'ո': "n", 'ս': "u", 'օ': "o", 'ց': "g", 'ք': "f",
	// Latin with strokes, hooks and other shapes, which do not come apart
	'ɑ': "a", 'æ': "ae", 'ƀ': "b", 'ɓ': "b", 'ƅ': "b", 'ƈ': "c", 'đ': "d", 'ɗ': "d", 'ð': "d", 'ǝ': "e", 'ɛ': "e", 'ƒ': "f", 'ɡ': "g", 'ɠ': "g", 'ħ': "h",
	'ɦ': "h", 'ı': "i", 'ɩ': "i", 'ɨ': "i", 'ƙ': "k", 'ł': "l", 'ɫ': "l", 'ɱ': "m", 'ɲ': "n", 'ŋ': "n", 'ø': "o", 'ɵ': "o", 'œ': "oe", 'þ': "p", 'ƥ': "p",
	'ʠ': "q", 'ɽ': "r", 'ɾ': "r", 'ʂ': "s", 'ß': "b", 'ŧ': "t", 'ƭ': "t", 'ʉ': "u", 'ʋ': "v", 'ʌ': "v", 'ɯ': "w", 'ƴ': "y", 'ɏ': "y", 'ƶ': "z", 'ʐ': "z",
	'ᴄ': "c", 'ᴏ': "o", 'ᴠ': "v", 'ᴡ': "w", 'ᴢ': "z", 'ꜱ': "s",
	// others, by UTS 39
	'ⲟ': "o", 'ⲣ': "p", 'ა': "s", 'ჿ': "y", 'ೲ': "w", 'ഠ': "o", 'ဝ': "o", '०': "o", '೦': "o", '๐': "o",
}
