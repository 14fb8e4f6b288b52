// Runs promtool's test files over the real rule machinery: series in, evaluations by a made-up clock, alerts and samples compared.
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { durationSchema } from '../lib/config.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, formatDuration, instant, minute, plus } from '../lib/time.ts'
import { parseYaml, problemsError, problemsOf } from '../lib/yaml.ts'
import { type Labels, labelsKey, labelsOf, printLabels, withLabels } from '../model/labels.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import { noTracer } from '../model/ports/tracer.ts'
import { SeriesTable } from '../model/series.ts'
import type { AlertEntry } from './alerting.ts'
import { GroupRunner, type GroupRunnerDeps } from './group-runner.ts'
import { checkSample, parseHistogram, writeHistogram } from './histogram-notation.ts'
import { createMemorySeries, type MemorySeries } from './memory-series.ts'
import { asVector } from './recording.ts'
import { type RuleGroup, readRuleFile } from './rule-file.ts'
import { createRuleMetrics } from './rule-metrics.ts'
import type { RuleText } from './rules.ts'
import { parseSeries, parseValues } from './series-notation.ts'
import { flagSchema, listSchema, textSchema, textsSchema } from './yaml-text.ts'

const valueSchema = z.string().transform((v, ctx): number => {
  const value = Number(v.replace(/inf$/i, 'Infinity').replace(/^nan$/i, 'NaN'))
  if (Number.isNaN(value) && !/^nan$/i.test(v)) ctx.addIssue(`not a number: ${JSON.stringify(v)}`)
  return value
})

const testSchema = z.strictObject({
  name: textSchema.default(''),
  interval: durationSchema.default(minute),
  input_series: listSchema(z.strictObject({ series: textSchema, values: textSchema })),
  alert_rule_test: listSchema(
    z.strictObject({
      eval_time: durationSchema,
      alertname: textSchema,
      exp_alerts: listSchema(z.strictObject({ exp_labels: textsSchema, exp_annotations: textsSchema })),
    }),
  ),
  promql_expr_test: listSchema(
    z.strictObject({
      expr: textSchema,
      eval_time: durationSchema,
      exp_samples: listSchema(
        z.strictObject({
          labels: textSchema.default('{}'),
          value: valueSchema.default(0),
          histogram: textSchema.optional(),
        }),
      ),
    }),
  ),
  external_labels: textsSchema,
  external_url: textSchema.default(''),
})
/** promtool's unit test file, its scalars as text. */
const ruleTestFileSchema = z.strictObject({
  rule_files: listSchema(textSchema),
  evaluation_interval: durationSchema.default(minute),
  group_eval_order: listSchema(textSchema),
  fuzzy_compare: flagSchema.default(false),
  tests: listSchema(testSchema),
})
type TestFile = z.output<typeof ruleTestFileSchema>
type TestGroup = z.output<typeof testSchema>

export interface RuleTestDeps {
  /** A querier over the given series; PromQL is another room's. */
  makeQuerier(reader: SeriesReader): Querier
  /** The rule files that a pattern of `rule_files` names, relative to the test file. */
  loadRuleFiles(pattern: string, testFile: string): Promise<readonly RuleText[]>
  readonly clock: Clock
  readonly log: Logger
}

export interface RuleTestResult {
  readonly file: string
  readonly tests: number
  /** What differs, each a text of some lines; empty when all is well. */
  readonly failures: readonly string[]
}

const silentMetrics: Metrics = {
  counter: () => ({ add: () => {} }),
  gauge: () => ({ set: () => {} }),
  histogram: () => ({ observe: () => {} }),
}

const readTestFile = (text: string, file: string): TestFile => {
  const yaml = parseYaml(text, file, 'failsafe')
  const parsed = ruleTestFileSchema.safeParse(yaml.value || {})
  if (!parsed.success) throw problemsError(problemsOf(yaml, parsed.error))
  return parsed.data
}

