// Numbers as exposition formats write them: Go's syntax for floats, read exactly and fast.
const pow10 = Array.from({ length: 23 }, (_, i) => 10 ** i)
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const words: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  '+inf': Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  infinity: Number.POSITIVE_INFINITY,
  '+infinity': Number.POSITIVE_INFINITY,
  '-infinity': Number.NEGATIVE_INFINITY,
}

const slow = (text: string): number | null => {
  if (decimal.test(text)) return Number(text)
  return words[text.toLowerCase()] ?? null
}

/**
 * The number in `text[from, to)`, null when it is none. Up to 15 digits with at most 22 decimals are exact in one division (Clinger's fast
 * path); everything else goes through the engine's own parser.
 */
export const readNumber = (text: string, from: number, to: number): number | null => {
  let i = from
  const negative = text.charCodeAt(i) === 45
  if (negative) i++
  if (to - i > 16 || i >= to) return slow(text.slice(from, to))
  let whole = 0
  let digits = 0
  let point = -1
  for (; i < to; i++) {
    const c = text.charCodeAt(i) - 48
    if (c >= 0 && c <= 9) {
      whole = whole * 10 + c
      digits++
    } else if (c === -2 && point < 0) point = digits
    else return slow(text.slice(from, to))
  }
  if (digits === 0 || digits > 15) return slow(text.slice(from, to))
  const value = point < 0 ? whole : whole / pow10[digits - point]!
  return negative ? -value : value
}
