// Where one line of an exposition splits: the series' text, and the pairs in it.

export type Format = 'text' | 'openmetrics'

/** What is wrong with a line, in words. */
export class LineError extends Error {
  override readonly name = 'LineError'
}

const space = 32
const tab = 9
const quote = 34
const backslash = 92
const open = 123
const close = 125
const comma = 44
const equals = 61

export const isBlank = (c: number): boolean => c === space || c === tab

/** The end of the series text that starts at `from`: after its closing brace, or after its bare name. */
export const seriesEnd = (text: string, from: number, to: number): number => {
  let i = from
  while (i < to) {
    const c = text.charCodeAt(i)
    if (c === open) return braceEnd(text, i + 1, to)
    if (isBlank(c)) {
      // `name {a="b"}` has blanks before the brace.
      let j = i
      while (j < to && isBlank(text.charCodeAt(j))) j++
      return text.charCodeAt(j) === open && j < to ? braceEnd(text, j + 1, to) : i
    }
    i++
  }
  return i
}

const braceEnd = (text: string, from: number, to: number): number => {
  let quoted = false
  for (let i = from; i < to; i++) {
    const c = text.charCodeAt(i)
    if (quoted) {
      if (c === backslash) i++
      else if (c === quote) quoted = false
    } else if (c === quote) quoted = true
    else if (c === close) return i + 1
  }
  throw new LineError('the braces of the labels are not closed')
}

/** Undoes `\\`, `\"` and `\n`; any other escape stays as it is written. */
const unescaped = (text: string): string =>
  text.includes('\\') ? text.replace(/\\([\\"n])/g, (_, c: string) => (c === 'n' ? '\n' : c)) : text

const bareMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const bareLabel = /^[a-zA-Z_][a-zA-Z0-9_]*$/

class Cursor {
  readonly text: string
  at: number
  constructor(text: string, at: number) {
    this.text = text
    this.at = at
  }
  skip(): number {
    while (isBlank(this.text.charCodeAt(this.at))) this.at++
    return this.text.charCodeAt(this.at)
  }
  /** A quoted text; the cursor stands on its opening quote. */
  quoted(): string {
    const from = ++this.at
    for (; this.at < this.text.length; this.at++) {
      const c = this.text.charCodeAt(this.at)
      if (c === backslash) this.at++
      else if (c === quote) return unescaped(this.text.slice(from, this.at++))
    }
    throw new LineError('a quote is not closed')
  }
  word(stop: (c: number) => boolean): string {
    const from = this.at
    while (this.at < this.text.length && !stop(this.text.charCodeAt(this.at))) this.at++
    return this.text.slice(from, this.at)
  }
}

const endsName = (c: number): boolean => c === equals || c === comma || c === close || isBlank(c)

/** The labels of a series text (`name{a="b"}`, `{"utf-8.name", a="b"}`), the name as `__name__`. Throws LineError. */
export const readSeries = (text: string): Map<string, string> => {
  const labels = new Map<string, string>()
  const cursor = new Cursor(text, 0)
  const bare = cursor.word((c) => c === open || isBlank(c))
  if (bare !== '') {
    if (!bareMetric.test(bare)) throw new LineError(`${JSON.stringify(bare)} is no metric name`)
    labels.set('__name__', bare)
  }
  if (cursor.skip() === open) readBraces(cursor, labels)
  if (!labels.get('__name__')) throw new LineError('the metric has no name')
  return labels
}

const readBraces = (cursor: Cursor, labels: Map<string, string>): void => {
  cursor.at++
  for (;;) {
    let c = cursor.skip()
    if (c === close) return
    const isQuoted = c === quote
    const name = isQuoted ? cursor.quoted() : cursor.word(endsName)
    c = cursor.skip()
    if (c === equals) {
      if (!isQuoted && !bareLabel.test(name)) throw new LineError(`${JSON.stringify(name)} is no label name`)
      cursor.at++
      if (cursor.skip() !== quote) throw new LineError(`the value of label ${name} is not quoted`)
      if (labels.has(name)) throw new LineError(`label ${name} stands twice`)
      labels.set(name, cursor.quoted())
      c = cursor.skip()
    } else if (isQuoted && !labels.has('__name__')) labels.set('__name__', name)
    else throw new LineError(`label ${JSON.stringify(name)} has no value`)
    if (c === comma) cursor.at++
    else if (c !== close) throw new LineError('a comma or a closing brace is missing between labels')
  }
}
