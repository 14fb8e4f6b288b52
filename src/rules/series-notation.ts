// The notation of promtool's test files: series (`name{label="value"}`) and their values (`0+10x5 _x2 stale`).
import { AppError } from '../lib/errors.ts'
import { type Labels, labelsOf } from '../model/labels.ts'
import { added } from '../model/native-arithmetic.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import { parseHistogram } from './histogram-notation.ts'

const bad = (text: string, why: string): AppError =>
  new AppError('bad_data', `${JSON.stringify(text)}: ${why}`)

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
}
const unquote = (quoted: string, whole: string): string =>
  quoted.startsWith('`')
    ? quoted.slice(1, -1)
    : quoted.slice(1, -1).replace(/\\(.)/gs, (_, c: string) => {
        const char = escapes[c]
        if (char === undefined) throw bad(whole, `unknown escape \\${c}`)
        return char
      })

const quotedText = '"(?:[^"\\\\]|\\\\.)*"|\'(?:[^\'\\\\]|\\\\.)*\'|`[^`]*`'
const pairPattern = new RegExp(
  `^\\s*(?:(${quotedText})|([a-zA-Z_][a-zA-Z0-9_.]*))\\s*(?:=\\s*(${quotedText}))?\\s*(,|$)`,
)

/** Labels of `name{a="b"}`, `{__name__="name"}`, `{"name", a="b"}`. Throws `bad_data`. */
export const parseSeries = (text: string): Labels => {
  const found = /^\s*([^{\s]*)\s*(?:\{(.*)\})?\s*$/s.exec(text)
  if (!found) throw bad(text, 'not a series; write name{label="value"}')
  const [, name = '', inner = ''] = found
  const labels: Record<string, string> = {}
  if (name !== '') labels['__name__'] = name
  let rest = inner.trim()
  while (rest !== '') {
    const pair = pairPattern.exec(rest)
    if (!pair) throw bad(text, `not a label: ${rest}`)
    const [whole, quoted, bare, value] = pair
    const key = quoted === undefined ? bare! : unquote(quoted, text)
    if (value !== undefined) labels[key] = unquote(value, text)
    else if (quoted !== undefined) labels['__name__'] = key
    else throw bad(text, `label ${key} has no value`)
    rest = rest.slice(whole.length).trim()
  }
  return labelsOf(labels)
}

/** One step of a series: a value, no sample, or its end. */
export type Step = number | NativeHistogram | 'none' | 'stale'

const number = '[+-]?(?:\\d+\\.?\\d*(?:[eE][+-]?\\d+)?|\\.\\d+(?:[eE][+-]?\\d+)?|[Ii]nf|[Nn]a[Nn])'
const sequence = new RegExp(`^(${number})(?:([+-])(${number.replace('[+-]?', '')}))?(?:x(\\d+))?$`)
/** More steps than this are a slip of the pen. */
const most = 1_000_000

const numberOf = (text: string): number =>
  /inf$/i.test(text)
    ? text.startsWith('-')
      ? Number.NEGATIVE_INFINITY
      : Number.POSITIVE_INFINITY
    : Number(text)

const histograms = /^\{\{([^}]*)\}\}(?:([+-])\{\{([^}]*)\}\})?(?:x(\d+))?$/

/** `{{…}}`, `{{…}}xn`, `{{…}}+{{…}}xn`: as for numbers. */
const histogramSteps = (word: string, text: string): Step[] => {
  const found = histograms.exec(word)
  if (!found) throw bad(text, `${JSON.stringify(word)} is no histogram; write {{field:value …}}`)
  const by = found[3] === undefined ? null : parseHistogram(found[3])
  const times = Number(found[4] ?? 0)
  if (times > most) throw bad(text, `more than ${most} values`)
  const steps: Step[] = []
  let value = parseHistogram(found[1]!)
  for (let i = 0; ; i++) {
    steps.push(value)
    if (i >= times) return steps
    if (!by) continue
    const next = added(value, by, found[2] === '-' ? -1 : 1)
    if (!next) throw bad(text, 'custom and exponential buckets cannot be added')
    value = { ...next.value, hint: value.hint }
  }
}

const words = /\{\{[^}]*\}\}(?:[+-]\{\{[^}]*\}\})?[^\s{]*|\S+/g

/** `a+bxn` is a, a+b … a+n·b (n+1 values); `axn` n+1 times a; `_` no sample, `_xn` n of them; `stale` the end. Throws `bad_data`. */
export const parseValues = (text: string): Step[] => {
  const steps: Step[] = []
  for (const [word] of text.matchAll(words)) {
    if (word.startsWith('{{')) {
      steps.push(...histogramSteps(word, text))
      if (steps.length > most) throw bad(text, `more than ${most} values`)
      continue
    }
    if (word === 'stale') {
      steps.push('stale')
      continue
    }
    const gap = /^_(?:x(\d+))?$/.exec(word)
    const found = sequence.exec(word)
    const times = Number(gap?.[1] ?? found?.[4] ?? (gap ? 1 : 0))
    if (!gap && !found) throw bad(text, `${JSON.stringify(word)} is neither a value nor a+bxn, _ or stale`)
    if (steps.length + times > most) throw bad(text, `more than ${most} values`)
    if (gap) for (let i = 0; i < times; i++) steps.push('none')
    else if (found) {
      const first = numberOf(found[1]!)
      const by = found[3] === undefined ? 0 : numberOf(found[3]) * (found[2] === '-' ? -1 : 1)
      let value = first
      // Added up step by step, as promtool does, so that rounding agrees.
      for (let i = 0; i <= times; i++, value += by) steps.push(value)
    }
  }
  return steps
}
