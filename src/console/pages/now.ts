// Now: is something wrong, who has it, what has Airboss done about it, what does it cost, can I trust the data?
import { html } from 'hono/html'
import type { Escalation } from '../../model/ports/on-call.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, face, type Html, icon, link, panel, state, time } from '../parts.ts'
import type { Picture } from '../picture.ts'
import { alertRow } from './alert-list.ts'
import { decisionItem } from './decision-list.ts'
import { changesPanel, costPanel, fleetPanel } from './now-fleet.ts'
import { ingestPanel, machinePanel } from './now-machine.ts'
import { verdict } from './verdict.ts'

const shown = 8

const alertsPanel = ({ picture: p }: PageContext): Html => {
  const aside = `${p.firing.length} firing · ${p.pending.length} pending · ${p.quiet.length} silenced`
  const more = link('/alerts', 'All alerts')
  if (p.firing.length === 0)
    return panel(
      'alerts',
      'Firing',
      empty(
        'Nothing fires.',
        p.lookedAt === null
          ? 'No rule has looked yet.'
          : html`${p.rules} rules looked, the last ${time(p.lookedAt, p.now)}.`,
      ),
      { more },
    )
  const rest = p.firing.length - shown
  return panel(
    'alerts',
    'Firing',
    html`<ul class="alerts">${p.firing.slice(0, shown).map((a) => alertRow(a, p))}</ul>${rest > 0 ? html`<p class="note"><a href="/alerts">${rest} more</a></p>` : ''}`,
    { aside, more },
  )
}

interface Paged {
  readonly e: Escalation
  readonly page: Escalation['pages'][number]
}

/** Each person once, with the newest page; the unanswered first. */
const latestPages = (open: readonly Escalation[]): Paged[] => {
  const latest = new Map<string, Paged>()
  for (const e of open)
    for (const page of e.pages) {
      const known = latest.get(page.user)
      if (page.about === 'firing' && (!known || page.at > known.page.at)) latest.set(page.user, { e, page })
    }
  const answered = ({ e }: Paged): number => (e.status === 'open' ? 0 : 1)
  return [...latest.values()].sort((a, b) => answered(a) - answered(b) || b.page.at - a.page.at).slice(0, 4)
}

const answerOf = (e: Escalation, page: Paged['page'], p: Picture): Html => {
  if (e.acknowledgedBy === page.user) return state('ok', 'has it')
  if (page.state === 'failed') return state('crit', `could not be reached: ${page.why}`)
  if (e.status === 'open')
    return html`<span class="state warn">${icon('s-warn', '')}<span>no answer for ${time(page.at, p.now, 'age')}</span></span>`
  return html`<span class="state ok">${icon('s-ok', '')}<span>paged ${time(page.at, p.now)}</span></span>`
}

const personRow = (e: Escalation, page: Paged['page'], p: Picture): Html =>
  html`<li>${face(page.user)}<div><b>${page.user}</b> <span class="role">step ${page.step} of ${e.policy}</span>${answerOf(e, page, p)}</div></li>`

const oncallPanel = ({ picture: p }: PageContext): Html => {
  const more = link('/on-call', 'On call')
  if (p.escalations.length === 0)
    return panel(
      'people',
      'On call',
      empty('Nobody is being paged.', 'An escalation begins when an alert reaches an on-call receiver.'),
      { more },
    )
  const people = latestPages(p.escalations).map(({ e, page }) => personRow(e, page, p))
  const next = p.escalations.find((e) => e.nextAt !== null && e.nextAt > p.now)
  return panel(
    'people',
    'On call',
    html`<ul class="people">${people}</ul>${next?.nextAt ? html`<p class="alarm">${state('pending', 'Next step')} in <b class="num">${time(next.nextAt, p.now, 'until')}</b></p>` : ''}`,
    { more },
  )
}

const decisionsPanel = ({ doors, picture: p }: PageContext): Html => {
  const list = doors.decisions(5)
  const more = link('/decisions', 'All')
  if (list.length === 0)
    return panel(
      'decisions',
      'Decisions',
      empty(
        'Airboss has decided nothing yet.',
        p.actions.mode === 'live'
          ? 'Actions are live: what it decides is done.'
          : 'It runs dry: what it decides is written down, not done.',
      ),
      { more },
    )
  return panel(
    'decisions',
    'Decisions',
    html`<ol class="decisions">${list.map((d) => decisionItem(d, p.now))}</ol>`,
    {
      aside: html`<span class="live">live</span>`,
      more,
    },
  )
}

export const nowPage: Page = {
  key: 'now',
  path: '/',
  title: 'Now',
  scripts: [],
  pieces: (c) => [
    ['verdict', verdict(c.picture)],
    ['alerts', alertsPanel(c)],
    ['people', oncallPanel(c)],
    ['machine', machinePanel(c)],
    ['decisions', decisionsPanel(c)],
    ['fleet', fleetPanel(c)],
    ['ingest', ingestPanel(c)],
    ['changes', changesPanel(c)],
    ['cost', costPanel(c)],
  ],
  layout: (piece) =>
    html`${piece('verdict')}<div class="grid now"><div class="col">${['alerts', 'machine', 'fleet', 'changes'].map(piece)}</div><div class="col">${['people', 'decisions', 'ingest', 'cost'].map(piece)}</div></div>`,
}
