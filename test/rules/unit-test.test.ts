// Our runner of promtool's test files, over a querier that knows plain selectors: what it loads, evaluates, compares and says.
import { expect, it } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { instant } from '../../src/lib/time.ts'
import { isStaleAt, wordsOf } from '../../src/model/batch.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { Querier } from '../../src/model/ports/querier.ts'
import type { SeriesReader } from '../../src/model/ports/series-reader.ts'
import { runRuleTests } from '../../src/rules/unit-test.ts'

/** The last sample within five minutes of every series of a name. */
const selectors = (reader: SeriesReader): Querier => ({
  check: (text) => ({ type: 'vector', text, selectors: [[{ name: '__name__', op: '=', value: text }]] }),
  instant: async (expr, at, signal) => {
    const labels: Labels[] = []
    const values: number[] = []
    const limits = { series: 1e6, samples: 1e6 }
    const matchers = [{ name: '__name__', op: '=' as const, value: expr }]
    const plan = {
      kind: 'scan' as const,
      matchers,
      fromAt: instant(at - 300_000),
      toAt: at,
      pick: 'last' as const,
      limits,
    }
    for await (const c of reader.read(plan, signal))
      for (const [i, l] of c.labels.entries()) {
        const last = c.end[i]! - 1
        if (isStaleAt(wordsOf(c.value), last)) continue
        labels.push(l)
        values.push(c.value[last]!)
      }
    return {
      value: { kind: 'vector', at, labels, values: Float64Array.from(values) },
      warnings: [],
      infos: [],
    }
  },
  range: () => Promise.reject(new Error('not asked')),
})

const rules = `
groups:
  - name: g
    rules:
      - record: rec
        expr: in
        labels: { version: 1.10 }
      - alert: Broken
        expr: in
        for: 2m
        labels: { severity: page }
        annotations: { summary: "{{ $labels.a }} at {{ $externalLabels.site }}" }
`
const test = (expected: string): string => `
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - name: story
    external_labels: { site: lab }
    input_series:
      - { series: 'in{a="x"}', values: 0x5 stale }
    alert_rule_test:
      - { eval_time: 1m, alertname: Broken }
      - eval_time: 3m30s
        alertname: Broken
        exp_alerts:
          - exp_labels: { a: x, severity: page }
            exp_annotations: { summary: ${expected} }
      - { eval_time: 10m, alertname: Broken }
    promql_expr_test:
      - expr: rec
        eval_time: 3m
        exp_samples: [{ labels: 'rec{a="x",version="1.10"}', value: 0 }]
      - { expr: rec, eval_time: 10m }
`
const run = (text: string) =>
  runRuleTests([{ file: 'a.test.yaml', text }], {
    makeQuerier: selectors,
    loadRuleFiles: async (pattern) => [{ file: pattern, text: rules }],
    clock: systemClock,
    log: silentLogger(),
  })

it('passes what is right: pending, firing, ended, recorded with labels as written', async () => {
  expect(await run(test('x at lab'))).toEqual([{ file: 'a.test.yaml', tests: 1, failures: [] }])
})

it('says what differs', async () => {
  const [result] = await run(test('y at lab'))
  expect(result?.failures).toEqual([
    [
      'story: alertname: Broken, time: 3m30s',
      '    exp:',
      '      {a="x", alertname="Broken", severity="page"} {summary="y at lab"}',
      '    got:',
      '      {a="x", alertname="Broken", severity="page"} {summary="x at lab"}',
    ].join('\n'),
  ])
})

it('reports a file it cannot read, with line and key', async () => {
  const [result] = await run('tests:\n  - input_serie: []\n')
  expect(result?.failures).toEqual([
    'a.test.yaml:2: tests[0].input_serie: unknown key; check its spelling, or remove it',
  ])
})
