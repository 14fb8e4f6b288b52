// Rules: every group with its rules, whether they can be evaluated, what they found and how long it took.
import { html } from 'hono/html'
import type { AlertingRuleState, RecordingRuleState, RuleGroupState } from '../../model/rule-group.ts'
import { count, length, seconds, unknown } from '../format.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, type Html, head, panel, type State, state, time } from '../parts.ts'
import type { Picture } from '../picture.ts'

type Rule = AlertingRuleState | RecordingRuleState

const stateOf = (r: Rule): { shape: State; word: string } => {
  if (r.health === 'err') return { shape: 'crit', word: 'fails' }
  if (r.lastEvaluationAt === null) return { shape: 'stale', word: 'not looked yet' }
  if (r.type === 'recording') return { shape: 'ok', word: 'records' }
  if (r.state === 'firing')
    return {
      shape: ['critical', 'page'].includes(r.labels['severity'] ?? '') ? 'crit' : 'warn',
      word: `${r.alerts.filter((a) => a.state === 'firing').length} firing`,
    }
  if (r.state === 'pending') return { shape: 'pending', word: `${r.alerts.length} pending` }
  return { shape: 'ok', word: 'quiet' }
}

const ruleRow = (r: Rule, p: Picture): Html => {
  const { shape, word } = stateOf(r)
  return html`<tr><th scope="row" class="rule"><b>${r.name}</b><span class="note">${r.type === 'alerting' ? `alert${r.for > 0 ? `, for ${length(r.for)}` : ''}` : 'recorded series'}</span></th>
<td>${state(shape, word)}</td>
<td class="expr"><a href="/explore?expr=${encodeURIComponent(r.query)}&amp;range=1h"><code>${r.query}</code></a>${r.lastError ? html`<span class="why">${r.lastError}</span>` : ''}</td>
<td class="r num wide-only">${r.lastEvaluationAt === null ? unknown : time(r.lastEvaluationAt, p.now)}</td>
<td class="r num wide-only">${r.lastEvaluationAt === null ? unknown : seconds(r.evaluationTime / 1000)}</td></tr>`
}

const groupId = (i: number): string => `g-${i}`

const groupPanel = (g: RuleGroupState, i: number, p: Picture): Html => {
  const failing = g.rules.filter((r) => r.health === 'err').length
  const late = g.lastEvaluationAt !== null && p.now - g.lastEvaluationAt > 2 * g.interval + 10_000
  return panel(
    groupId(i),
    g.name,
    html`<p class="note">${g.file ? html`<span class="mono">${g.file}</span> · ` : ''}every ${length(g.interval)}${
      g.lastEvaluationAt === null
        ? ' · not looked yet'
        : html` · looked ${time(g.lastEvaluationAt, p.now)}, took ${seconds(g.evaluationTime / 1000)}`
    }${late ? html` · ${state('warn', 'late')}` : ''}</p><div class="scroll" tabindex="0"><table class="plain rules"><thead><tr><th scope="col">Rule</th><th scope="col">State</th><th scope="col">Expression</th><th scope="col" class="r wide-only">Last look</th><th scope="col" class="r wide-only">Took</th></tr></thead><tbody>${g.rules.map((r) => ruleRow(r, p))}</tbody></table></div>`,
    {
      aside: `${g.rules.length} ${g.rules.length === 1 ? 'rule' : 'rules'}`,
      more:
        failing > 0
          ? html`<span class="more-plain">${state('crit', `${failing} ${failing === 1 ? 'fails' : 'fail'}`)}</span>`
          : '',
    },
  )
}

const shown = 100

/** Failing groups first, then those that fire, then by file. */
const sorted = (p: Picture): RuleGroupState[] => {
  const weight = (g: RuleGroupState): number =>
    g.rules.some((r) => r.health === 'err')
      ? 0
      : g.rules.some((r) => r.type === 'alerting' && r.state === 'firing')
        ? 1
        : 2
  return [...p.groups].sort((a, b) => weight(a) - weight(b) || a.file.localeCompare(b.file, 'en'))
}

const summary = ({ picture: p }: PageContext): Html => {
  const rules = p.groups.flatMap((g) => g.rules)
  const alerting = rules.filter((r) => r.type === 'alerting')
  return html`<section class="panel" id="rules-sum" data-fragment aria-label="Summary"><div class="figures top"><div><b class="num">${count(alerting.length)}</b><span>alerting rules</span></div><div><b class="num">${count(rules.length - alerting.length)}</b><span>recording rules</span></div><div><b class="num">${count(p.broken)}</b><span>${p.broken > 0 ? state('crit', 'cannot be evaluated') : 'cannot be evaluated'}</span></div><div><b class="num">${p.lookedAt === null ? unknown : time(p.lookedAt, p.now)}</b><span>last look</span></div></div></section>`
}

const none = panel(
  'g-none',
  'Groups',
  empty(
    'No rules are loaded.',
    'Name rule files under rule_files, or leave it out for the packs that come with Airboss.',
  ),
)

export const rulesPage: Page = {
  key: 'rules',
  path: '/rules',
  title: 'Rules',
  scripts: [],
  pieces: (c) => [
    ['rules-sum', summary(c)],
    ...sorted(c.picture)
      .slice(0, shown)
      .map((g, i) => [groupId(i), groupPanel(g, i, c.picture)] as const),
  ],
  layout: (piece, { picture: p }) =>
    html`${head('Rules', 'What looks at the data, and whether it can.')}<div class="stack">${piece('rules-sum')}${
      p.groups.length === 0 ? none : p.groups.slice(0, shown).map((_, i) => piece(groupId(i)))
    }${p.groups.length > shown ? html`<p class="note">${p.groups.length - shown} more groups: <code>/api/v1/rules</code> has them all.</p>` : ''}</div>`,
}
