// Runs load/eval scripts in promqltest's language against a querier.
import { messageOf } from '../../src/lib/errors.ts'
import { readGoString } from '../../src/lib/go-string.ts'
import { duration, instant, parseDuration } from '../../src/lib/time.ts'
import type { SeriesColumns } from '../../src/model/columns.ts'
import { type Labels, labelsKey, labelsOf, printLabels } from '../../src/model/labels.ts'
import type { NativeHistogram } from '../../src/model/native-histogram.ts'
import type { Querier } from '../../src/model/ports/querier.ts'
import type { Answer, Value } from '../../src/model/result.ts'
import { readNumber } from '../../src/query/literal.ts'
import { writeHistogram } from '../../src/rules/histogram-notation.ts'
import { parseValues } from '../../src/rules/series-notation.ts'
import type { Sample } from './memory-reader.ts'

export interface ScriptStore {
  add(labels: Labels, samples: readonly Sample[]): void | Promise<void>
  clear(): void | Promise<void>
}

type Point = number | NativeHistogram | 'stale' | null
interface Expected {
  readonly labels: Labels
  readonly values: readonly Point[]
}
interface Expectations {
  fail: boolean
  ordered: boolean
  messages: {
    kind: 'fail' | 'warn' | 'info' | 'no_warn' | 'no_info'
    test: (text: string) => boolean
    say: string
  }[]
}
export interface EvalCommand {
  readonly kind: 'eval'
  readonly line: number
  readonly expr: string
  readonly at: number
  readonly range: { readonly toAt: number; readonly step: number } | null
  readonly expect: Expectations
  readonly rows: readonly Expected[]
  readonly scalar: number | null
  readonly text: string | null
  /** The sample times of a range vector asked for by itself, when the script names them. */
  readonly times: { readonly at: number; readonly step: number } | null
}
export type Command =
  | {
      readonly kind: 'load'
      readonly line: number
      readonly step: number
      readonly rows: readonly Expected[]
    }
  | { readonly kind: 'clear'; readonly line: number }
  | EvalCommand

const time = (text: string): number => {
  const ms = text.startsWith('-') ? -(parseDuration(text.slice(1)) ?? Number.NaN) : parseDuration(text)
  const value = ms ?? Number(text) * 1000
  if (Number.isNaN(value)) throw new Error(`not a time: ${text}`)
  return value
}

const float = (text: string): number => {
  const m = /^([+-]?)(.+)$/.exec(text)
  const read = m ? readNumber(m[2]!) : null
  if (!read) throw new Error(`not a number: ${JSON.stringify(text)}`)
  return m![1] === '-' ? -read.value : read.value
}

/** `name{a="b"} rest` → its labels and the rest. */
export const readSeries = (line: string): { labels: Labels; rest: string } => {
  const head = /^([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*/.exec(line)!
  const record: Record<string, string> = {}
  if (head[1]) record['__name__'] = head[1]
  let rest = line.slice(head[0].length)
  if (/^\{(?!\{)/.test(rest)) {
    rest = rest.slice(1)
    const pair =
      /^\s*("(?:[^"\\]|\\.)*"|[a-zA-Z_][a-zA-Z0-9_.]*)\s*(?:=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)\s*)?,?/
    for (let m = pair.exec(rest); m; m = pair.exec(rest)) {
      const name = m[1]!.startsWith('"') ? quoted(m[1]!) : m[1]!
      if (m[2] === undefined) record['__name__'] = name
      else record[name] = quoted(m[2])
      rest = rest.slice(m[0].length)
    }
    if (!/^\s*\}/.test(rest)) throw new Error(`labels not closed in ${line}`)
    rest = rest.replace(/^\s*\}/, '')
  }
  return { labels: labelsOf(record), rest: rest.trim() }
}

/** `1 2 _ stale 0+10x5 _x3 1x4` → the points. */
export const readPoints = (text: string): Point[] => {
  const out: Point[] = []
  for (const [word] of text.matchAll(/\{\{[^}]*\}\}\S*?(?:[+-]\{\{[^}]*\}\})?(?:x\d+)?(?=\s|$)|\S+/g)) {
    if (word.startsWith('{{')) {
      for (const step of parseValues(word)) out.push(step === 'none' ? null : step)
      continue
    }
    const gap = /^_(?:x(\d+))?$/.exec(word)
    const run = /^([+-]?(?:[\d.]+(?:e[+-]?\d+)?|inf|nan))(?:([+-])([\d.]+(?:e[+-]?\d+)?))?x(\d+)$/i.exec(word)
    if (gap) for (let i = 0; i < Number(gap[1] ?? 1); i++) out.push(null)
    else if (word === 'stale') out.push('stale')
    else if (run) {
      const first = float(run[1]!)
      const by = run[2] ? float(run[2] + run[3]!) : 0
      // A run has its first value and so many after it.
      for (let i = 0, v = first; i <= Number(run[4]); i++, v += by) out.push(v)
    } else out.push(float(word))
  }
  return out
}

