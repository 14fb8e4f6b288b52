// The frame of every page: strip, rail, tabs, dialogs; and the pieces of it that the stream keeps current.
import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import { type Html, icon, state, time } from './parts.ts'
import type { Picture } from './picture.ts'
import { sprite } from './sprite.ts'

interface Place {
  readonly key: string
  readonly path: string
  readonly name: string
  /** Follows `g`. */
  readonly letter: string
  readonly icon: string
}
const rail: readonly (readonly [heading: string, places: readonly Place[]])[] = [
  [
    '',
    [
      { key: 'now', path: '/', name: 'Now', letter: 'n', icon: 'i-now' },
      { key: 'alerts', path: '/alerts', name: 'Alerts', letter: 'a', icon: 'i-incident' },
      { key: 'decisions', path: '/decisions', name: 'Decisions', letter: 'd', icon: 'i-rollout' },
    ],
  ],
  ['People', [{ key: 'oncall', path: '/on-call', name: 'On call', letter: 'o', icon: 'i-oncall' }]],
  ['Money', [{ key: 'costs', path: '/costs', name: 'Costs', letter: 'c', icon: 'i-more' }]],
  [
    'Data',
    [
      { key: 'explore', path: '/explore', name: 'Explore', letter: 'e', icon: 'i-explore' },
      { key: 'traces', path: '/traces', name: 'Traces', letter: 'r', icon: 'i-more' },
      { key: 'rules', path: '/rules', name: 'Rules', letter: 'u', icon: 'i-more' },
      { key: 'ingest', path: '/ingest', name: 'Ingest', letter: 'i', icon: 'i-more' },
    ],
  ],
]
const places = rail.flatMap(([, list]) => list)
const tabs = ['now', 'alerts', 'explore', 'oncall'].map((key) => places.find((p) => p.key === key)!)

const themeScript = "document.documentElement.dataset.theme=localStorage.getItem('theme')??''"
export const themeHash = createHash('sha256').update(themeScript).digest('base64')

const ball = (crit: boolean): Html =>
  html`<svg class="ball ${crit ? 'crit' : ''}" viewBox="0 0 28 16" aria-hidden="true"><path d="M1 8h7M20 8h7" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/>${
    crit
      ? raw('<path class="b" d="M11.8 6.900h4.400l2.800 2.800v3l-2.500 2.700h-5L9 12.700v-3z"/>')
      : raw('<circle class="b" cx="14" cy="8" r="4"/>')
  }</svg>`
const lights = { ok: '<circle cx="16" cy="13" r="7" fill="#0b6b5d"/>', crit: '' } as const
const octagon = '<path d="M12 12h8l4 4v8l-4 4h-8l-4-4v-8z" fill="#b80f3f"/>'
const favicon = (crit: boolean): Html =>
  raw(
    encodeURIComponent(
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M1 13h8M23 13h8" stroke="#66717c" stroke-width="4"/>${crit ? octagon : lights.ok}</svg>`,
    ),
  )

const many = (n: number, one: string, more = `${one}s`): string => `${n} ${n === 1 ? one : more}`

const tabTitle = (p: Picture): string => (p.firing.length > 0 ? `▲ ${p.firing.length} firing · ` : '')

const watch = (p: Picture): Html => {
  const worst = p.firing[0]
  const open = worst?.escalation
  const rest = p.firing.length - 1
  return html`<p class="watch" id="watch" role="status" data-fragment data-title="${tabTitle(p)}">${
    worst
      ? html`<a class="watch-worst" href="/alerts#a-${worst.id}">${state(worst.state, '')}<b>${worst.name}</b> <span class="num"><span class="wide">for </span>${time(worst.since, p.now, 'age')}</span>${
          open?.status === 'open' ? html`<span class="unacked">not acknowledged</span>` : ''
        }</a>${rest > 0 ? html`<a class="wide" href="/alerts">${many(rest, 'more alert')}</a>` : ''}`
      : html`<span class="state ok">${icon('s-ok', '')}<span>Nothing fires</span></span>`
  }${
    p.storeError
      ? html`<a class="wide" href="/ingest">${state('warn', 'ClickHouse away')}</a>`
      : p.actions.stopped
        ? html`<a class="wide" href="/decisions#actions">${state('held', 'Actions stopped')}</a>`
        : ''
  }</p>`
}

const freshness = (p: Picture): Html =>
  html`<p class="fresh" id="fresh" role="status" data-newest="${p.newestAt ?? ''}">${icon(p.newestAt === null ? 's-stale' : 's-ok')}<span>${
    p.newestAt === null ? html`No data yet` : html`Data <b>${time(p.newestAt, p.now, 'age')}</b> old`
  }</span></p>`

const switchState = (p: Picture): Html =>
  html`<div class="switch" id="switch" data-fragment>${
    p.actions.stopped
      ? html`${state('held', 'Actions are stopped')}<a class="text" href="/decisions#actions">Resume…</a>`
      : html`${p.actions.mode === 'live' ? state('ok', 'Actions are live') : state('idle', 'Actions run dry')}<a class="text" href="/decisions#actions" data-stop>Stop all…</a>`
  }</div>`