/** Runs the test files one after another. A file that cannot be read or run is a failure of that file; nothing is thrown. */
export const runRuleTests = async (
  files: readonly RuleText[],
  deps: RuleTestDeps,
): Promise<RuleTestResult[]> => {
  const results: RuleTestResult[] = []
  for (const { file, text } of files) {
    try {
      const parsed = readTestFile(text, file)
      const rules = (await Promise.all(parsed.rule_files.map((p) => deps.loadRuleFiles(p, file)))).flat()
      const failures: string[] = []
      for (const test of parsed.tests) failures.push(...(await runTest(parsed, test, rules, deps)))
      results.push({ file, tests: parsed.tests.length, failures })
    } catch (error) {
      results.push({ file, tests: 0, failures: [messageOf(error)] })
    }
  }
  return results
}

const load = (test: TestGroup, series: MemorySeries): void => {
  for (const input of test.input_series) {
    const labels = parseSeries(input.series)
    for (const [i, step] of parseValues(input.values).entries())
      if (step !== 'none')
        series.add(
          labels,
          i * test.interval,
          step === 'stale' ? null : typeof step === 'object' ? checkSample(step) : step,
        )
  }
}

const ordered = (groups: RuleGroup[], order: readonly string[]): RuleGroup[] => {
  const rank = (g: RuleGroup): number => (order.includes(g.name) ? order.indexOf(g.name) : order.length)
  return groups.sort((a, b) => rank(a) - rank(b))
}

const runTest = async (
  file: TestFile,
  test: TestGroup,
  rules: readonly RuleText[],
  deps: RuleTestDeps,
): Promise<string[]> => {
  const table = new SeriesTable(1_000_000)
  const series = createMemorySeries(table)
  load(test, series)
  const querier = deps.makeQuerier(series)
  const interval = file.evaluation_interval
  const defaults = { interval, queryOffset: duration(0) }
  const groups = rules.flatMap((r) => readRuleFile(r.text, r.file, querier, defaults))
  const runnerDeps: GroupRunnerDeps = {
    ask: (expr, at, signal) => querier.instant(expr, at, signal),
    table,
    sink: series,
    alerts: { push: async () => {} },
    clock: deps.clock,
    log: deps.log,
    tracer: noTracer,
    metrics: createRuleMetrics(silentMetrics),
    externalLabels: test.external_labels,
    externalURL: () => test.external_url,
    sendTimeout: minute,
    outageTolerance: duration(0),
    forGracePeriod: duration(0),
    changed: async () => {},
  }
  const known = { alerts: new Map(), live: new Set<number>(), restored: true }
  const runners = ordered(groups, file.group_eval_order).map(
    (g) =>
      new GroupRunner(
        g,
        g.rules.map(() => known),
        runnerDeps,
      ),
  )
  const failures = await evaluate(runners, test, interval)
  for (const expr of test.promql_expr_test)
    failures.push(...(await checkExpr(expr, querier, file.fuzzy_compare)))
  const where = test.name === '' ? '' : `${test.name}: `
  return failures.map((f) => where + f)
}

const evaluate = async (
  runners: readonly GroupRunner[],
  test: TestGroup,
  interval: Duration,
): Promise<string[]> => {
  const failures: string[] = []
  const checks = test.alert_rule_test
  const lastAt = Math.max(
    0,
    ...checks.map((c) => c.eval_time),
    ...test.promql_expr_test.map((c) => c.eval_time),
  )
  const said = new Set<string>()
  for (let at = instant(0); at <= lastAt; at = plus(at, interval)) {
    for (const runner of runners) await runner.evaluate(at)
    for (const rule of runners.flatMap((r) => r.rules)) {
      const { lastError } = rule.state()
      if (lastError === '' || said.has(rule.identity)) continue
      said.add(rule.identity)
      failures.push(`rule ${rule.rule.name}, time ${formatDuration(duration(at))}: ${lastError}`)
    }
    for (const check of checks)
      if (check.eval_time >= at && check.eval_time < at + interval)
        failures.push(...checkAlerts(check, runners))
  }
  return failures
}

interface Shown {
  readonly key: string
  readonly text: string
}
const shown = (labels: Labels, annotations: Readonly<Record<string, string>>): Shown => ({
  key: labelsKey(labels),
  text: `${printLabels(labels)} ${printLabels(labelsOf(annotations))}`,
})
const byKey = (a: Shown, b: Shown): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
const lines = (all: readonly string[]): string =>
  all.length === 0 ? ' nothing' : all.map((t) => `\n      ${t}`).join('')

