// Alerts as rows: shape, name and subject, value against its limit, who has it, since when.
import { html } from 'hono/html'
import type { Escalation } from '../../model/ports/on-call.ts'
import { type Html, state, time } from '../parts.ts'
import type { AlertLine, Picture } from '../picture.ts'

const pagedOf = (e: Escalation): string => [...new Set(e.pages.map((p) => p.user))].at(-1) ?? ''

const who = (a: AlertLine, p: Picture): { first: Html | string; note: Html | string } => {
  const e = a.escalation
  if (a.phase === 'silenced') return { first: 'silenced', note: '' }
  if (a.phase === 'inhibited') return { first: 'held back', note: 'by another alert or a time interval' }
  if (a.phase === 'pending') return { first: 'waits', note: 'fires when its time is over' }
  if (!e) {
    const to = a.receivers.join(', ')
    return { first: to ? `told: ${to}` : 'nobody is told', note: '' }
  }
  if (e.status === 'acknowledged')
    return {
      first: e.acknowledgedBy ?? 'somebody',
      note: e.acknowledgedAt ? html`acknowledged ${time(e.acknowledgedAt, p.now)}` : 'acknowledged',
    }
  const paged = pagedOf(e)
  return {
    first: paged ? `paged: ${paged}` : 'nobody paged yet',
    note: html`<span class="unacked">not acknowledged</span>`,
  }
}

export const alertRow = (a: AlertLine, p: Picture, href = `/alerts#a-${a.id}`): Html => {
  const { first, note } = who(a, p)
  return html`<li class="alert ${a.state}">
  ${state(a.state, '')}
  <a class="alert-main" href="${href}"><b>${a.name}</b>${a.subject ? html` <span class="subject">${a.subject}</span>` : ''}<span class="note">${a.summary || a.description}</span></a>
  <span class="alert-value"><b class="num">${a.value}</b><span class="note">${a.limit}</span></span>
  <span class="alert-who"><span>${first}</span><span class="note">${note}</span></span>
  <span class="alert-since num">${time(a.since, p.now, 'age')}</span>
</li>`
}
