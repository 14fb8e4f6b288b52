// Prometheus rule files as they are: read, checked, every problem with file and line.
import { z } from 'zod'
import { durationSchema } from '../lib/config.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { type Duration, duration } from '../lib/time.ts'
import { type Problem, parseYaml, problemsError, problemsOf, type YamlText } from '../lib/yaml.ts'
import type { Querier } from '../model/ports/querier.ts'
import { compileAlertTemplate } from './alert-template.ts'
import { listSchema, textSchema, textsSchema, wholeSchema } from './yaml-text.ts'

const ruleSchema = z.strictObject({
  record: textSchema.optional(),
  alert: textSchema.optional(),
  expr: textSchema,
  for: durationSchema.optional(),
  keep_firing_for: durationSchema.optional(),
  labels: textsSchema,
  annotations: textsSchema,
})
const groupSchema = z.strictObject({
  name: textSchema,
  interval: durationSchema.optional(),
  query_offset: durationSchema.optional(),
  limit: wholeSchema.default(0),
  labels: textsSchema,
  rules: listSchema(ruleSchema),
})
/** A rule file, its scalars as text; an empty one has no groups. */
const ruleFileSchema = z.strictObject({ groups: listSchema(groupSchema) })

type FileRule = z.output<typeof ruleSchema>

interface CheckedRule {
  readonly name: string
  readonly expr: string
  /** The expression as Prometheus prints it. */
  readonly text: string
  /** Metric names that the expression reads; null when a selector names none, so that it may read any. */
  readonly reads: ReadonlySet<string> | null
  /** The rule's labels with the group's behind them; values of an alerting rule are templates. */
  readonly labels: Readonly<Record<string, string>>
}
interface RecordingRule extends CheckedRule {
  readonly kind: 'recording'
}
export interface AlertingRule extends CheckedRule {
  readonly kind: 'alerting'
  readonly for: Duration
  readonly keepFiringFor: Duration
  readonly annotations: Readonly<Record<string, string>>
}
export type Rule = RecordingRule | AlertingRule

export interface RuleGroup {
  readonly file: string
  readonly name: string
  readonly interval: Duration
  readonly queryOffset: Duration
  /** At most this many alerts or series of one rule; 0 is no limit. */
  readonly limit: number
  readonly rules: readonly Rule[]
}

export interface RuleFileDefaults {
  readonly interval: Duration
  readonly queryOffset: Duration
}

