// Go's literals in a template: quoted and raw strings, characters, integers and floats.
import type { Source } from './ast.ts'
import type { Token } from './lexer.ts'
import { templateError } from './template-error.ts'

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

/** Undoes Go's escapes; bytes written as \x or octal are put together as UTF-8. */
const unescaped = (source: Source, token: Token, quote: string): string => {
  const body = token.text.slice(1, -1)
  const bytes: Buffer[] = []
  for (let i = 0; i < body.length; ) {
    const fail = (): never => {
      throw templateError(source, token.at + 1 + i, `unknown escape in ${token.text}`)
    }
    if (body[i] !== '\\') {
      const char = String.fromCodePoint(body.codePointAt(i)!)
      bytes.push(Buffer.from(char))
      i += char.length
      continue
    }
    const rest = body.slice(i + 1)
    const code = /^(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(rest)
    if (code) {
      const [whole, hex, octal, u4, u8] = code
      if (hex !== undefined) bytes.push(Buffer.of(Number.parseInt(hex, 16)))
      else if (octal !== undefined) {
        const byte = Number.parseInt(octal, 8)
        if (byte > 255) fail()
        bytes.push(Buffer.of(byte))
      } else {
        const point = Number.parseInt((u4 ?? u8)!, 16)
        if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) fail()
        bytes.push(Buffer.from(String.fromCodePoint(point)))
      }
      i += 1 + whole.length
      continue
    }
    const char = simple[rest[0] ?? '']
    if (char === undefined || (rest[0] !== quote && (rest[0] === '"' || rest[0] === "'"))) fail()
    bytes.push(Buffer.from(char!))
    i += 2
  }
  return Buffer.concat(bytes).toString('utf8')
}

export const stringValue = (source: Source, token: Token): string =>
  token.text.startsWith('`') ? token.text.slice(1, -1).replaceAll('\r', '') : unescaped(source, token, '"')

/** A character is an integer, as in Go. */
export const charValue = (source: Source, token: Token): bigint => {
  const text = unescaped(source, token, "'")
  const chars = [...text]
  if (chars.length !== 1) throw templateError(source, token.at, `malformed character ${token.text}`)
  return BigInt(text.codePointAt(0)!)
}

/** An integer literal is a bigint, a float literal a number: Go prints 1000000 and 1e+06 differently. */
export const numberValue = (source: Source, token: Token): number | bigint => {
  const text = token.text.replaceAll('_', '')
  const sign = text.startsWith('-') ? -1n : 1n
  const digits = text.replace(/^[+-]/, '')
  try {
    if (/^0[xXbBoO]/.test(digits)) return sign * BigInt(digits.toLowerCase())
    if (/^0[0-7]+$/.test(digits)) return sign * BigInt(`0o${digits.slice(1)}`)
    if (/^\d+$/.test(digits)) return sign * BigInt(digits)
  } catch (cause) {
    throw templateError(source, token.at, `bad number ${token.text}`, cause)
  }
  const value = Number(text)
  if (Number.isNaN(value)) throw templateError(source, token.at, `bad number ${token.text}`)
  return value
}
