// A querier that answers from a script, and a stage on which rules run under a clock moved by hand.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { type Duration, duration, type Instant } from '../../src/lib/time.ts'
import type { Alert } from '../../src/model/alert.ts'
import { isStaleAt, wordsOf } from '../../src/model/batch.ts'
import { type Labels, labelsOf, printLabels } from '../../src/model/labels.ts'
import type { Querier } from '../../src/model/ports/querier.ts'
import type { Value } from '../../src/model/result.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createRules, type Rules, type RulesDeps } from '../../src/rules/rules.ts'
import { FakeClock } from './clock.ts'
import { fakeMetrics } from './metrics.ts'

export type Elements = readonly (readonly [labels: Record<string, string>, value: number])[]
/** What an expression answers at a time; an Error is thrown, 'hang' never answers. */
export type Script = Record<string, (at: Instant) => Elements | Value | Error | 'hang'>

const vectorOf = (at: Instant, elements: Elements): Value => ({
  kind: 'vector',
  at,
  labels: elements.map(([l]): Labels => labelsOf(l)),
  values: Float64Array.from(elements, ([, v]) => v),
})

const scriptedQuerier = (script: Script): Querier & { readonly asked: string[] } => {
  const asked: string[] = []
  return {
    asked,
    check: (expr) => {
      if (expr.startsWith('bad ')) throw new AppError('bad_data', `1:5: unexpected ${expr.slice(4)}`)
      return { type: 'vector', text: expr, selectors: [[{ name: '__name__', op: '=', value: expr }]] }
    },
    instant: async (expr, at) => {
      asked.push(expr)
      const answer = script[expr]?.(at) ?? []
      if (answer === 'hang') return new Promise(() => {})
      if (answer instanceof Error) throw answer
      const value = 'kind' in answer ? answer : vectorOf(at, answer)
      return { value, warnings: [], infos: [] }
    },
    range: async () => {
      throw new Error('rules ask no range queries')
    },
  }
}

export interface RuleStage {
  readonly clock: FakeClock
  readonly rules: Rules
  readonly sent: Alert[][]
  /** Written samples: `series at value`, with times in seconds since the start; `stale` for a stale marker. */
  readonly written: string[]
  readonly metrics: ReturnType<typeof fakeMetrics>
  readonly script: Script
  readonly asked: string[]
  failSink: Error | null
  failAlerts: Error | null
  /** A fresh manager over the same files, clock and state: a restart. */
  restart(): Promise<RuleStage>
}

export const startAt = Date.parse('2026-01-01T00:00:00Z')

export interface StageOptions {
  readonly deps?: Partial<RulesDeps>
  readonly clock?: FakeClock
  readonly stateFile?: string | null
  readonly interval?: Duration
}

/** Rules over `script`, with the files applied and started. */
export const ruleStage = async (
  script: Script,
  files: Record<string, string>,
  options: StageOptions = {},
): Promise<RuleStage> => {
  const clock = options.clock ?? new FakeClock(startAt)
  const stateFile =
    options.stateFile === undefined
      ? join(mkdtempSync(join(tmpdir(), 'rules-')), 'rules.json')
      : options.stateFile
  const table = new SeriesTable(100_000)
  const querier = scriptedQuerier(script)
  const metrics = fakeMetrics()
  const texts = Object.entries(files).map(([file, text]) => ({ file, text }))
  const rules: Rules = createRules({
    querier,
    clock,
    table,
    metrics,
    stateFile,
    log: silentLogger(),
    externalLabels: {},
    externalURL: () => 'http://airboss.example',
    evaluationInterval: options.interval ?? duration(60_000),
    sink: {
      push: async (batch) => {
        if (stage.failSink) throw stage.failSink
        const words = wordsOf(batch.value)
        for (let i = 0; i < batch.ref.length; i++) {
          const value = isStaleAt(words, i) ? 'stale' : String(batch.value[i])
          stage.written.push(
            `${printLabels(table.labels(batch.ref[i]!))} ${(batch.at[i]! - startAt) / 1000} ${value}`,
          )
        }
      },
    },
    alerts: {
      push: async (alerts) => {
        if (stage.failAlerts) throw stage.failAlerts
        stage.sent.push([...alerts])
      },
    },
    ...options.deps,
  })
  const stage: RuleStage = {
    clock,
    rules,
    metrics,
    script,
    asked: querier.asked,
    sent: [],
    written: [],
    failSink: null,
    failAlerts: null,
    restart: async () => {
      await rules.drain()
      return ruleStage(script, files, { ...options, clock, stateFile })
    },
  }
  await rules.apply(texts)
  await rules.start()
  return stage
}
