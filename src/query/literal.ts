// Reads PromQL's number, duration and string literals.
import { isUtf8 } from 'node:buffer'
import { parseDuration } from '../lib/time.ts'

/**
 * A number's value, or null when it is none. Go's forms: decimal, exponent, `0x` hexadecimal, octal with a leading zero, `_` between
 * digits, `Inf` and `NaN` in any case, and durations (`1h30m`), whose value is in seconds.
 */
export const readNumber = (raw: string): { value: number; duration: boolean } | null => {
  const text = raw.replaceAll('_', '').toLowerCase()
  if (/^0[0-7]+$/.test(text)) return { value: Number.parseInt(text, 8), duration: false }
  if (text === 'inf' || text === '+inf') return { value: Number.POSITIVE_INFINITY, duration: false }
  if (text === 'nan') return { value: Number.NaN, duration: false }
  if (/^(0x[0-9a-f]+|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/.test(text))
    return { value: Number(text), duration: false }
  const length = parseDuration(raw)
  return length === null ? null : { value: length / 1000, duration: true }
}

const simple: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}
const digits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

/**
 * The value of a quoted literal (Go's escapes in double and single quotes, none in backquotes), or what is wrong with it.
 * `\x` and octal escapes stand for bytes, which together must be UTF-8.
 */
export const readString = (raw: string): { value: string } | { wrong: string } => {
  const quote = raw[0]!
  if (raw.length < 2 || raw.at(-1) !== quote) return { wrong: 'string literal not terminated' }
  const body = raw.slice(1, -1)
  if (quote === '`' || !body.includes('\\')) return { value: body }
  const bytes: Buffer[] = []
  for (let i = 0; i < body.length; ) {
    if (body[i] !== '\\') {
      const next = body.indexOf('\\', i)
      const end = next < 0 ? body.length : next
      bytes.push(Buffer.from(body.slice(i, end)))
      i = end
      continue
    }
    const read = readEscape(body, i + 1, quote)
    if (read === null) return { wrong: `unknown escape sequence ${JSON.stringify(body.slice(i, i + 2))}` }
    bytes.push(read.bytes)
    i = read.next
  }
  const whole = Buffer.concat(bytes)
  if (!isUtf8(whole)) return { wrong: 'string literal is not valid UTF-8' }
  return { value: whole.toString('utf8') }
}

const readEscape = (body: string, at: number, quote: string): { bytes: Buffer; next: number } | null => {
  const c = body[at] ?? ''
  if ((c === '"' || c === "'") && c !== quote) return null
  const plain = simple[c]
  if (plain !== undefined) return { bytes: Buffer.from(plain), next: at + 1 }
  const octal = /^[0-3][0-7]{2}/.exec(body.slice(at, at + 3))
  if (octal) return { bytes: Buffer.from([Number.parseInt(octal[0], 8)]), next: at + 3 }
  const width = digits[c]
  if (width === undefined) return null
  const hex = body.slice(at + 1, at + 1 + width)
  if (hex.length < width || !/^[0-9a-fA-F]+$/.test(hex)) return null
  const code = Number.parseInt(hex, 16)
  if (c !== 'x' && (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))) return null
  const bytes = c === 'x' ? Buffer.from([code]) : Buffer.from(String.fromCodePoint(code))
  return { bytes, next: at + 1 + width }
}
