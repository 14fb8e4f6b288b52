// Cuts ClickHouse SQL into tokens, so that text inside strings, names and comments is never mistaken for SQL.

export interface Token {
  readonly kind: 'word' | 'name' | 'string' | 'number' | 'mark'
  /** As written; quoted names and strings with their quotes. */
  readonly text: string
  readonly start: number
  readonly end: number
}

/** SQL that no parser could read; `code` is ClickHouse's. */
export class SqlError extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const syntax = (sql: string, at: number, what: string): SqlError =>
  new SqlError(
    62,
    `Syntax error: failed at position ${at + 1} (${sql.slice(at, at + 30)}): ${what}. (SYNTAX_ERROR)`,
  )

const wordStart = /[A-Za-z_\u0080-\uffff]/
const wordEnd = /[A-Za-z0-9_$\u0080-\uffff]/
const space = /\s/
const digit = /[0-9]/

const pastQuoted = (sql: string, from: number): number => {
  const quote = sql[from]
  for (let i = from + 1; i < sql.length; i++) {
    if (sql[i] === '\\') i++
    else if (sql[i] === quote) {
      if (sql[i + 1] !== quote) return i + 1
      i++
    }
  }
  throw syntax(sql, from, 'the quote is not closed')
}

const pastComment = (sql: string, at: number): number => {
  const two = sql.slice(at, at + 2)
  if (two === '--' || two === '# ' || two === '#!') {
    const line = sql.indexOf('\n', at)
    return line < 0 ? sql.length : line + 1
  }
  if (two !== '/*') return at
  const close = sql.indexOf('*/', at + 2)
  if (close < 0) throw syntax(sql, at, 'the comment is not closed')
  return close + 2
}

/** Where the next token starts: past spaces and comments. */
export const skipBlank = (sql: string, from: number): number => {
  let at = from
  for (;;) {
    while (at < sql.length && space.test(sql[at]!)) at++
    const past = at < sql.length ? pastComment(sql, at) : at
    if (past === at) return at
    at = past
  }
}

const heredoc = /\$[A-Za-z0-9_]*\$/y

/** The token at or after `from`; null at the end. Throws SqlError where a quote, comment or heredoc is not closed. */
export const tokenAt = (sql: string, from: number): Token | null => {
  const start = skipBlank(sql, from)
  if (start >= sql.length) return null
  const c = sql[start]!
  const token = (kind: Token['kind'], end: number): Token => ({
    kind,
    text: sql.slice(start, end),
    start,
    end,
  })
  if (c === "'") return token('string', pastQuoted(sql, start))
  if (c === '`' || c === '"') return token('name', pastQuoted(sql, start))
  if (wordStart.test(c)) {
    let end = start + 1
    while (end < sql.length && wordEnd.test(sql[end]!)) end++
    return token('word', end)
  }
  if (digit.test(c)) {
    let end = start + 1
    while (end < sql.length && /[0-9A-Za-z_.]/.test(sql[end]!)) end++
    return token('number', end)
  }
  if (c === '$') {
    heredoc.lastIndex = start
    const open = heredoc.exec(sql)
    if (open) {
      const close = sql.indexOf(open[0], start + open[0].length)
      if (close < 0) throw syntax(sql, start, 'the heredoc is not closed')
      return token('string', close + open[0].length)
    }
  }
  return token('mark', start + 1)
}

export const tokensOf = (sql: string, from = 0): Token[] => {
  const out: Token[] = []
  for (let t = tokenAt(sql, from); t; t = tokenAt(sql, t.end)) out.push(t)
  return out
}

export const isWord = (token: Token | null | undefined, word: string): boolean =>
  token?.kind === 'word' && token.text.length === word.length && token.text.toUpperCase() === word

/** A text as a ClickHouse string literal. */
export const quote = (text: string): string => {
  const escaped = text.replace(/[\\']/g, (c) => `\\${c}`).replaceAll('\0', '\\0')
  return `'${escaped}'`
}
/** The text a string literal stands for, as far as names and numbers need it. */
export const unquote = (literal: string): string =>
  literal.slice(1, -1).replace(/\\(.)|(['"`])\2/gs, (_, escaped, doubled) => escaped ?? doubled)
