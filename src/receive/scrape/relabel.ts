// Prometheus relabelling: rules that rewrite, keep or drop a label set.
import { createHash } from 'node:crypto'
import { RE2JS } from 're2js'
import { z } from 'zod'
import { messageOf } from '../../lib/errors.ts'

const actions = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const

const ruleShape = z.strictObject({
  source_labels: z.array(z.string().min(1)).default([]),
  separator: z.string().default(';'),
  target_label: z.string().default(''),
  regex: z.union([z.string(), z.number(), z.boolean()]).transform(String).default('(.*)'),
  modulus: z.int().min(1).optional(),
  replacement: z
    .union([z.string(), z.number(), z.boolean(), z.null().transform(() => '')])
    .transform(String)
    .default('$1'),
  action: z
    .preprocess((v) => (typeof v === 'string' ? v.toLowerCase() : v), z.enum(actions))
    .default('replace'),
})

type RuleInput = z.output<typeof ruleShape>
export interface RelabelRule extends RuleInput {
  readonly compiled: RE2JS
}

const needsTarget: ReadonlySet<string> = new Set([
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
])

const defaults = { separator: ';', regex: '(.*)', replacement: '$1', target_label: '', modulus: undefined }

/** Keys that mean nothing to an action; Prometheus refuses them, so that a rule says what it does. */
const meaningless: Readonly<Partial<Record<RuleInput['action'], readonly (keyof typeof defaults)[]>>> = {
  lowercase: ['replacement'],
  uppercase: ['replacement'],
  keepequal: ['regex', 'modulus', 'separator', 'replacement'],
  dropequal: ['regex', 'modulus', 'separator', 'replacement'],
  labeldrop: ['target_label', 'modulus', 'separator', 'replacement'],
  labelkeep: ['target_label', 'modulus', 'separator', 'replacement'],
}

type Report = (key: string, message: string) => void

const checkRule = (rule: RuleInput, report: Report): void => {
  const { action } = rule
  if (needsTarget.has(action) && rule.target_label === '')
    report('action', `action ${action} needs target_label; say which label it writes`)
  if (action === 'hashmod' && rule.modulus === undefined)
    report('action', 'action hashmod needs modulus, a whole number of at least 1')
  for (const key of meaningless[action] ?? [])
    if (rule[key] !== defaults[key]) report(key, `means nothing to action ${action}; remove it`)
  if ((action === 'labeldrop' || action === 'labelkeep') && rule.source_labels.length > 0)
    report(
      'source_labels',
      `means nothing to action ${action}, which looks at the names of all labels; remove it`,
    )
  if (action === 'labelmap' && rule.replacement === '')
    report('replacement', 'is the name of the label that labelmap writes; it cannot be empty')
}

/** One entry of `relabel_configs` or `metric_relabel_configs`, its regular expression compiled (RE2, anchored). */
export const relabelRuleSchema = ruleShape.transform((rule, ctx): RelabelRule => {
  checkRule(rule, (key, message) => ctx.addIssue({ code: 'custom', path: [key], message }))
  let compiled = RE2JS.compile('')
  try {
    compiled = RE2JS.compile(`^(?s:${rule.regex})$`)
  } catch (error) {
    ctx.addIssue({
      code: 'custom',
      path: ['regex'],
      message: `${JSON.stringify(rule.regex)} is no RE2 expression: ${messageOf(error)}`,
    })
  }
  // Where a configuration is shown, the rule's text says it all.
  return { ...rule, compiled: Object.assign(compiled, { toJSON: () => undefined }) }
})

const expand = (template: string, found: ReturnType<RE2JS['matcher']>): string =>
  template.replace(/\$(?:\$|(\d+)|([A-Za-z_]\w*)|\{(\w+)\})/g, (whole, number, name, braced) => {
    if (whole === '$$') return '$'
    const key: string = number ?? name ?? braced
    try {
      return (/^\d+$/.test(key) ? found.group(Number(key)) : found.group(key)) ?? ''
    } catch {
      // Go expands a group that does not exist to nothing.
      return ''
    }
  })

/** The low 8 bytes of an MD5, big-endian, modulo `modulus`: Prometheus's hashmod. */
const hashmod = (text: string, modulus: number): string =>
  String(createHash('md5').update(text).digest().readBigUInt64BE(8) % BigInt(modulus))

const set = (labels: Map<string, string>, name: string, value: string): void => {
  if (value === '') labels.delete(name)
  else labels.set(name, value)
}

const replace = (labels: Map<string, string>, rule: RelabelRule, joined: string): void => {
  const found = rule.compiled.matcher(joined)
  if (!found.find()) return
  const target = expand(rule.target_label, found)
  if (target !== '') set(labels, target, expand(rule.replacement, found))
}

const byName = (labels: Map<string, string>, rule: RelabelRule): void => {
  for (const [name, value] of [...labels]) {
    const found = rule.compiled.matcher(name)
    const hit = found.find()
    if (rule.action === 'labeldrop' && hit) labels.delete(name)
    if (rule.action === 'labelkeep' && !hit) labels.delete(name)
    if (rule.action === 'labelmap' && hit) set(labels, expand(rule.replacement, found), value)
  }
}

const apply = (labels: Map<string, string>, rule: RelabelRule): boolean => {
  const joined = rule.source_labels.map((name) => labels.get(name) ?? '').join(rule.separator)
  switch (rule.action) {
    case 'keep':
      return rule.compiled.test(joined)
    case 'drop':
      return !rule.compiled.test(joined)
    case 'keepequal':
      return joined === (labels.get(rule.target_label) ?? '')
    case 'dropequal':
      return joined !== (labels.get(rule.target_label) ?? '')
    case 'replace':
      replace(labels, rule, joined)
      return true
    case 'lowercase':
      set(labels, rule.target_label, joined.toLowerCase())
      return true
    case 'uppercase':
      set(labels, rule.target_label, joined.toUpperCase())
      return true
    case 'hashmod':
      set(labels, rule.target_label, hashmod(joined, rule.modulus ?? 1))
      return true
    default:
      byName(labels, rule)
      return true
  }
}

/** Runs the rules in order on `labels`, changing it; false when a rule dropped it. */
export const relabel = (labels: Map<string, string>, rules: readonly RelabelRule[]): boolean => {
  for (const rule of rules) if (!apply(labels, rule)) return false
  return true
}
