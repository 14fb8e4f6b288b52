// Ingest: where data comes from, which targets answer, and what keeps it.
import { html } from 'hono/html'
import type { GroupView } from '../../model/cardinality.ts'
import type { TargetView } from '../../model/views.ts'
import { bytes, count, seconds, unknown } from '../format.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, type Html, head, panel, type State, state, time } from '../parts.ts'
import type { Picture } from '../picture.ts'
import { unpricedPanel } from './costs.ts'
import { ingestPanel, keepFacts } from './now-machine.ts'

const shapes: Readonly<Record<TargetView['health'], State>> = { up: 'ok', down: 'crit', unknown: 'stale' }
const words: Readonly<Record<TargetView['health'], string>> = {
  up: 'Answers',
  down: 'Down',
  unknown: 'Not asked yet',
}
const rank: Readonly<Record<TargetView['health'], number>> = { down: 0, unknown: 1, up: 2 }
const shown = 500

const targetRow = (t: TargetView, p: Picture): Html =>
  html`<tr><th scope="row"><span class="mono">${t.scrapeUrl}</span><span class="note">${t.scrapePool}${t.lastError ? `: ${t.lastError}` : ''}</span></th><td>${state(shapes[t.health], words[t.health])}</td><td class="r num">${t.lastScrapeAt === null ? unknown : time(t.lastScrapeAt, p.now)}</td><td class="r num">${t.lastScrapeAt === null ? unknown : seconds(t.lastScrapeDuration / 1000)}</td></tr>`

const targetsPanel = ({ doors, picture: p }: PageContext): Html => {
  const targets = [...doors.targets()].sort(
    (a, b) => rank[a.health] - rank[b.health] || (a.scrapeUrl < b.scrapeUrl ? -1 : 1),
  )
  const down = targets.filter((t) => t.health === 'down').length
  return panel(
    'targets',
    'Scrape targets',
    targets.length > 0
      ? html`<div class="scroll" tabindex="0"><table class="plain targets"><thead><tr><th scope="col">Target</th><th scope="col">State</th><th scope="col" class="r">Asked</th><th scope="col" class="r">Took</th></tr></thead><tbody>${targets.slice(0, shown).map((t) => targetRow(t, p))}</tbody></table></div>${targets.length > shown ? html`<p class="note">${targets.length - shown} more: <code>/api/v1/targets</code></p>` : ''}`
      : empty('No targets.', 'Name them under scrape_configs, as Prometheus does.'),
    { aside: down > 0 ? `${down} of ${targets.length} down` : `${targets.length}, all asked in turn` },
  )
}

const keepPanel = (c: PageContext): Html => {
  const k = c.doors.keep()
  return panel(
    'kept',
    'Where it is kept',
    html`${keepFacts(c)}<dl class="facts"><div><dt>Recent samples in memory</dt><dd class="num">${count(k.headSamples)}</dd></div><div><dt>Of so many series</dt><dd class="num">${count(k.headSeries)}</dd></div><div><dt>Memory for them</dt><dd class="num">${bytes(k.headBytes)}</dd></div></dl>${
      k.storeError
        ? html`<p class="note">${k.storeError}. What arrives is kept in the write-ahead log and goes in when ClickHouse is back; rules and paging go on from memory.</p>`
        : ''
    }`,
  )
}

const largest = 10

const groupRow = (g: GroupView): Html =>
  html`<tr><th scope="row">${g.series >= g.limit ? state('crit', 'at its limit') : ''} <span class="mono">${g.name}</span>${g.widest ? html`<span class="note">most values in ${g.widest}</span>` : ''}${g.refused > 0 ? html`<span class="note">${count(g.refused)} new series refused</span>` : ''}</th><td class="r num">${count(g.series)}</td><td class="r num">${count(g.limit)}</td></tr>`

const groupTable = (what: string, groups: readonly GroupView[]): Html =>
  html`<table class="plain"><thead><tr><th scope="col">${what}</th><th scope="col" class="r">Active series</th><th scope="col" class="r">Limit</th></tr></thead><tbody>${groups.map(groupRow)}</tbody></table>`

const cardinalityPanel = ({ doors }: PageContext): Html => {
  const { series, metrics, sources } = doors.cardinality(largest)
  const full = [...metrics, ...sources].filter((g) => g.series >= g.limit).length
  return panel(
    'cardinality',
    'Largest metrics and sources',
    series > 0
      ? html`<div class="scroll" tabindex="0">${groupTable('Metric', metrics)}${groupTable('Source', sources)}</div>`
      : empty('No series yet.', 'They are counted while their samples are in memory.'),
    { aside: full > 0 ? `${full} at the limit` : `${count(series)} active series` },
  )
}

export const ingestPage: Page = {
  key: 'ingest',
  path: '/ingest',
  title: 'Ingest',
  scripts: [],
  pieces: (c) => [
    ['ingest', ingestPanel(c, true)],
    ['targets', targetsPanel(c)],
    ['kept', keepPanel(c)],
    ['unpriced', unpricedPanel(c)],
    ['cardinality', cardinalityPanel(c)],
  ],
  layout: (piece) =>
    html`${head('Ingest', 'Where data comes from, and what keeps it.')}<div class="grid"><div class="col">${piece('targets')}${piece('cardinality')}</div><div class="col">${piece('ingest')}${piece('kept')}${piece('unpriced')}</div></div>`,
}
