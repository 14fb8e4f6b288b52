// On call: who is being paged about what, who has it, and who comes next.
import { html } from 'hono/html'
import type { Escalation } from '../../model/ports/on-call.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, face, type Html, head, panel, type State, state, time } from '../parts.ts'
import type { Picture } from '../picture.ts'

const titleOf = ({ notification: n }: Escalation): string =>
  n.commonAnnotations['summary'] ||
  n.alerts[0]?.annotations['summary'] ||
  n.commonLabels['alertname'] ||
  Object.entries(n.groupLabels)
    .map(([k, v]) => `${k}=${v}`)
    .join(', ') ||
  'Alerts'

const pageWords = { asked: 'being paged', sent: 'paged', failed: 'not reached' } as const

const pages = (e: Escalation, p: Picture): Html =>
  html`<ul class="people">${e.pages.map(
    (page) =>
      html`<li>${face(page.user)}<div><b>${page.user}</b> <span class="role">step ${page.step}${page.about === 'resolved' ? ', about the end' : ''}</span>${state(page.state === 'failed' ? 'crit' : page.state === 'asked' ? 'pending' : 'ok', pageWords[page.state])}${page.why ? html`<span class="note">${page.why}</span>` : ''}</div><span class="num">${time(page.at, p.now)}</span></li>`,
  )}</ul>`

const action = (to: string, id: string, text: string, cls = ''): Html =>
  html`<form method="post" action="/console/${to}"><input type="hidden" name="id" value="${id}"><input type="hidden" name="back" value="/on-call"><button class="button ${cls}">${text}</button></form>`

const shapes: Readonly<Record<Escalation['status'], State>> = {
  open: 'crit',
  acknowledged: 'pending',
  resolved: 'ok',
}
const words: Readonly<Record<Escalation['status'], string>> = {
  open: 'Not acknowledged',
  acknowledged: 'Acknowledged',
  resolved: 'Over',
}

const escalation = (e: Escalation, p: Picture): Html =>
  html`<article class="escalation" id="e-${e.id}"><header>${state(shapes[e.status], words[e.status])}<h3>${titleOf(e)}</h3><p class="note">policy ${e.policy} · ${e.notification.alerts.length} ${e.notification.alerts.length === 1 ? 'alert' : 'alerts'} · begun ${time(e.startedAt, p.now)}${
    e.acknowledgedBy
      ? html` · ${e.acknowledgedBy} has it${e.acknowledgedAt ? html` since ${time(e.acknowledgedAt, p.now)}` : ''}`
      : ''
  }${e.endedAt ? html` · over ${time(e.endedAt, p.now)}` : ''}${e.status === 'open' && e.nextAt !== null && e.nextAt > p.now ? html` · next step in <b class="num">${time(e.nextAt, p.now, 'until')}</b>` : e.status === 'open' ? ' · nobody is left to page' : ''}</p></header>${pages(e, p)}<div class="acts">${e.status === 'open' ? action('acknowledge', e.id, 'Acknowledge', 'primary') : ''}${e.status === 'resolved' ? '' : action('resolve', e.id, 'Resolve')}</div></article>`

const openPanel = ({ picture: p }: PageContext): Html =>
  panel(
    'open',
    'Running',
    p.escalations.length > 0
      ? html`${p.escalations.map((e) => escalation(e, p))}`
      : empty(
          'Nobody is being paged.',
          'When an alert reaches an on-call receiver, its escalation runs here until somebody has it.',
        ),
  )

const endedPanel = ({ doors, picture: p }: PageContext): Html => {
  const ended = doors.oncall
    .all()
    .filter((e) => e.status === 'resolved')
    .slice(0, 20)
  return panel(
    'ended',
    'Over lately',
    ended.length > 0
      ? html`${ended.map((e) => escalation(e, p))}`
      : empty('Nothing ended lately.', 'Escalations that are over stay here for a while.'),
  )
}

export const oncallPage: Page = {
  key: 'oncall',
  path: '/on-call',
  title: 'On call',
  scripts: [],
  pieces: (c) => [
    ['open', openPanel(c)],
    ['ended', endedPanel(c)],
  ],
  layout: (piece) =>
    html`${head('On call', 'Who is being paged, who has it, who comes next.')}<div class="stack">${piece('open')}${piece('ended')}</div>`,
}