const checkAlerts = (
  check: TestGroup['alert_rule_test'][number],
  runners: readonly GroupRunner[],
): string[] => {
  const rules = runners
    .flatMap((r) => r.rules)
    .filter((r) => r.rule.kind === 'alerting' && r.rule.name === check.alertname)
  const firing = rules.flatMap((r) => [...r.alerts.values()]).filter((a: AlertEntry) => a.state === 'firing')
  const got = firing.map((a) => shown(a.labels, a.annotations)).sort(byKey)
  const expected = check.exp_alerts
    .map((e) => shown(withLabels(labelsOf(e.exp_labels), { alertname: check.alertname }), e.exp_annotations))
    .sort(byKey)
  if (got.length === expected.length && got.every((g, i) => g.text === expected[i]!.text)) return []
  return [
    `alertname: ${check.alertname}, time: ${formatDuration(check.eval_time)}\n    exp:${lines(expected.map((e) => e.text))}\n    got:${lines(got.map((g) => g.text))}`,
  ]
}

const same = (a: number, b: number, fuzzy: boolean): boolean => {
  if (Object.is(a, b) || a === b) return true
  if (!fuzzy) return false
  return Math.abs(a - b) <= 1e-11 * Math.max(Math.abs(a), Math.abs(b))
}

type Tested = number | NativeHistogram

const sameAll = (a: readonly number[], b: readonly number[], fuzzy: boolean): boolean =>
  a.length === b.length && a.every((v, i) => same(v, b[i]!, fuzzy))

const sameTested = (a: Tested, b: Tested, fuzzy: boolean): boolean => {
  if (typeof a === 'number' || typeof b === 'number')
    return typeof a === 'number' && typeof b === 'number' && same(a, b, fuzzy)
  return (
    a.schema === b.schema &&
    sameAll(
      [a.count, a.sum, a.zeroThreshold, a.zeroCount],
      [b.count, b.sum, b.zeroThreshold, b.zeroCount],
      fuzzy,
    ) &&
    [a.positive, a.negative].every((side, i) => {
      const other = i === 0 ? b.positive : b.negative
      return sameAll(side.index, other.index, fuzzy) && sameAll(side.count, other.count, fuzzy)
    }) &&
    sameAll(a.bounds, b.bounds, fuzzy)
  )
}

const expectedHistogram = (text: string): NativeHistogram => {
  const m = /^\s*\{\{(.*)\}\}\s*$/s.exec(text)
  if (!m) throw new AppError('bad_data', `histogram: ${JSON.stringify(text)} is no {{field:value …}}`)
  return parseHistogram(m[1]!)
}

const checkExpr = async (
  check: TestGroup['promql_expr_test'][number],
  querier: Querier,
  fuzzy: boolean,
): Promise<string[]> => {
  const where = `expr: ${JSON.stringify(check.expr)}, time: ${formatDuration(check.eval_time)}`
  try {
    const answer = await querier.instant(check.expr, instant(check.eval_time), new AbortController().signal)
    const vector = asVector(answer.value)
    const got = vector.labels.map((labels, i) => ({
      key: labelsKey(labels),
      labels,
      value: vector.histograms?.[i] ?? vector.values[i]!,
    }))
    const expected = check.exp_samples.map((e) => {
      const labels = parseSeries(e.labels)
      return { key: labelsKey(labels), labels, value: e.histogram ? expectedHistogram(e.histogram) : e.value }
    })
    const show = (s: { labels: Labels; value: Tested }): string =>
      `${printLabels(s.labels)} ${typeof s.value === 'object' ? writeHistogram(s.value) : s.value}`
    const order = (a: { key: string }, b: { key: string }): number =>
      a.key < b.key ? -1 : a.key > b.key ? 1 : 0
    got.sort(order)
    expected.sort(order)
    const equal =
      got.length === expected.length &&
      got.every((g, i) => g.key === expected[i]!.key && sameTested(g.value, expected[i]!.value, fuzzy))
    if (equal) return []
    return [`${where}\n    exp:${lines(expected.map(show))}\n    got:${lines(got.map(show))}`]
  } catch (error) {
    return [`${where}: ${messageOf(error)}`]
  }
}
