// Ingest: where data comes from, which targets answer, and what keeps it.
import { html } from 'hono/html'
import type { TargetView } from '../../model/views.ts'
import { bytes, count, seconds, unknown } from '../format.ts'
import type { Page, PageContext } from '../pages.ts'
import { empty, type Html, head, panel, type State, state, time } from '../parts.ts'
import type { Picture } from '../picture.ts'
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

export const ingestPage: Page = {
  key: 'ingest',
  path: '/ingest',
  title: 'Ingest',
  scripts: [],
  pieces: (c) => [
    ['ingest', ingestPanel(c, true)],
    ['targets', targetsPanel(c)],
    ['kept', keepPanel(c)],
  ],
  layout: (piece) =>
    html`${head('Ingest', 'Where data comes from, and what keeps it.')}<div class="grid"><div class="col">${piece('targets')}</div><div class="col">${piece('ingest')}${piece('kept')}</div></div>`,
}
