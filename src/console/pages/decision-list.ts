// A decision as a row: what was decided, why, and what became of it.
import { html } from 'hono/html'
import type { Instant } from '../../lib/time.ts'
import type { DecisionView } from '../../model/views.ts'
import { type Html, type State, state, time } from '../parts.ts'

const verbs: Readonly<Record<string, string>> = {
  promote: 'Promote',
  hold: 'Hold',
  rollback: 'Roll back',
  scale_up: 'Scale up',
  scale_down: 'Scale down',
  keep: 'Keep',
  page: 'Page about',
}
const done: Readonly<Record<string, string>> = {
  promote: 'Promoted',
  rollback: 'Rolled back',
  scale_up: 'Scaled up',
  scale_down: 'Scaled down',
}

const shapes: Readonly<Record<DecisionView['status'], State>> = {
  none: 'ok',
  asked: 'pending',
  doing: 'pending',
  held: 'held',
  done: 'ok',
  failed: 'crit',
  superseded: 'idle',
  expired: 'idle',
}
const words: Readonly<Record<DecisionView['status'], string>> = {
  none: 'nothing to be done',
  asked: 'asked for',
  doing: 'being done',
  held: 'held',
  done: 'done',
  failed: 'failed',
  superseded: 'overtaken by a later one',
  expired: 'expired',
}

export const decisionTitle = ({ decision: d, status }: DecisionView): Html =>
  html`<b>${(status === 'done' ? done[d.verdict] : undefined) ?? verbs[d.verdict] ?? d.verdict.replaceAll('_', ' ')}</b> ${d.subject}`

const outcome = (v: DecisionView): string => {
  const text = words[v.status]
  return v.detail ? `${text}: ${v.detail}` : text
}

const shapeOf = ({ status, decision }: DecisionView): State =>
  status === 'none' && decision.verdict === 'hold' ? 'held' : shapes[status]

/** `form` offers approval in place. */
export const decisionItem = (v: DecisionView, now: Instant, form = false): Html =>
  html`<li class="decision ${shapeOf(v)}" id="d-${v.decision.id}">${state(shapeOf(v), '')}<div><p>${decisionTitle(v)}</p><p class="note">${v.decision.reason}</p><p class="foot-note">${time(v.decision.at, now)} · ${v.decision.kind} · ${outcome(v)}${
    v.approval ? html` · approved by ${v.approval.by}${v.approval.why ? `: ${v.approval.why}` : ''}` : ''
  }${v.approvable && !form ? html` · <a href="/decisions#d-${v.decision.id}">Decide</a>` : ''}</p>${
    v.approvable && form && v.decision.action
      ? html`<form class="row-form" method="post" action="/console/approve"><input type="hidden" name="action" value="${v.decision.action.id}"><label class="inline">Why <input name="why" required maxlength="500" autocomplete="off"></label><button class="button primary">Approve</button></form>`
      : ''
  }</div></li>`
