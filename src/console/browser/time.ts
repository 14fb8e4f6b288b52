// Keeps every time on the page running, in the viewer's zone.
import { all } from './dom.ts'

const thin = '\u202f'
/** Two units at most: 4 s, 14 min, 1 h 22 min, 3 d 4 h. */
export const length = (ms: number): string => {
  const s = Math.round(ms / 1000)
  if (s < 60) return `${s}${thin}s`
  const m = Math.floor(s / 60)
  if (m < 10 && s % 60) return `${m}${thin}min ${s % 60}${thin}s`
  if (m < 60) return `${m}${thin}min`
  const h = Math.floor(m / 60)
  if (h < 24) return m % 60 ? `${h}${thin}h ${m % 60}${thin}min` : `${h}${thin}h`
  const d = Math.floor(h / 24)
  return h % 24 && d < 14 ? `${d}${thin}d ${h % 24}${thin}h` : `${d}${thin}d`
}

const format = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-GB', options)
export const hourMinute = format({ hour: '2-digit', minute: '2-digit' })
export const withSeconds = format({ hour: '2-digit', minute: '2-digit', second: '2-digit' })
export const dayMonth = format({ day: 'numeric', month: 'short' })
const full = format({
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
})

/** How far this browser's clock is from the server's. */
let ahead = 0
export const serverNow = (): number => Date.now() - ahead
export const setServerNow = (now: number): void => {
  ahead = Date.now() - now
}

const textOf = (form: string | undefined, at: number, now: number): string => {
  switch (form) {
    case 'clock':
      return hourMinute.format(at)
    case 'seconds':
      return withSeconds.format(at)
    case 'age':
      return length(Math.max(0, now - at))
    case 'until':
      return length(Math.max(0, at - now))
    default:
      return at > now + 1000
        ? `in ${length(at - now)}`
        : now - at < 5000
          ? 'just now'
          : `${length(now - at)} ago`
  }
}

const dressed = new WeakSet<Element>()
export const runTimes = (): void => {
  const now = serverNow()
  for (const element of all<HTMLTimeElement>('time[data-form]')) {
    if ('now' in element.dataset) element.dateTime = new Date(now).toISOString()
    const at = Date.parse(element.dateTime)
    if (Number.isNaN(at)) continue
    const text = textOf(element.dataset['form'], at, now)
    if (element.textContent !== text) element.textContent = text
    if (!dressed.has(element)) {
      dressed.add(element)
      element.title = full.format(at)
    }
  }
}