const matcherOf = (rest: string): ((text: string) => boolean) => {
  const m = /^(msg|regex)?\s*:\s*(.*)$/.exec(rest)
  if (!m) return () => true
  const wanted = m[2]!.trim()
  if (m[1] === 'regex') {
    const regex = new RegExp(wanted)
    return (text) => regex.test(text)
  }
  return (text) => text.includes(wanted)
}

const expectation = (into: Expectations, line: string): void => {
  const m = /^expect\s+(fail|warn|info|no_warn|no_info|ordered)\b\s*(.*)$/.exec(line)
  if (!m) throw new Error(`unknown expectation: ${line}`)
  const kind = m[1]!
  if (kind === 'ordered') into.ordered = true
  else if (
    kind === 'fail' ||
    kind === 'warn' ||
    kind === 'info' ||
    kind === 'no_warn' ||
    kind === 'no_info'
  ) {
    if (kind === 'fail') into.fail = true
    into.messages.push({ kind, test: matcherOf(m[2]!), say: line })
  }
}

const quoted = (raw: string): string => {
  const read = readGoString(raw)
  if ('wrong' in read) throw new Error(read.wrong)
  return read.value
}

const evalHead =
  /^eval(?:_(fail|warn|info|ordered))?\s+(instant|range)\s+(?:at\s+(\S+)|from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+))\s+(.+)$/

const readEval = (head: string, body: readonly string[], line: number): EvalCommand => {
  const m = evalHead.exec(head)
  if (!m) throw new Error(`line ${line}: cannot read ${head}`)
  const expect: Expectations = { fail: m[1] === 'fail', ordered: m[1] === 'ordered', messages: [] }
  if (m[1] === 'warn' || m[1] === 'info') expectation(expect, `expect ${m[1]}`)
  const rows: Expected[] = []
  let scalar: number | null = null
  let text: string | null = null
  let times: { at: number; step: number } | null = null
  for (const row of body) {
    const span = /^expect\s+range vector from (\S+) to (\S+) step (\S+)$/.exec(row)
    if (span) times = { at: time(span[1]!), step: time(span[3]!) }
    else if (/^expect\s+string\s/.test(row)) text = quoted(row.replace(/^expect\s+string\s+/, ''))
    else if (/^expect\s/.test(row)) expectation(expect, row)
    else if (/^expected_fail_(message|regexp)\s/.test(row)) {
      const [, how, rest] = /^expected_fail_(message|regexp)\s+(.*)$/.exec(row)!
      expectation(expect, `expect fail ${how === 'message' ? 'msg' : 'regex'}: ${rest}`)
    } else if (/^["'`]/.test(row)) text = quoted(row)
    else if (/^[+-]?(\d|\.\d|inf\b|nan\b)/i.test(row) && !row.includes('{')) scalar = float(row)
    else {
      const { labels, rest } = readSeries(row)
      rows.push({ labels, values: readPoints(rest) })
    }
  }
  const range = m[2] === 'range' ? { toAt: time(m[5]!), step: time(m[6]!) } : null
  return {
    kind: 'eval',
    line,
    expr: m[7]!,
    at: time(range ? m[4]! : m[3]!),
    range,
    expect,
    rows,
    scalar,
    text,
    times,
  }
}

/** Reads a script into commands. Lines of a block are indented; `#` begins a comment. */
export const readScript = (script: string): Command[] => {
  const commands: Command[] = []
  const lines = script.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const head = lines[i]!.trim()
    if (head === '' || head.startsWith('#')) continue
    const line = i + 1
    const body: string[] = []
    while (i + 1 < lines.length && /^\s+\S/.test(lines[i + 1]!)) {
      const row = lines[++i]!.trim()
      if (!row.startsWith('#')) body.push(row)
    }
    const load = /^load\s+(\S+)$/.exec(head)
    if (load) {
      const rows = body.map((row) => {
        const { labels, rest } = readSeries(row)
        return { labels, values: readPoints(rest) }
      })
      commands.push({ kind: 'load', line, step: time(load[1]!), rows })
    } else if (head === 'clear') commands.push({ kind: 'clear', line })
    else commands.push(readEval(head, body, line))
  }
  return commands
}

const close = (a: number, b: number): boolean => {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b)
  if (a === b) return true
  return (
    Math.abs(a - b) <= 1e-6 * Math.min(Math.abs(a) + Math.abs(b), Number.MAX_VALUE) ||
    Math.abs(a - b) < 1e-300
  )
}

