// Go's literals in a template: quoted and raw strings, characters, integers and floats.
import { readGoString } from '../go-string.ts'
import type { Source } from './ast.ts'
import type { Token } from './lexer.ts'
import { templateError } from './template-error.ts'

const unescaped = (source: Source, token: Token): string => {
  const read = readGoString(token.text)
  if ('wrong' in read) throw templateError(source, token.at + read.at, `${read.wrong} in ${token.text}`)
  return read.value
}

export const stringValue = (source: Source, token: Token): string =>
  token.text.startsWith('`') ? token.text.slice(1, -1).replaceAll('\r', '') : unescaped(source, token)

/** A character is an integer, as in Go. */
export const charValue = (source: Source, token: Token): bigint => {
  const text = unescaped(source, token)
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
