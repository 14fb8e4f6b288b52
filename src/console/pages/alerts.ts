// Alerts: everything that fires, waits or is silenced, with the silences and the way to make one.
import { html } from 'hono/html'
import { printMatcher } from '../../model/matcher.ts'
import type { Silence } from '../../model/ports/alert-manager.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, type Html, head, panel, state, time } from '../parts.ts'
import type { AlertLine, Picture } from '../picture.ts'
import { alertRow } from './alert-list.ts'

const lengths = [
  ['30m', '30 min'],
  ['2h', '2 h'],
  ['8h', '8 h'],
  ['1d', '1 d'],
  ['3d', '3 d'],
] as const

const silenceForm = (matchers: string, open: string): Html =>
  html`<form class="row-form" method="post" action="/console/silence"><label class="inline grow">Silence what matches <input class="mono" name="matchers" required value="${matchers}" autocomplete="off" spellcheck="false"></label><label class="inline">for <select name="length">${lengths.map(([v, t]) => html`<option value="${v}">${t}</option>`)}</select></label><label class="inline grow">Why <input name="why" required maxlength="500" autocomplete="off"></label><input type="hidden" name="open" value="${open}"><button class="button">Silence</button></form>`

const matchersOf = (a: AlertLine): string =>
  Object.entries(a.labels)
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .map(([name, value]) => printMatcher({ name, op: '=', value }))
    .join(', ')

const labelList = (a: AlertLine): Html =>
  html`<dl class="labels">${Object.entries(a.labels)
    .filter(([k]) => k !== 'alertname')
    .map(([k, v]) => html`<div><dt>${k}</dt><dd>${v}</dd></div>`)}</dl>`

const acknowledge = (a: AlertLine): Html | string =>
  a.escalation?.status === 'open'
    ? html`<form method="post" action="/console/acknowledge"><input type="hidden" name="id" value="${a.escalation.id}"><input type="hidden" name="back" value="/alerts"><button class="button primary">Acknowledge</button></form>`
    : ''

const safeLink = (url: string): boolean => /^https?:\/\//i.test(url)

const detail = (a: AlertLine): Html =>
  html`<details class="alert-more" id="a-${a.id}"><summary><span class="sr">${a.name}: </span>More</summary>${a.description ? html`<p>${a.description}</p>` : ''}${labelList(a)}${
    a.expr
      ? html`<p class="note"><a href="/explore?expr=${encodeURIComponent(a.expr)}&amp;range=1h"><code>${a.expr}</code></a></p>`
      : ''
  }<div class="acts">${acknowledge(a)}${safeLink(a.runbook) ? html`<a class="button" href="${a.runbook}" rel="noreferrer">Runbook</a>` : a.runbook ? html`<span class="note">Runbook: ${a.runbook}</span>` : ''}</div>${
    a.phase === 'silenced'
      ? html`<p class="note">Silenced by ${a.silencedBy.join(', ')}</p>`
      : silenceForm(matchersOf(a), a.id)
  }</details>`

const shown = 200
const list = (lines: readonly AlertLine[], p: Picture): Html =>
  html`<ul class="alerts full">${lines.slice(0, shown).map((a) => html`<li class="alert-block"><ul class="alerts">${alertRow(a, p)}</ul>${detail(a)}</li>`)}</ul>${
    lines.length > shown
      ? html`<p class="note">${lines.length - shown} more are not shown; the API has them all: <code>/api/v2/alerts</code>.</p>`
      : ''
  }`

const firingPanel = ({ picture: p }: PageContext): Html =>
  panel(
    'firing',
    'Firing',
    p.firing.length > 0
      ? list(p.firing, p)
      : empty(
          'Nothing fires.',
          p.lookedAt === null
            ? 'No rule has looked yet.'
            : html`${p.rules} rules looked, the last ${time(p.lookedAt, p.now)}.`,
        ),
    { aside: p.firing.length > 0 ? 'worst first' : '' },
  )

const pendingPanel = ({ picture: p }: PageContext): Html =>
  panel(
    'pending',
    'Pending',
    p.pending.length > 0
      ? list(p.pending, p)
      : empty(
          'Nothing waits to fire.',
          'An alert waits here while its condition holds for less than its time.',
        ),
  )

const quietPanel = ({ picture: p }: PageContext): Html =>
  panel(
    'quiet',
    'Silenced and held back',
    p.quiet.length > 0
      ? list(p.quiet, p)
      : empty(
          'Nothing is kept quiet.',
          'Silences, other alerts and time intervals hold alerts back; those would be here.',
        ),
  )

const silenceRow = (s: Silence, p: Picture): Html =>
  html`<li>${state(s.state === 'active' ? 'idle' : 'pending', '')}<div><code>${s.matchers.map(printMatcher).join(', ')}</code><span class="note">${s.comment || 'no reason given'} · ${s.createdBy} · ${
    s.state === 'pending' ? html`begins ${time(s.startsAt, p.now)}` : html`ends ${time(s.endsAt, p.now)}`
  }</span></div><form method="post" action="/console/expire"><input type="hidden" name="id" value="${s.id}"><button class="button" aria-label="End the silence ${s.matchers.map(printMatcher).join(', ')}">End</button></form></li>`

const silencesPanel = ({ doors, picture: p, query }: PageContext): Html => {
  const all = doors.alerts.silences([]).filter((s) => s.state !== 'expired')
  return panel(
    'silences',
    'Silences',
    html`${all.length > 0 ? html`<ul class="silences">${all.slice(0, shown).map((s) => silenceRow(s, p))}</ul>` : empty('No silence holds.', 'Every alert that fires is told to its receivers.')}${silenceForm(query.get('matchers') ?? '', '')}<p class="note">Matchers as Alertmanager writes them: <code>alertname="HostCpuHigh", instance=~"web-.*"</code></p>`,
  )
}

export const alertsPage: Page = {
  key: 'alerts',
  path: '/alerts',
  title: 'Alerts',
  scripts: [],
  pieces: (c) => [
    ['firing', firingPanel(c)],
    ['pending', pendingPanel(c)],
    ['quiet', quietPanel(c)],
    ['silences', silencesPanel(c)],
  ],
  layout: (piece) =>
    html`${head('Alerts', 'What fires, what waits, what is kept quiet.')}<div class="stack">${piece('firing')}${piece('pending')}${piece('quiet')}${piece('silences')}</div>`,
}