const labelName = /^[^\p{Cc}\s"{}]+$/u

/** Collects what is wrong with one file. */
class Check {
  readonly problems: Problem[] = []
  readonly #yaml: YamlText
  readonly #querier: Pick<Querier, 'check'>
  constructor(yaml: YamlText, querier: Pick<Querier, 'check'>) {
    this.#yaml = yaml
    this.#querier = querier
  }

  add(path: readonly PropertyKey[], message: string): void {
    const place = path.reduce<string>(
      (t, k) => (typeof k === 'number' ? `${t}[${k}]` : t ? `${t}.${String(k)}` : String(k)),
      '',
    )
    this.problems.push({ file: this.#yaml.file, line: this.#yaml.lineOf(path), path: place, message })
  }

  labels(labels: Readonly<Record<string, string>>, path: readonly PropertyKey[], what: string): void {
    for (const name of Object.keys(labels))
      if (!labelName.test(name) || name === '__name__')
        this.add([...path, name], `invalid ${what} name ${JSON.stringify(name)}`)
  }

  templates(texts: Readonly<Record<string, string>>, path: readonly PropertyKey[]): void {
    for (const [name, value] of Object.entries(texts)) {
      try {
        compileAlertTemplate(value, name)
      } catch (error) {
        this.add([...path, name], messageOf(error))
      }
    }
  }

  rule(
    rule: FileRule,
    groupLabels: Readonly<Record<string, string>>,
    path: readonly PropertyKey[],
  ): Rule | null {
    const before = this.problems.length
    if ((rule.record ?? '') !== '' && (rule.alert ?? '') !== '')
      this.add(path, 'only one of record and alert may be set')
    else if ((rule.record ?? '') === '' && (rule.alert ?? '') === '')
      this.add(path, 'one of record and alert must be set')
    this.labels(rule.labels, [...path, 'labels'], 'label')
    if (rule.record !== undefined) this.#recording(rule, path)
    else {
      this.labels(rule.annotations, [...path, 'annotations'], 'annotation')
      this.templates({ ...rule.labels }, [...path, 'labels'])
      this.templates(rule.annotations, [...path, 'annotations'])
    }
    const checked = this.#expr(rule.expr, [...path, 'expr'])
    if (!checked || this.problems.length > before) return null
    const reads = checked.selectors.map((s) => s.find((m) => m.name === '__name__' && m.op === '=')?.value)
    const common: CheckedRule = {
      name: (rule.record ?? rule.alert)!,
      expr: rule.expr,
      text: checked.text,
      reads: reads.includes(undefined) ? null : new Set(reads as string[]),
      labels: { ...groupLabels, ...rule.labels },
    }
    if (rule.record !== undefined) return { kind: 'recording', ...common }
    return {
      kind: 'alerting',
      ...common,
      for: rule.for ?? duration(0),
      keepFiringFor: rule.keep_firing_for ?? duration(0),
      annotations: rule.annotations,
    }
  }

  #recording(rule: FileRule, path: readonly PropertyKey[]): void {
    if (Object.keys(rule.annotations).length > 0)
      this.add([...path, 'annotations'], 'annotations belong to alerts; remove them from this recording rule')
    if (rule.for !== undefined)
      this.add([...path, 'for'], 'for belongs to alerts; remove it from this recording rule')
    if (rule.keep_firing_for !== undefined)
      this.add(
        [...path, 'keep_firing_for'],
        'keep_firing_for belongs to alerts; remove it from this recording rule',
      )
    if (!labelName.test(rule.record ?? ''))
      this.add([...path, 'record'], `invalid metric name ${JSON.stringify(rule.record)}`)
  }

  #expr(expr: string, path: readonly PropertyKey[]): ReturnType<Querier['check']> | null {
    if (expr.trim() === '') {
      this.add(path, 'expr is empty')
      return null
    }
    try {
      return this.#querier.check(expr)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'bad_data') throw error
      this.add(path, messageOf(error))
      return null
    }
  }
}

/** Groups of one rule file; throws `bad_data` with every problem as `file:line: path: message`. */
export const readRuleFile = (
  source: string,
  file: string,
  querier: Pick<Querier, 'check'>,
  defaults: RuleFileDefaults,
): RuleGroup[] => {
  const yaml = parseYaml(source, file, 'failsafe')
  const parsed = ruleFileSchema.safeParse(yaml.value || {})
  if (!parsed.success) throw problemsError(problemsOf(yaml, parsed.error))
  const check = new Check(yaml, querier)
  const names = new Set<string>()
  const groups = parsed.data.groups.map((group, g): RuleGroup => {
    const path = ['groups', g]
    if (group.name === '') check.add([...path, 'name'], 'a group needs a name')
    if (names.has(group.name))
      check.add(
        [...path, 'name'],
        `a second group named ${JSON.stringify(group.name)} in this file; rename one`,
      )
    names.add(group.name)
    if (group.interval !== undefined && group.interval <= 0)
      check.add([...path, 'interval'], 'interval must be longer than 0')
    check.labels(group.labels, [...path, 'labels'], 'label')
    check.templates(group.labels, [...path, 'labels'])
    const rules = group.rules.map((rule, r) => check.rule(rule, group.labels, [...path, 'rules', r]))
    return {
      file,
      name: group.name,
      interval: group.interval ?? defaults.interval,
      queryOffset: group.query_offset ?? defaults.queryOffset,
      limit: group.limit,
      rules: rules.filter((r) => r !== null),
    }
  })
  if (check.problems.length > 0) throw problemsError(check.problems)
  return groups
}
