// Understands one SQL statement as far as an HTTP front must: what kind, which format and settings, which parameters, where data begins.
import { isWord, SqlError, skipBlank, type Token, tokenAt, tokensOf, unquote } from './tokens.ts'

export interface Read {
  readonly kind: 'read'
  /** First word in capitals: SELECT, SHOW, CREATE … */
  readonly verb: string
  /** Without a final FORMAT clause, its settings and semicolon. */
  readonly sql: string
  readonly format: string | null
  /** `a = 1, b = 2` of a SETTINGS clause after FORMAT, '' when there is none. */
  readonly settings: string
  /** Names set anywhere in the statement's own SETTINGS clauses. */
  readonly ownSettings: ReadonlySet<string>
  readonly params: ReadonlySet<string>
  readonly tokens: readonly Token[]
}

export interface Insert {
  readonly kind: 'insert'
  readonly verb: 'INSERT'
  /** `INSERT INTO t (a, b)`. */
  readonly head: string
  readonly settings: string
  readonly ownSettings: ReadonlySet<string>
  readonly params: ReadonlySet<string>
  /** With data: the format they are in; `dataAt` is where they start in the text. Null for INSERT … SELECT, whose query is `select`. */
  readonly format: string | null
  readonly dataAt: number
  readonly select: string
}

export type Statement = Read | Insert

const fail = (message: string, code = 62): SqlError =>
  new SqlError(code, `${message}. (${code === 62 ? 'SYNTAX_ERROR' : 'NOT_IMPLEMENTED'})`)

/** Names of `{name:Type}` substitutions. */
const paramsOf = (tokens: readonly Token[]): Set<string> => {
  const names = new Set<string>()
  for (let i = 0; i + 2 < tokens.length; i++) {
    const opens = tokens[i]!.text === '{' && tokens[i]!.kind === 'mark'
    if (opens && tokens[i + 1]!.kind === 'word' && tokens[i + 2]!.text === ':') names.add(tokens[i + 1]!.text)
  }
  return names
}

/** Names of the substitutions in a piece of SQL. */
export const paramsIn = (sql: string): Set<string> => paramsOf(tokensOf(sql))

/** Names assigned in SETTINGS clauses: `SETTINGS a = 1, b = 2`. */
const settingsIn = (tokens: readonly Token[]): Set<string> => {
  const names = new Set<string>()
  tokens.forEach((token, i) => {
    if (!isWord(token, 'SETTINGS') && !(token.text === ',' && names.size > 0)) return
    if (tokens[i + 1]?.kind === 'word' && tokens[i + 2]?.text === '=') names.add(tokens[i + 1]!.text)
  })
  return names
}

const depths = (tokens: readonly Token[]): number[] => {
  let depth = 0
  return tokens.map((t) => {
    if (t.kind !== 'mark') return depth
    if ('([{'.includes(t.text)) return depth++
    if (')]}'.includes(t.text)) return --depth
    return depth
  })
}

const readStatement = (sql: string): Read => {
  const all = tokensOf(sql)
  const depth = depths(all)
  let count = all.length
  while (count > 0 && all[count - 1]!.text === ';') count--
  const tokens = all.slice(0, count)
  if (tokens.some((t, i) => t.kind === 'mark' && t.text === ';' && depth[i] === 0))
    throw fail('Multi-statements are not allowed')
  if (count === 0) throw fail('Empty query')
  const outfile = tokens.findIndex((t, i) => isWord(t, 'INTO') && isWord(tokens[i + 1], 'OUTFILE'))
  if (outfile >= 0) throw fail('INTO OUTFILE is not allowed over HTTP', 48)
  let cut = tokens.length
  let format: string | null = null
  let settings = ''
  for (let i = tokens.length - 2; i > 0; i--) {
    if (depth[i] !== 0 || !isWord(tokens[i], 'FORMAT')) continue
    const name = tokens[i + 1]!
    const after = tokens[i + 2]
    if ((name.kind !== 'word' && name.kind !== 'name') || (after && !isWord(after, 'SETTINGS'))) continue
    format = name.kind === 'name' ? unquote(name.text) : name.text
    if (after) settings = sql.slice(after.end, tokens.at(-1)!.end).trim()
    cut = i
    break
  }
  // A parenthesised query is a SELECT.
  const first = tokens.find((t) => t.text !== '(')
  return {
    kind: 'read',
    verb: first?.text.toUpperCase() ?? '',
    sql: sql.slice(tokens[0]!.start, tokens[cut - 1]!.end),
    format,
    settings,
    ownSettings: settingsIn(tokens),
    params: paramsOf(tokens),
    tokens,
  }
}