const closeAll = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((v, i) => close(v, b[i]!))

/** Hints are compared where the script names one. */
const closeHistogram = (a: NativeHistogram, b: NativeHistogram): boolean =>
  a.schema === b.schema &&
  (a.hint === 'unknown' || a.hint === b.hint) &&
  close(a.count, b.count) &&
  close(a.sum, b.sum) &&
  close(a.zeroThreshold, b.zeroThreshold) &&
  close(a.zeroCount, b.zeroCount) &&
  closeAll(a.bounds, b.bounds) &&
  closeAll(a.positive.index, b.positive.index) &&
  closeAll(a.positive.count, b.positive.count) &&
  closeAll(a.negative.index, b.negative.index) &&
  closeAll(a.negative.count, b.negative.count)

type Got = number | NativeHistogram
const closeCell = (wanted: Got, got: Got | undefined): boolean => {
  if (typeof wanted === 'number') return typeof got === 'number' && close(wanted, got)
  return typeof got === 'object' && closeHistogram(wanted, got)
}
const cellText = (cell: Got | undefined): string =>
  typeof cell === 'object' ? writeHistogram(cell) : String(cell)

/** Floats and histograms of one series in the order of time. */
const points = (columns: SeriesColumns, i: number): { at: number; value: Got }[] => {
  const out: { at: number; value: Got }[] = []
  for (let k = columns.start[i]!; k < columns.end[i]!; k++)
    out.push({ at: columns.at[k]!, value: columns.value[k]! })
  const run = columns.histograms?.[i]
  run?.value.forEach((value, k) => {
    out.push({ at: run.at[k]!, value })
  })
  return out.sort((a, b) => a.at - b.at)
}

const flat = (value: Value): { labels: Labels; at: number[]; values: Got[] }[] => {
  if (value.kind === 'scalar') return [{ labels: [], at: [value.at], values: [value.value] }]
  if (value.kind === 'vector')
    return value.labels.map((labels, i) => ({
      labels,
      at: [value.at],
      values: [value.histograms?.[i] ?? value.values[i]!],
    }))
  if (value.kind === 'string') return []
  return value.labels.map((labels, i) => {
    const all = points(value, i)
    return { labels, at: all.map((p) => p.at), values: all.map((p) => p.value) }
  })
}

const show = (value: Value): string =>
  value.kind === 'string'
    ? JSON.stringify(value.value)
    : flat(value)
        .map((r) => `  ${printLabels(r.labels)} ${r.values.map(cellText).join(' ')}`)
        .join('\n') || '  (nothing)'

