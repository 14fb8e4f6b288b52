// The one stream of a page: fragments replace what stands under their id; without a beat for 20 s the page says that it is old.
import { all, make, one, shape, state } from './dom.ts'
import { length, runTimes, serverNow, setServerNow, withSeconds } from './time.ts'

const lateAfter = 20_000
const root = document.documentElement
let beatAt = Date.now()
let newest: number | null = Number(one('#fresh')?.dataset['newest'] || Number.NaN) || null
const waiting = new Map<string, string>()

const has = (): string =>
  all('[data-fragment]')
    .map((e) => `${e.id}:${e.dataset['fragment'] ?? ''}`)
    .join(',')

/** Somebody writes in it, or has something chosen: then it waits until they are done. */
const busy = (element: HTMLElement): boolean => {
  const active = document.activeElement
  if (active && element.contains(active) && active.matches('input, textarea, select')) return true
  return all<HTMLInputElement>('input, textarea', element).some(
    (i) => i.type !== 'hidden' && i.value !== i.defaultValue,
  )
}

const put = (id: string, html: string): void => {
  const old = document.getElementById(id)
  if (!old) return
  if (busy(old)) {
    waiting.set(id, html)
    return
  }
  waiting.delete(id)
  const template = document.createElement('template')
  // The server escapes every value; nothing else comes this way.
  template.innerHTML = html
  const fresh = template.content.firstElementChild
  if (!(fresh instanceof HTMLElement)) return
  for (const open of all<HTMLDetailsElement>('details[open][id]', old))
    fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute('open', '')
  const focused = old.contains(document.activeElement) ? (document.activeElement as HTMLElement) : null
  const again = focused?.getAttribute('href')
  old.replaceWith(fresh)
  if (again) one(`a[href="${CSS.escape(again)}"]`, fresh)?.focus({ preventScroll: true })
  if (id === 'watch') {
    const rest = document.title.replace(/^▲ \d+ firing · /, '')
    document.title = `${fresh.dataset['title'] ?? ''}${rest}`
  }
  dispatchEvent(new CustomEvent('fragment', { detail: id }))
}

const freshness = (): void => {
  const silent = Date.now() - beatAt
  const late = silent > lateAfter
  root.classList.toggle('stale-page', late)
  const fresh = one('#fresh')
  if (fresh) {
    const age = newest === null ? null : serverNow() - newest
    const old = late || (age !== null && age > 120_000)
    fresh.classList.toggle('late', old)
    const words =
      age === null && !late
        ? make('span', {}, 'No data yet')
        : make(
            'span',
            {},
            late ? 'Stale, ' : 'Data ',
            make('b', {}, length(late ? silent : Math.max(0, age ?? 0))),
            ' old',
          )
    fresh.replaceChildren(shape(old ? 's-warn' : age === null ? 's-stale' : 's-ok'), words)
  }
  let banner = one('.banner')
  if (!late) {
    banner?.remove()
    return
  }
  if (!banner) {
    banner = make('p', { class: 'banner', role: 'alert' })
    one('main')?.prepend(banner)
  }
  const text = `Nothing new for ${length(silent)}. This is how it was at ${withSeconds.format(beatAt)}. Paging goes on without this page.`
  banner.replaceChildren(state('warn', text))
}

const tick = (): void => {
  runTimes()
  for (const [id, html] of waiting) put(id, html)
  freshness()
}

export const startStream = (page: string): void => {
  const source = new EventSource(
    `/console/stream?page=${encodeURIComponent(page)}&has=${encodeURIComponent(has())}`,
  )
  source.addEventListener('beat', (event) => {
    const beat = JSON.parse((event as MessageEvent<string>).data) as { now: number; newest: number | null }
    setServerNow(beat.now)
    newest = beat.newest
    beatAt = Date.now()
    freshness()
  })
  source.addEventListener('fragment', (event) => {
    const { id, html } = JSON.parse((event as MessageEvent<string>).data) as { id: string; html: string }
    put(id, html)
    runTimes()
  })
  addEventListener('pagehide', () => source.close())
  setInterval(tick, 1000)
  tick()
}