/** Where data start after `FORMAT X`: past blanks up to and with one line break. */
const dataStart = (sql: string, from: number): number => {
  let at = from
  while (at < sql.length && ' \t\f'.includes(sql[at]!)) at++
  if (sql[at] === ';') at++
  if (sql[at] === '\r') at++
  if (sql[at] === '\n') at++
  return at
}

interface Clauses {
  head: number
  settings: string
  names: Set<string>
}

const settingsClause = (sql: string, from: Token, into: Clauses): Token | null => {
  const tokens: Token[] = [from]
  let token = tokenAt(sql, from.end)
  const ends = (t: Token): boolean =>
    ['VALUES', 'FORMAT', 'SELECT', 'WITH', 'FROM'].some((w) => isWord(t, w)) || t.text === '('
  while (token && !ends(token)) {
    tokens.push(token)
    token = tokenAt(sql, token.end)
  }
  into.settings = sql.slice(from.end, tokens.at(-1)!.end).trim()
  into.names = settingsIn(tokens)
  return token
}

const pastParens = (sql: string, open: Token): number => {
  let depth = 0
  for (let t: Token | null = open; t; t = tokenAt(sql, t.end)) {
    if (t.kind === 'mark' && t.text === '(') depth++
    if (t.kind === 'mark' && t.text === ')' && --depth === 0) return t.end
  }
  throw fail('Syntax error: a bracket is not closed')
}

const opensSelect = (sql: string, token: Token): boolean => {
  let t: Token | null = token
  while (t && t.text === '(') t = tokenAt(sql, t.end)
  return isWord(t, 'SELECT') || isWord(t, 'WITH')
}

const insertStatement = (sql: string, insert: Token): Insert => {
  let token = tokenAt(sql, insert.end)
  if (isWord(token, 'INTO')) token = tokenAt(sql, token!.end)
  if (isWord(token, 'TABLE')) token = tokenAt(sql, token!.end)
  if (isWord(token, 'FUNCTION')) token = tokenAt(sql, token!.end)
  // The table's own name may be any word: it is taken before clauses are looked for.
  if (!token) throw fail('Syntax error: INSERT names no table')
  const found: Clauses = { head: token.end, settings: '', names: new Set() }
  token = tokenAt(sql, token.end)
  const params = (from: number): Set<string> => paramsOf(tokensOf(sql.slice(insert.start, from)))
  const whole = (format: string | null, dataAt: number, select: string): Insert => ({
    kind: 'insert',
    verb: 'INSERT',
    head: sql.slice(insert.start, found.head),
    settings: found.settings,
    ownSettings: found.names,
    params: select ? paramsOf(tokensOf(sql.slice(insert.start))) : params(found.head),
    format,
    dataAt,
    select,
  })
  while (token) {
    if (isWord(token, 'SETTINGS')) {
      token = settingsClause(sql, token, found)
      continue
    }
    if (isWord(token, 'VALUES')) return whole('Values', token.end, '')
    if (isWord(token, 'FORMAT')) {
      const name = tokenAt(sql, token.end)
      if (!name || (name.kind !== 'word' && name.kind !== 'name'))
        throw fail('Syntax error: FORMAT names no format')
      const next = tokenAt(sql, name.end)
      if (isWord(next, 'SETTINGS')) throw fail('Syntax error: put SETTINGS before FORMAT in an INSERT')
      return whole(name.kind === 'name' ? unquote(name.text) : name.text, dataStart(sql, name.end), '')
    }
    if (isWord(token, 'FROM')) throw fail('INSERT FROM INFILE is not allowed over HTTP', 48)
    if (isWord(token, 'SELECT') || isWord(token, 'WITH') || (token.text === '(' && opensSelect(sql, token))) {
      const read = readStatement(sql.slice(token.start))
      if (read.settings) found.settings = [found.settings, read.settings].filter(Boolean).join(', ')
      for (const name of read.ownSettings) found.names.add(name)
      return whole(null, sql.length, read.sql)
    }
    found.head = token.text === '(' ? pastParens(sql, token) : token.end
    token = tokenAt(sql, found.head)
  }
  throw fail('Syntax error: INSERT has neither VALUES, FORMAT nor SELECT')
}

/** Reads one statement; throws SqlError (62 for syntax and multi-statements, 48 for what HTTP does not carry). */
export const parseStatement = (sql: string): Statement => {
  const first = tokenAt(sql, skipBlank(sql, 0))
  if (!first) throw fail('Empty query')
  return isWord(first, 'INSERT') ? insertStatement(sql, first) : readStatement(sql)
}
