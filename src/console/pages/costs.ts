// Costs: do we stay inside? Spent against budgets with where it will end, by agent and model, the dearest traces, models without a price.
import { html } from 'hono/html'
import { periodAround } from '../../lib/calendar.ts'
import { duration } from '../../lib/time.ts'
import type { Summary, UnpricedModel } from '../../model/ports/cost-reports.ts'
import type { TraceSum } from '../../model/ports/money-reader.ts'
import { count, percent, unknown, usd } from '../format.ts'
import { guarded } from '../guarded.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, type Html, head, state, time } from '../parts.ts'
import { budgetRow } from './now-fleet.ts'

const patience = duration(10_000)
const shown = 20
const holds = 'Budgets are watched from the counters all the same.'

const month = ({ picture }: PageContext) => periodAround('monthly', picture.now, 'UTC')
const today = ({ picture }: PageContext) => periodAround('daily', picture.now, 'UTC')
const signal = ({ doors }: PageContext): AbortSignal => doors.clock.timeout(patience)

/** Sums of the running month, or of another period. */
const sums = (
  context: PageContext,
  by: 'agent' | 'model' | 'provider',
  period = month(context),
): Promise<Summary> =>
  context.doors.costs.summary(
    { fromAt: period.startAt, toAt: context.picture.now, by: [by], limit: 200 },
    signal(context),
  )

/** Where a period ends in a straight line; null while too little of it has passed to say. */
const projected = (spent: number, period: ReturnType<typeof month>, now: number): number | null => {
  const share = (now - period.startAt) / (period.endAt - period.startAt)
  return share < 0.02 ? null : spent / Math.min(share, 1)
}

const nothing = empty(
  'Nothing has cost anything this month.',
  'Model calls are priced from their spans and token counters as they arrive; bills come in with airboss costs import.',
  html`<a class="button" href="/ingest">Where to send</a>`,
)

const spentPanel = (context: PageContext): Promise<Html> =>
  guarded(context, 'spent', 'Spent', holds, async () => {
    const { picture: p, doors } = context
    const [day, all] = await Promise.all([sums(context, 'agent', today(context)), sums(context, 'agent')])
    const budgets = doors.budgets()
    const spent = Number(all.total.usd)
    const soFar = Number(day.total.usd)
    if (spent === 0 && budgets.length === 0) return { body: nothing }
    const end = projected(spent, month(context), p.now)
    const dayEnd = projected(soFar, today(context), p.now)
    const failed = Number(all.total.failedUsd)
    return {
      body: html`<div class="figures two"><div><b class="num">${usd(soFar)}</b><span>today (UTC)${dayEnd === null ? '' : html`, <span class="num">${usd(dayEnd)}</span> by midnight`}</span></div><div><b class="num">${usd(spent)}</b><span>in ${month(context).label}${end === null ? '' : html`, <span class="num">${usd(end)}</span> by its end`}</span></div></div>
<p class="note">Projections are straight lines. ${failed > 0 && spent > 0 ? `${usd(failed)} (${percent(failed / spent)}) went into calls that failed.` : ''}</p>
${budgets.length > 0 ? html`<div class="scroll" tabindex="0"><table class="plain"><thead><tr><th scope="col">Budget</th><th scope="col" class="r">Spent</th><th scope="col" class="r">Projected</th><th scope="col" class="r">Limit</th></tr></thead><tbody>${budgets.map(budgetRow)}</tbody></table></div>` : html`<p class="note">No budget is set: nobody is told when this grows.</p>`}`,
    }
  })

const money = (text: string): string => usd(Number(text))

const agentsPanel = (context: PageContext): Promise<Html> =>
  guarded(context, 'cost-agents', 'Agents', holds, async () => {
    const { rows } = await sums(context, 'agent')
    if (rows.length === 0) return { body: nothing }
    const sorted = [...rows].sort(
      (a, b) => (b.inclusiveUsd ?? 0) - (a.inclusiveUsd ?? 0) || Number(b.usd) - Number(a.usd),
    )
    return {
      body: html`<div class="scroll" tabindex="0"><table class="plain"><thead><tr><th scope="col">Agent</th><th scope="col" class="r">Itself</th><th scope="col" class="r">With all beneath</th><th scope="col" class="r">Retried</th></tr></thead><tbody>${sorted
        .slice(0, shown)
        .map(
          (r) =>
            html`<tr><th scope="row">${r.group['agent'] || 'nobody named'}<span class="note">${r.calls > 0 ? `${count(r.calls)} calls` : ''}</span></th><td class="r num">${money(r.usd)}</td><td class="r num">${r.inclusiveUsd ? usd(r.inclusiveUsd) : unknown}</td><td class="r num">${r.retriedUsd ? usd(r.retriedUsd) : unknown}</td></tr>`,
        )}</tbody></table></div><p class="note">With all beneath: sub-agents, tools and retries too, so a dollar may stand at several agents. The first column adds up.</p>`,
      options: { aside: 'this month' },
    }
  })