const compare = (command: EvalCommand, value: Value): string | null => {
  const { rows, expect } = command
  if (command.text !== null)
    return value.kind === 'string' && value.value === command.text ? null : 'another string'
  if (command.scalar !== null)
    return value.kind === 'scalar' && close(value.value, command.scalar) ? null : `expected ${command.scalar}`
  const got = flat(value)
  if (got.length !== rows.length) return `expected ${rows.length} rows, got ${got.length}`
  const byKey = new Map(got.map((r) => [labelsKey(r.labels), r]))
  if (byKey.size !== got.length) return 'the same labels come twice'
  for (const [i, row] of rows.entries()) {
    const found = expect.ordered ? got[i]! : byKey.get(labelsKey(row.labels))
    if (!found || labelsKey(found.labels) !== labelsKey(row.labels))
      return `no ${printLabels(row.labels)}${expect.ordered ? ` at place ${i}` : ''}`
    const wanted: { at: number; value: Got }[] = []
    row.values.forEach((v, t) => {
      if (v === null || v === 'stale') return
      const grid =
        command.times ??
        (command.range ? { at: command.at, step: command.range.step } : { at: command.at, step: 0 })
      wanted.push({ at: grid.at + t * grid.step, value: v })
    })
    if (value.kind === 'matrix' && !command.range && !command.times) {
      // A range vector asked for at an instant: values in order, times as they were.
      if (
        found.values.length !== wanted.length ||
        !wanted.every((w, t) => closeCell(w.value, found.values[t]))
      )
        return `${printLabels(row.labels)} differs`
      continue
    }
    if (found.values.length !== wanted.length)
      return `${printLabels(row.labels)}: expected ${wanted.length} points, got ${found.values.length}`
    for (const [t, w] of wanted.entries())
      if (w.at !== found.at[t] || !closeCell(w.value, found.values[t]))
        return `${printLabels(row.labels)}: expected ${cellText(w.value)} at ${w.at}, got ${cellText(found.values[t])} at ${found.at[t]}`
  }
  return null
}

const notesWrong = (expect: Expectations, answer: Answer): string | null => {
  for (const { kind, test, say } of expect.messages) {
    if (kind === 'fail') continue
    const notes = kind.endsWith('warn') ? answer.warnings : answer.infos
    if (kind.startsWith('no_') ? notes.length > 0 : !notes.some(test))
      return `${say}: got ${JSON.stringify(notes)}`
  }
  return null
}

/** Runs one eval; null when it is as expected, else what is not. */
export const runEval = async (command: EvalCommand, querier: Querier): Promise<string | null> => {
  const { signal } = new AbortController()
  const place = `line ${command.line}: ${command.expr}`
  let answer: Answer
  try {
    answer = command.range
      ? await querier.range(
          command.expr,
          {
            fromAt: instant(command.at),
            toAt: instant(command.range.toAt),
            step: duration(command.range.step),
          },
          signal,
        )
      : await querier.instant(command.expr, instant(command.at), signal)
  } catch (error) {
    if (!command.expect.fail) return `${place}: failed: ${messageOf(error)}`
    const wrong = command.expect.messages.find((m) => m.kind === 'fail' && !m.test(messageOf(error)))
    return wrong ? `${place}: ${wrong.say}: got ${messageOf(error)}` : null
  }
  if (command.expect.fail) return `${place}: should have failed, gave\n${show(answer.value)}`
  const wrong = compare(command, answer.value) ?? notesWrong(command.expect, answer)
  return wrong ? `${place}: ${wrong}\n${show(answer.value)}` : null
}

/** Runs a whole script; resolves with everything that was not as expected, and how many evals there were. */
export const runScript = async (
  script: string,
  store: ScriptStore,
  querier: Querier,
): Promise<{ wrong: string[]; evals: number }> => {
  const wrong: string[] = []
  let evals = 0
  for (const command of readScript(script)) {
    if (command.kind === 'clear') await store.clear()
    else if (command.kind === 'load')
      for (const { labels, values } of command.rows) {
        const samples = values.flatMap((value, i): Sample[] =>
          value === null ? [] : [{ at: i * command.step, value }],
        )
        await store.add(labels, samples)
      }
    else {
      evals++
      const problem = await runEval(command, querier)
      if (problem) wrong.push(problem)
    }
  }
  return { wrong, evals }
}
