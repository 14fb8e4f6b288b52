// The fleet and its money: an agent a row, its versions by their share of runs; what today costs.
import { html } from 'hono/html'
import { periodAround } from '../../lib/calendar.ts'
import { hour } from '../../lib/time.ts'
import type { Row } from '../ask.ts'
import { count, percent, seconds, unknown, usd } from '../format.ts'
import { guarded } from '../guarded.ts'
import type { PageContext } from '../pages.ts'
import { empty, type Html, panel, type State, spark, state, time } from '../parts.ts'

const asked = {
  rate: 'agent_version:gen_ai_invoke_agents:rate5m or agent_version:gen_ai_client_operations:rate5m',
  errors:
    'agent_version:gen_ai_invoke_agent_errors:ratio_rate5m or agent_version:gen_ai_client_operation_errors:ratio_rate5m',
  p95: 'agent_version:gen_ai_invoke_agent_duration_seconds:p95_5m or agent_version:gen_ai_client_operation_duration_seconds:p95_5m',
  cost: 'agent:airboss_cost_usd_per_hour:rate15m',
  line: '1 - avg by (gen_ai_agent_name) (agent_version:gen_ai_invoke_agent_errors:ratio_rate5m or agent_version:gen_ai_client_operation_errors:ratio_rate5m)',
}

interface Version {
  readonly name: string
  rate: number | null
  errors: number | null
  p95: number | null
  state: State
  note: string
}
interface Agent {
  readonly name: string
  owner: string
  cost: number | null
  readonly versions: Map<string, Version>
}

const agentOf = (labels: Row['labels']): string => labels['gen_ai_agent_name'] ?? labels['agent'] ?? ''

class Table {
  readonly agents = new Map<string, Agent>()
  agent(name: string): Agent {
    const known = this.agents.get(name)
    if (known) return known
    const made: Agent = { name, owner: '', cost: null, versions: new Map() }
    this.agents.set(name, made)
    return made
  }
  version(agent: string, name: string): Version {
    const { versions } = this.agent(agent)
    const known = versions.get(name)
    if (known) return known
    const made: Version = { name, rate: null, errors: null, p95: null, state: 'stale', note: '' }
    versions.set(name, made)
    return made
  }
  fill(rows: readonly Row[], field: 'rate' | 'errors' | 'p95'): void {
    for (const { labels, value } of rows) {
      const agent = agentOf(labels)
      if (agent && Number.isFinite(value))
        this.version(agent, labels['gen_ai_agent_version'] ?? '')[field] = value
    }
  }
}

const declared = ({ doors }: PageContext, table: Table): void => {
  for (const { deployment, problems } of doors.fleet()) {
    const agent = table.agent(deployment.agent)
    agent.owner ||= deployment.owner
    const v = table.version(deployment.agent, deployment.version)
    if (problems.length > 0) {
      v.state = 'warn'
      v.note = problems[0]!
    }
  }
  for (const r of doors.rollouts()) {
    const v = table.agent(r.agent).versions.get(r.version)
    if (!v) continue
    if (r.phase === 'rolled_back') Object.assign(v, { state: 'crit', note: 'rolled back' })
    else if (r.phase !== 'promoted')
      Object.assign(v, {
        state: r.phase === 'held' ? 'held' : 'pending',
        note: r.outcome === 'fail' ? 'canary, failing' : 'canary',
      })
  }
}

const alerting = ({ picture }: PageContext, table: Table): void => {
  for (const a of [...picture.firing].reverse()) {
    const agent = table.agents.get(a.labels['gen_ai_agent_name'] ?? a.labels['agent'] ?? '')
    if (!agent) continue
    const version = a.labels['gen_ai_agent_version'] ?? a.labels['version']
    for (const v of agent.versions.values())
      if (version === undefined || version === v.name)
        Object.assign(v, { state: a.state, note: a.summary || a.name })
  }
}

const cell = (v: Version, share: number | null): Html =>
  html`<span class="ver ${v.state}" style="--w:${Math.round((share ?? 0) * 100)}" title="${v.note}">${state(v.state, '')}<b class="mono">${v.name || 'no version'}</b><span class="ver-w num">${share === null ? '' : percent(share).replace('.0', '')}</span><span class="ver-n">${v.note || (v.state === 'stale' ? 'no data' : '')}</span></span>`

const rank: Readonly<Partial<Record<State, number>>> = { crit: 0, warn: 1, stale: 2, held: 3, pending: 4 }
const worst = (a: Agent): State =>
  [...a.versions.values()].map((v) => v.state).sort((x, y) => (rank[x] ?? 9) - (rank[y] ?? 9))[0] ?? 'stale'

