// Go's string literals, as PromQL, templates and matchers all write them.
import { isUtf8 } from 'node:buffer'

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
 * The value of a quoted literal (Go's escapes in double and single quotes, none in backquotes), or what is wrong with it and where in the text.
 * `\x` and octal escapes stand for bytes, which together must be UTF-8.
 */
export const readGoString = (raw: string): { value: string } | { wrong: string; at: number } => {
  const quote = raw[0]!
  if (raw.length < 2 || raw.at(-1) !== quote)
    return { wrong: 'string literal not terminated', at: raw.length }
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
    if (read === null)
      return { wrong: `unknown escape sequence ${JSON.stringify(body.slice(i, i + 2))}`, at: i + 1 }
    bytes.push(read.bytes)
    i = read.next
  }
  const whole = Buffer.concat(bytes)
  if (!isUtf8(whole)) return { wrong: 'string literal is not valid UTF-8', at: 0 }
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