const badge = (id: string, n: number, of: string): Html =>
  html`<span class="n" id="${id}" data-fragment>${n > 0 ? html`${n}<span class="sr"> ${of}</span>` : ''}</span>`

/** The pieces of the frame, current on every page. */
export const shellPieces = (p: Picture): readonly (readonly [string, Html])[] => [
  ['watch', watch(p)],
  ['switch', switchState(p)],
  ['n-alerts', badge('n-alerts', p.firing.length, 'firing')],
  ['n-decisions', badge('n-decisions', p.held, 'waiting for a person')],
  ['t-alerts', badge('t-alerts', p.firing.length, 'firing')],
]

const counted = new Set(['alerts', 'decisions'])
const railItem = (place: Place, here: string, piece: (id: string) => Html): Html =>
  html`<li><a href="${place.path}"${place.key === here ? raw(' aria-current="page"') : ''} data-key="${place.letter}"><span>${place.name}</span>${counted.has(place.key) ? piece(`n-${place.key}`) : ''}</a></li>`

const dialogs = html`<dialog id="keys" aria-labelledby="keys-t"><h2 id="keys-t">Keys</h2><dl class="keys"></dl><form method="dialog"><button>Close</button></form></dialog>
<dialog id="find" aria-label="Find"><form method="dialog"><label for="find-q">Find an agent, alert, rule or metric</label><input id="find-q" type="search" autocomplete="off" spellcheck="false"><ul class="found" aria-live="polite"></ul></form></dialog>
<dialog id="stop" aria-labelledby="stop-t"><form method="post" action="/console/actions"><h2 id="stop-t">Stop all actions</h2><p class="note">No action begins and those under way are called off, within a second. Alerts and paging go on. Who stopped it and why is kept.</p><label for="stop-why">Why</label><input id="stop-why" name="why" required maxlength="500" autocomplete="off"><input type="hidden" name="do" value="stop"><input type="hidden" name="back" value=""><div class="acts"><button class="button danger">Stop all actions</button><button class="button" type="button" data-close>Cancel</button></div></form></dialog>`

export interface Frame {
  readonly page: string
  readonly title: string
  readonly picture: Picture
  readonly name: string
  readonly assets: string
  readonly scripts: readonly string[]
  /** What was just done, said once. */
  readonly done: string
  /** What the editor's styles are let in by. */
  readonly nonce: string
}

const headOf = ({ page, title, picture, assets, scripts }: Frame): Html => html`<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<title>${tabTitle(picture)}${title} · Airboss</title>
<link rel="icon" href="data:image/svg+xml,${favicon(picture.firing.some((a) => a.state === 'crit'))}">
<script>${raw(themeScript)}</script>
<link rel="stylesheet" href="${assets}/airboss.css">
<script type="module" src="${assets}/app.js"></script>
${scripts.map((name) => html`<script type="module" src="${assets}/${name}"></script>`)}
${page === 'explore' ? '' : html`<noscript><meta http-equiv="refresh" content="30"></noscript>`}
</head>`

export const shell = (frame: Frame, piece: (id: string) => Html, body: Html): Html => {
  const { page, picture, name, done, nonce } = frame
  return html`<!doctype html>
<html lang="en" data-page="${page}" data-nonce="${nonce}">
${headOf(frame)}
<body>
${sprite}
<a class="skip" href="#main">Skip to content</a>
<header class="strip">
  <a class="brand" href="/" aria-label="Airboss, now">${ball(picture.firing.length > 0)}<span>airboss</span></a>
  ${piece('watch')}
  ${freshness(picture)}
  <button class="quiet wide needs-script" type="button" data-search>${icon('i-search')}<span>Find</span><kbd>/</kbd></button>
  <button class="quiet only-icon needs-script" type="button" data-theme-toggle aria-label="Light or dark">${icon('i-theme')}</button>
</header>
<nav class="rail" id="more" aria-label="Pages">
  ${rail.map(([heading, items]) => html`<div>${heading ? html`<h2>${heading}</h2>` : ''}<ul>${items.map((item) => railItem(item, page, piece))}</ul></div>`)}
  <div class="foot">${piece('switch')}<p>${name} · <time data-form="clock" data-now datetime="">${''}</time> <span data-zone></span></p></div>
</nav>
<main id="main" tabindex="-1">
${done ? html`<p class="said" role="status">${state('ok', done)}</p>` : ''}
${body}
</main>
<nav class="tabs" aria-label="Main pages">${tabs.map(
    (t) =>
      html`<a href="${t.path}"${t.key === page ? raw(' aria-current="page"') : ''}>${icon(t.icon)}<span>${t.name}</span>${t.key === 'alerts' ? piece('t-alerts') : ''}</a>`,
  )}<a href="#more" aria-expanded="false" aria-controls="more">${icon('i-more')}<span>More</span></a></nav>
${dialogs}
<div id="toast" role="status" aria-live="polite"></div>
</body>
</html>
`
}
