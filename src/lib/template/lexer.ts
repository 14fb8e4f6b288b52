// Cuts a template into text and the tokens of its actions.
import type { Offset, Source } from './ast.ts'
import { templateError } from './template-error.ts'

export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'space'
  | 'identifier'
  | 'field'
  | 'variable'
  | 'dot'
  | 'string'
  | 'number'
  | 'char'
  | 'pipe'
  | 'declare'
  | 'assign'
  | 'comma'
  | 'left'
  | 'right'
  | 'end'

export interface Token {
  readonly kind: TokenKind
  readonly text: string
  readonly at: Offset
}

const trimmable = /[ \t\r\n]/
const patterns: readonly [TokenKind, RegExp][] = [
  ['space', /[ \t\r\n]+/y],
  ['declare', /:=/y],
  ['assign', /=/y],
  ['pipe', /\|/y],
  ['comma', /,/y],
  ['left', /\(/y],
  ['right', /\)/y],
  ['string', /"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`/y],
  ['char', /'(?:[^'\\\n]|\\[^\n])+'/y],
  ['variable', /\$[\p{L}\p{N}_]*/uy],
  [
    'number',
    /[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)(?![\p{L}\p{N}_])/uy,
  ],
  ['field', /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ['dot', /\./y],
  ['identifier', /[\p{L}_][\p{L}\p{N}_]*/uy],
]

/** Where an opened comment's action ends: offset after `}}` and whether it trims. */
const comment = (source: Source, at: Offset, from: Offset): { next: Offset; trims: boolean } => {
  const end = source.text.indexOf('*/', from + 2)
  if (end < 0) throw templateError(source, at, 'comment is not closed; end it with */}}')
  const rest = /^(?:[ \t\r\n]+-)?\}\}/.exec(source.text.slice(end + 2))
  if (!rest) throw templateError(source, at, 'a comment must be closed by */}} right after it')
  return { next: end + 2 + rest[0].length, trims: rest[0].length > 2 }
}

const trimEnd = (text: string): string => {
  let n = text.length
  while (n > 0 && trimmable.test(text[n - 1]!)) n--
  return text.slice(0, n)
}

/** The tokens of one action from `start`; returns the offset after `}}` and whether it trims what follows. */
const action = (source: Source, start: Offset, tokens: Token[]): { next: Offset; trims: boolean } => {
  const { text } = source
  let at = start
  for (;;) {
    if (text.startsWith('}}', at)) {
      tokens.push({ kind: 'close', text: '}}', at })
      return { next: at + 2, trims: false }
    }
    if (closesWithTrim(text, at)) {
      const next = text.indexOf('}}', at) + 2
      tokens.push({ kind: 'close', text: '}}', at: next - 2 })
      return { next, trims: true }
    }
    if (at >= text.length) throw templateError(source, start - 2, 'action is not closed; end it with }}')
    const token = tokenAt(source, at)
    tokens.push(token)
    at += token.text.length
  }
}

const closesWithTrim = (text: string, at: Offset): boolean => {
  let n = at
  while (n < text.length && trimmable.test(text[n]!)) n++
  return n > at && text.startsWith('-}}', n)
}

const tokenAt = (source: Source, at: Offset): Token => {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = at
    const found = pattern.exec(source.text)
    if (found) return { kind, text: found[0], at }
  }
  const char = String.fromCodePoint(source.text.codePointAt(at)!)
  const why =
    char === '"' || char === '`'
      ? 'text in quotes is not closed'
      : `unexpected ${JSON.stringify(char)} in an action`
  throw templateError(source, at, why)
}

/** All tokens; the last is `end`. White space inside actions is kept as `space`, since `.a .b` and `.a.b` differ. */
export const lex = (source: Source): Token[] => {
  const { text } = source
  const tokens: Token[] = []
  let at = 0
  let trims = false
  for (;;) {
    const open = text.indexOf('{{', at)
    let plain = open < 0 ? text.slice(at) : text.slice(at, open)
    if (trims) plain = plain.slice(plain.length - trimStartLength(plain))
    const trimsBefore = open >= 0 && text[open + 2] === '-' && trimmable.test(text[open + 3] ?? '')
    if (trimsBefore) plain = trimEnd(plain)
    if (plain !== '') tokens.push({ kind: 'text', text: plain, at })
    if (open < 0) break
    const start = open + (trimsBefore ? 4 : 2)
    const inner = trimsBefore ? start + leading(text, start) : start
    if (text.startsWith('/*', inner)) ({ next: at, trims } = comment(source, open, inner))
    else {
      tokens.push({ kind: 'open', text: '{{', at: open })
      ;({ next: at, trims } = action(source, start, tokens))
    }
  }
  tokens.push({ kind: 'end', text: '', at: text.length })
  return tokens
}

const leading = (text: string, from: Offset): number => {
  let n = from
  while (n < text.length && trimmable.test(text[n]!)) n++
  return n - from
}
const trimStartLength = (text: string): number => text.length - leading(text, 0)