const groupPanel = (
  context: PageContext,
  by: 'model' | 'provider',
  id: string,
  title: string,
): Promise<Html> =>
  guarded(context, id, title, holds, async () => {
    const { rows, total } = await sums(context, by)
    if (rows.length === 0) return { body: nothing }
    const whole = Number(total.usd)
    // What has no price costs something all the same: it is not known what.
    const unpriced = new Set(context.doors.costs.unpriced().map((m) => m[by]))
    const known = (r: (typeof rows)[number]): boolean =>
      Number(r.usd) !== 0 || !unpriced.has(r.group[by] ?? '')
    return {
      body: html`<div class="scroll" tabindex="0"><table class="plain"><thead><tr><th scope="col">${title}</th><th scope="col" class="r">Spent</th><th scope="col" class="r">Share</th></tr></thead><tbody>${rows
        .slice(0, shown)
        .map(
          (r) =>
            html`<tr><th scope="row">${r.group[by] || 'none'}</th><td class="r num">${known(r) ? money(r.usd) : unknown}</td><td class="r num">${whole > 0 && known(r) ? percent(Number(r.usd) / whole) : unknown}</td></tr>`,
        )}</tbody></table></div>`,
      options: { aside: 'this month' },
    }
  })

const traceRow = (t: TraceSum, now: PageContext['picture']['now']): Html =>
  html`<tr><th scope="row"><a class="mono" href="/traces?id=${t.traceId}">${t.traceId.slice(0, 8)}…</a><span class="note">${t.agents.filter(Boolean).join(', ')}</span></th><td class="r num">${count(t.calls)}</td><td class="r num">${time(t.at, now)}</td><td class="r num">${money(t.usd)}</td></tr>`

const tracesPanel = (context: PageContext): Promise<Html> =>
  guarded(context, 'cost-traces', 'Dearest traces', holds, async () => {
    const { doors, picture: p } = context
    const query = { fromAt: today(context).startAt, toAt: p.now, limit: 10 }
    const traces = await doors.costs.topTraces(query, signal(context))
    if (traces.length === 0)
      return {
        body: empty(
          'No trace has cost anything today.',
          'Traces stand here when spans of model calls carry usage.',
        ),
      }
    return {
      body: html`<div class="scroll" tabindex="0"><table class="plain"><thead><tr><th scope="col">Trace</th><th scope="col" class="r">Calls</th><th scope="col" class="r">Began</th><th scope="col" class="r">Cost</th></tr></thead><tbody>${traces.map((t) => traceRow(t, p.now))}</tbody></table></div>`,
      options: { aside: 'today' },
    }
  })

const mend = (m: UnpricedModel): Html =>
  html`<tr><th scope="row"><span class="mono">${m.model || 'no model named'}</span><span class="note">${m.provider || 'no provider named'}</span></th><td class="r num">${count(m.tokens)}</td></tr>`

/** Models whose tokens cost nothing here for want of a price, with how to give them one. */
export const unpricedPanel = (context: PageContext): Promise<Html> =>
  guarded(context, 'unpriced', 'Models without a price', holds, async () => {
    const models = context.doors.costs.unpriced()
    if (models.length === 0)
      return {
        body: empty(
          'Every model that was seen has a price.',
          'From the built-in list, or your own under prices.',
        ),
      }
    return {
      body: html`<p>${state('warn', 'Their tokens count as nothing')}</p><div class="scroll" tabindex="0"><table class="plain"><thead><tr><th scope="col">Model</th><th scope="col" class="r">Tokens</th></tr></thead><tbody>${models.slice(0, shown).map(mend)}</tbody></table></div><p class="note">Name each under <code>prices.models</code> with <code>input_mtok</code> and <code>output_mtok</code>, or name a price map under <code>prices.files</code>, and restart.</p>`,
      options: { aside: `${models.length}` },
    }
  })

export const costsPage: Page = {
  key: 'costs',
  path: '/costs',
  title: 'Costs',
  scripts: [],
  pieces: (c) => [
    ['spent', spentPanel(c)],
    ['cost-agents', agentsPanel(c)],
    ['cost-models', groupPanel(c, 'model', 'cost-models', 'Model')],
    ['cost-providers', groupPanel(c, 'provider', 'cost-providers', 'Provider')],
    ['cost-traces', tracesPanel(c)],
    ['unpriced', unpricedPanel(c)],
  ],
  layout: (piece) =>
    html`${head('Costs', 'Do we stay inside, and who spends it?')}<div class="grid"><div class="col">${piece('spent')}${piece('cost-agents')}${piece('cost-traces')}</div><div class="col">${piece('cost-models')}${piece('cost-providers')}${piece('unpriced')}</div></div>`,
}
