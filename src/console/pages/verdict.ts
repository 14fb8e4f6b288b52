// The sentence a page opens with: is something wrong, who has it, what is asked of me, can I trust this.
import { html } from 'hono/html'
import type { Escalation } from '../../model/ports/on-call.ts'
import { type Html, type State, state, time } from '../parts.ts'
import type { AlertLine, Picture } from '../picture.ts'

const many = (n: number, one: string, more = `${one}s`): string => `${n} ${n === 1 ? one : more}`
const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

const headline = (a: AlertLine): string =>
  sentence(a.summary || `${a.name}${a.subject ? ` on ${a.subject}` : ''} fires`)

const people = (e: Escalation, p: Picture): Html => {
  const paged = e.pages.filter((page) => page.about === 'firing').slice(-2)
  return html`${paged.map((page) => html`${page.user} was paged ${time(page.at, p.now)}. `)}${
    e.nextAt !== null && e.nextAt > p.now
      ? html`The next step is in <b class="num">${time(e.nextAt, p.now, 'until')}</b>. `
      : ''
  }`
}

const looked = (p: Picture): Html | string =>
  p.lookedAt === null
    ? p.rules > 0
      ? `${many(p.rules, 'rule')} will look soon.`
      : 'No rules are loaded.'
    : html`${many(p.rules, 'rule')} looked, the last ${time(p.lookedAt, p.now)}.`

const besides = (p: Picture): Html =>
  html`${
    p.held > 0
      ? html`<a href="/decisions">${many(p.held, 'decision')} ${p.held === 1 ? 'waits' : 'wait'} for a person.</a> `
      : ''
  }${p.broken > 0 ? html`<a href="/rules">${many(p.broken, 'rule')} cannot be evaluated.</a> ` : ''}${
    p.actions.stopped
      ? html`Actions are stopped by ${p.actions.stopped.by}: ${sentence(p.actions.stopped.why || 'no reason given')} `
      : ''
  }${p.storeError ? 'ClickHouse does not answer; recent data and paging go on. ' : ''}`

interface Verdict {
  readonly tone: State
  readonly say: Html | string
  readonly sub: Html
  readonly act: Html | string
}

const firing = (p: Picture): Verdict => {
  const worst = p.firing[0]!
  const open = p.escalations.find((e) => e.status === 'open')
  const mine = worst.escalation ?? open ?? null
  const rest = p.firing.length - 1
  return {
    tone: worst.state,
    say: html`${headline(worst)}${mine?.status === 'open' ? ' Nobody has acknowledged.' : ''}`,
    sub: html`${mine ? people(mine, p) : ''}${mine?.status === 'acknowledged' ? `${mine.acknowledgedBy} has it. ` : ''}${
      rest > 0 ? `${many(rest, 'more alert')} ${rest === 1 ? 'fires' : 'fire'}. ` : ''
    }${besides(p)}`,
    act:
      mine?.status === 'open'
        ? html`<form method="post" action="/console/acknowledge"><input type="hidden" name="id" value="${mine.id}"><input type="hidden" name="back" value="/"><button class="button primary">Acknowledge</button></form>`
        : html`<a class="button" href="/alerts#a-${worst.id}">Open</a>`,
  }
}

const verdictOf = (p: Picture): Verdict => {
  if (p.firing.length > 0) return firing(p)
  if (p.newestAt === null)
    return {
      tone: 'stale',
      say: 'Nothing has sent data yet.',
      sub: html`This machine's own figures come within half a minute. Send yours by OTLP, Prometheus remote write or a scrape; <a href="/ingest">Ingest</a> shows them arrive.`,
      act: '',
    }
  const soft = p.broken > 0 || p.storeError !== ''
  return {
    tone: soft ? 'warn' : 'ok',
    say: soft ? 'Nothing fires, but not everything can be seen.' : 'Nothing fires.',
    sub: html`${looked(p)} ${p.pending.length > 0 ? `${many(p.pending.length, 'alert')} ${p.pending.length === 1 ? 'is' : 'are'} pending. ` : ''}${
      p.quiet.length > 0 ? `${many(p.quiet.length, 'alert')} silenced or held back. ` : ''
    }${besides(p)}`,
    act: '',
  }
}

export const verdict = (p: Picture): Html => {
  const { tone, say, sub, act } = verdictOf(p)
  const shade = tone === 'crit' ? 'crit' : tone === 'warn' ? 'warn' : ''
  return html`<section class="verdict ${shade}" id="verdict" data-fragment aria-label="State of the fleet">
  ${state(tone, '')}
  <div><h1 class="say">${say}</h1><p class="sub">${sub}</p></div>
  ${act ? html`<div class="acts">${act}</div>` : ''}
</section>`
}