const row = (a: Agent, line: readonly (number | null)[]): Html => {
  const versions = [...a.versions.values()]
  const total = versions.reduce((sum, v) => sum + (v.rate ?? 0), 0)
  const known = versions.some((v) => v.rate !== null)
  const errors =
    total > 0 ? versions.reduce((sum, v) => sum + (v.errors ?? 0) * (v.rate ?? 0), 0) / total : null
  const slow = versions.reduce<number | null>(
    (most, v) => (v.p95 === null ? most : Math.max(most ?? 0, v.p95)),
    null,
  )
  const tone = worst(a)
  return html`<tr class="${tone}"><th scope="row"><a href="/explore?expr=${encodeURIComponent(`agent_version:gen_ai_client_operation_errors:ratio_rate5m{gen_ai_agent_name=${JSON.stringify(a.name)}}`)}">${a.name}</a><span class="note">${a.owner ? html`${a.owner} · ` : ''}<a href="/traces?agent=${encodeURIComponent(a.name)}">traces</a></span></th>
<td class="vers"><div>${versions.map((v) => cell(v, total > 0 && v.rate !== null ? v.rate / total : null))}</div></td>
<td class="r num" data-l="runs/min">${known ? count(total * 60) : unknown}</td>
<td class="r num goal" data-l="success">${errors === null ? unknown : html`<b>${percent(1 - errors)}</b>`}</td>
<td class="r num" data-l="p95">${slow === null ? unknown : seconds(slow)}</td>
<td class="r num wide-only" data-l="$/h">${a.cost === null ? unknown : usd(a.cost)}</td>
<td class="sp">${spark(line, { label: `${a.name}: success over the last hour`, hi: 1, tone })}</td></tr>`
}

const most = 50

export const fleetPanel = (context: PageContext): Promise<Html> =>
  guarded(context, 'fleet', 'Fleet', 'Agents are judged by their rules all the same.', async () => {
    const { ask } = context
    const [rate, errors, p95, cost, lines] = await Promise.all([
      ask.instant(asked.rate),
      ask.instant(asked.errors),
      ask.instant(asked.p95),
      ask.instant(asked.cost),
      ask.range(asked.line, hour),
    ])
    const table = new Table()
    table.fill(rate, 'rate')
    table.fill(errors, 'errors')
    table.fill(p95, 'p95')
    for (const { labels, value } of cost)
      if (labels['agent'] && table.agents.has(labels['agent'])) table.agent(labels['agent']).cost = value
    for (const a of table.agents.values())
      for (const v of a.versions.values()) if (v.rate !== null) v.state = 'ok'
    declared(context, table)
    alerting(context, table)
    const agents = [...table.agents.values()].sort(
      (a, b) => (rank[worst(a)] ?? 9) - (rank[worst(b)] ?? 9) || a.name.localeCompare(b.name, 'en'),
    )
    if (agents.length === 0)
      return {
        body: empty(
          'No agents yet.',
          'An agent appears here when it reports by the OpenTelemetry GenAI conventions (gen_ai.agent.name) or is declared under deployments.',
          html`<a class="button" href="/ingest">Where to send</a>`,
        ),
      }
    const lineOf = new Map(lines.map((l) => [agentOf(l.labels), l.values]))
    const versions = agents.reduce((n, a) => n + a.versions.size, 0)
    const rest = agents.length - most
    return {
      body: html`<div class="scroll" tabindex="0"><table class="fleet"><thead><tr><th scope="col">Agent</th><th scope="col">Versions, by share of runs</th><th scope="col" class="r">Runs/min</th><th scope="col" class="r">Success</th><th scope="col" class="r">p95</th><th scope="col" class="r wide-only">$/h</th><th scope="col">Success, 1 h</th></tr></thead><tbody>${agents.slice(0, most).map((a) => row(a, lineOf.get(a.name) ?? []))}</tbody></table></div>${rest > 0 ? html`<p class="note">${rest} more, quieter ones, are not shown.</p>` : ''}`,
      options: {
        aside: `${agents.length} ${agents.length === 1 ? 'agent' : 'agents'} · ${versions} ${versions === 1 ? 'version' : 'versions'}`,
      },
    }
  })

export const budgetRow = (b: ReturnType<PageContext['doors']['budgets']>[number]): Html => {
  const ratio = b.spent === null ? null : b.spent / b.amount
  const over = b.projected !== null && b.projected > b.amount
  const tone: State = b.problem
    ? 'stale'
    : ratio === null
      ? 'stale'
      : ratio >= 1
        ? 'crit'
        : ratio >= 0.8 || over
          ? 'warn'
          : 'ok'
  return html`<tr><th scope="row">${state(tone, '')} ${b.name}<span class="note">${b.problem || b.period}</span></th><td class="r num">${b.spent === null ? unknown : usd(b.spent)}</td><td class="r num">${b.projected === null ? unknown : usd(b.projected)}</td><td class="r num">${usd(b.amount)}</td></tr>`
}

