// Decisions: what Airboss decided and why, what waits for a person, the switch that stops it all, and the record of every change.
import { html } from 'hono/html'
import type { LedgerVersion } from '../../model/ports/ledger.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, type Html, head, panel, state, time } from '../parts.ts'
import type { Picture } from '../picture.ts'
import { decisionItem } from './decision-list.ts'

const shown = 100

const switchForm = (what: 'stop' | 'resume'): Html =>
  html`<form class="row-form" method="post" action="/console/actions"><label class="inline grow">Why <input name="why" required maxlength="500" autocomplete="off"></label><input type="hidden" name="do" value="${what}"><input type="hidden" name="back" value="/decisions"><button class="button ${what === 'stop' ? 'danger' : 'primary'}">${what === 'stop' ? 'Stop all actions' : 'Resume actions'}</button></form>`

const actionsPanel = ({ picture: { actions } }: PageContext): Html => {
  const body = actions.stopped
    ? html`<p>${state('held', 'Stopped')} by ${actions.stopped.by}: ${actions.stopped.why || 'no reason given'}</p><p class="note">Decisions are still taken and written down; what they ask for waits.</p>${switchForm('resume')}`
    : html`<p>${actions.mode === 'live' ? state('ok', 'Live') : state('idle', 'Dry run')} ${
        actions.mode === 'live'
          ? 'What is decided is done, within its limits.'
          : 'What is decided is written down and nothing is done: actions.mode is dry_run.'
      }</p>${switchForm('stop')}`
  return panel('actions', 'Actions', body)
}

const heldPanel = ({ doors, picture: p }: PageContext): Html => {
  const held = doors.decisions(200).filter((d) => d.approvable)
  return panel(
    'held',
    'Waiting for a person',
    held.length > 0
      ? html`<ol class="decisions">${held.map((d) => decisionItem(d, p.now, true))}</ol>`
      : empty(
          'Nothing waits for you.',
          'An action that needs approval, or is held by a dry run, is asked here.',
        ),
  )
}

const listPanel = ({ doors, picture: p }: PageContext): Html => {
  const list = doors.decisions(shown)
  return panel(
    'list',
    'All decisions',
    list.length > 0
      ? html`<ol class="decisions">${list.map((d) => decisionItem(d, p.now))}</ol>`
      : empty(
          'Airboss has decided nothing yet.',
          'Canaries, autoscalers and budgets decide; each decision stands here with its numbers.',
        ),
    { aside: list.length === shown ? `the newest ${shown}` : '' },
  )
}

const verbOf = (v: LedgerVersion): string =>
  v.value === null ? 'removed' : v.version === 1 ? 'written' : `changed, version ${v.version}`

const historyRow = (v: LedgerVersion, p: Picture): Html =>
  html`<tr><td class="num">${time(v.at, p.now)}</td><th scope="row">${v.kind} <span class="mono">${v.id}</span><span class="note">${v.why}</span></th><td>${verbOf(v)}</td><td>${v.by}</td><td class="mono wide-only" title="${v.hash}">${v.hash.slice(0, 10)}</td></tr>`

const historyPanel = ({ doors, picture: p }: PageContext): Html => {
  const list = doors.history(50)
  return panel(
    'history',
    'Record',
    list.length > 0
      ? html`<div class="scroll" tabindex="0"><table class="plain history"><thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Change</th><th scope="col">By</th><th scope="col" class="wide-only">Chained as</th></tr></thead><tbody>${list.map((v) => historyRow(v, p))}</tbody></table></div>`
      : empty(
          'Nothing has been changed.',
          'Every change by a person or by Airboss is written here, each chained to the one before.',
        ),
    { aside: list.length === 50 ? 'the newest 50 of every change' : 'every change' },
  )
}

export const decisionsPage: Page = {
  key: 'decisions',
  path: '/decisions',
  title: 'Decisions',
  scripts: [],
  pieces: (c) => [
    ['held', heldPanel(c)],
    ['actions', actionsPanel(c)],
    ['list', listPanel(c)],
    ['history', historyPanel(c)],
  ],
  layout: (piece) =>
    html`${head('Decisions', 'What Airboss decided, with its reasons, and what it asks of you.')}<div class="grid"><div class="col">${piece('held')}${piece('list')}</div><div class="col">${piece('actions')}</div></div><div class="stack under">${piece('history')}</div>`,
}