export const costPanel = (context: PageContext): Promise<Html> =>
  guarded(context, 'cost', 'Cost', 'Budgets are watched all the same.', async () => {
    const { ask, doors } = context
    const midnight = periodAround('daily', context.picture.now, 'UTC')
    const sinceMidnight = Math.max(60, Math.round((context.picture.now - midnight.startAt) / 1000))
    const [perHour, day, byAgent, today] = await Promise.all([
      ask.range('sum(rate(airboss_cost_usd_total[15m])) * 3600', hour),
      ask.instant('sum(increase(airboss_cost_usd_total[1d]))'),
      ask.instant('topk(5, sum by (agent) (increase(airboss_cost_usd_total[1d])))'),
      ask.instant(`sum(increase(airboss_cost_usd_total[${sinceMidnight}s]))`),
    ])
    const budgets = doors.budgets()
    if (day.length === 0 && budgets.length === 0)
      return {
        body: empty(
          'Nothing has cost anything yet.',
          'Tokens that agents report are priced as they arrive; set budgets to be told before money runs out.',
        ),
      }
    const now = perHour[0]?.values.findLast((v) => v !== null) ?? null
    const spent = today[0]?.value ?? null
    // A straight line from midnight says nothing in the first half hour.
    const line = spent === null || sinceMidnight < 1800 ? null : (spent * 86_400) / sinceMidnight
    return {
      body: html`<div class="figures two"><div><b class="num">${spent === null ? unknown : usd(spent)}</b><span>since midnight UTC${line === null ? '' : html`, <span class="num">${usd(line)}</span> by its end in a straight line`}</span></div><div><b class="num">${now === null ? unknown : usd(now)}</b><span>an hour, now</span>${spark(perHour[0]?.values ?? [], { label: 'cost an hour over the last hour', lo: 0 })}</div></div>
${budgets.length > 0 ? html`<div class="scroll" tabindex="0"><table class="plain"><thead><tr><th scope="col">Budget</th><th scope="col" class="r">Spent</th><th scope="col" class="r">Projected</th><th scope="col" class="r">Limit</th></tr></thead><tbody>${budgets.map(budgetRow)}</tbody></table></div>` : html`<p class="note">No budget is set: nobody is told when this grows.</p>`}
${byAgent.length > 0 ? html`<table class="plain"><thead><tr><th scope="col">Agent</th><th scope="col" class="r">24 h</th></tr></thead><tbody>${[...byAgent].sort((a, b) => b.value - a.value).map((r) => html`<tr><th scope="row">${r.labels['agent'] || 'not said'}</th><td class="r num">${usd(r.value)}</td></tr>`)}</tbody></table>` : ''}`,
    }
  })

const phases = { watching: 'pending', held: 'held', promoted: 'ok', rolled_back: 'crit' } as const
const phaseWords = {
  watching: 'watched',
  held: 'held',
  promoted: 'promoted',
  rolled_back: 'rolled back',
} as const

export const changesPanel = ({ doors, picture }: PageContext): Html => {
  const rollouts = doors.rollouts()
  const scalers = doors.scalers()
  if (rollouts.length === 0 && scalers.length === 0)
    return panel(
      'changes',
      'Rollouts and scaling',
      empty(
        'Nothing is being rolled out or scaled.',
        'Declare a deployment with a canary, or an autoscaler, and it is judged from here on.',
      ),
    )
  return panel(
    'changes',
    'Rollouts and scaling',
    html`<ul class="decisions">${rollouts.map(
      (r) =>
        html`<li class="decision">${state(phases[r.phase], '')}<div><p><b>${r.agent} ${r.version}</b> ${phaseWords[r.phase]} against ${r.baseline}</p><p class="note">${r.reason || (r.phase === 'watching' ? 'Not looked at yet.' : '')}</p>${r.lookedAt ? html`<p class="foot-note">looked ${time(r.lookedAt, picture.now)}</p>` : ''}</div></li>`,
    )}${scalers.map(
      (s) =>
        html`<li class="decision">${state(s.status === 'held' ? 'held' : s.status === 'waiting' ? 'stale' : s.status === 'scaling' ? 'pending' : 'ok', '')}<div><p><b>${s.agent}</b> ${s.current === null ? 'unknown' : s.current}${s.desired !== null && s.desired !== s.current ? html` → ${s.desired}` : ''} of ${s.min} to ${s.max} replicas</p><p class="note">${s.reason}</p>${s.checkedAt ? html`<p class="foot-note">looked ${time(s.checkedAt, picture.now)}</p>` : ''}</div></li>`,
    )}</ul>`,
  )
}
