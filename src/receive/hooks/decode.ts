// A payload into what it means: events, alerts and samples, by a declared mapping or by that of its source.
import { AppError } from '../../lib/errors.ts'
import { fromIso, type Instant, instant, iso, plus } from '../../lib/time.ts'
import type { PostedAlert } from '../../model/ports/alert-manager.ts'
import { decodeAlertmanager, decodeGrafana } from './alert-payloads.ts'
import type { Hook, Source, Value } from './config.ts'
import { readPath } from './path.ts'

export interface HookSample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly at: Instant
}

/** An event in the form of `POST /api/ops/v1/events`. */
export type HookEvent = Readonly<Record<string, unknown>>

export interface Delivery {
  readonly alerts: readonly PostedAlert[]
  readonly events: readonly HookEvent[]
  readonly samples: readonly HookSample[]
  /** Items that `match` passed over. */
  readonly ignored: number
}

const mostItems = 1000
const longest = 4096

const bad = (message: string): AppError => new AppError('bad_data', message)

const valueAt = (value: Value, source: Source, where: string): unknown => {
  const read = value(source)
  if ('value' in read) return read.value
  throw bad(`${where}: nothing at ${read.missing}; give { path, default } where it may be missing`)
}

const textAt = (value: Value, source: Source, where: string): string => {
  const read = valueAt(value, source, where)
  const text = typeof read === 'string' ? read : JSON.stringify(read)
  if (text.length > longest) throw bad(`${where}: ${text.length} characters, at most ${longest} are taken`)
  return text
}

const numberAt = (value: Value, source: Source, where: string): number => {
  const read = valueAt(value, source, where)
  const number = typeof read === 'string' && read.trim() !== '' ? Number(read) : read
  if (typeof number === 'boolean') return number ? 1 : 0
  if (typeof number !== 'number' || Number.isNaN(number))
    throw bad(`${where}: ${JSON.stringify(read)?.slice(0, 100)} is no number`)
  return number
}

/** RFC 3339, seconds or milliseconds since 1970: a number below 10^11 is in seconds. */
const timeAt = (value: Value, source: Source, where: string): Instant => {
  const read = valueAt(value, source, where)
  try {
    if (typeof read !== 'number') return fromIso(String(read))
    const at = instant(Math.round(Math.abs(read) < 1e11 ? read * 1000 : read))
    // Throws for what no calendar reaches, which nobody could show.
    iso(at)
    return at
  } catch {
    throw bad(`${where}: ${JSON.stringify(read)?.slice(0, 100)} is no time; RFC 3339, or seconds since 1970`)
  }
}

const textsAt = (
  all: Readonly<Record<string, Value>>,
  source: Source,
  where: string,
): Record<string, string> =>
  Object.fromEntries(Object.entries(all).map(([name, v]) => [name, textAt(v, source, `${where}.${name}`)]))

const eventOf = (mapping: NonNullable<Hook['event']>, source: Source, id: string): HookEvent => {
  const { attributes, name, value, time, ...texts } = mapping
  const given = Object.entries(texts).flatMap(([key, v]) =>
    v === undefined ? [] : [[key, textAt(v, source, `event.${key}`)]],
  )
  return {
    id,
    name: textAt(name, source, 'event.name'),
    ...(value === undefined ? {} : { value: numberAt(value, source, 'event.value') }),
    ...(time === undefined ? {} : { time: timeAt(time, source, 'event.time') }),
    ...Object.fromEntries(given),
    attributes: textsAt(attributes, source, 'event.attributes'),
  }
}

const alertOf = (
  hook: Hook,
  mapping: NonNullable<Hook['alert']>,
  source: Source,
  now: Instant,
): PostedAlert => {
  const status = mapping.status === undefined ? '' : textAt(mapping.status, source, 'alert.status')
  const over = mapping.resolved.some((word) => word.toLowerCase() === status.toLowerCase())
  const at = (key: 'starts_at' | 'ends_at'): Instant | null => {
    const value = mapping[key]
    return value === undefined ? null : timeAt(value, source, `alert.${key}`)
  }
  const endsAt = at('ends_at')
  return {
    labels: textsAt(mapping.labels, source, 'alert.labels'),
    annotations: textsAt(mapping.annotations, source, 'alert.annotations'),
    startsAt: at('starts_at'),
    endsAt: over ? instant(Math.min(endsAt ?? now, now)) : (endsAt ?? plus(now, hook.expires)),
    generatorURL:
      mapping.generator_url === undefined ? '' : textAt(mapping.generator_url, source, 'alert.generator_url'),
  }
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

const sampleOf = (mapping: NonNullable<Hook['sample']>, source: Source, now: Instant): HookSample => {
  const metric = textAt(mapping.metric, source, 'sample.metric')
  if (!metricName.test(metric)) throw bad(`sample.metric: ${JSON.stringify(metric)} is no metric name`)
  return {
    labels: { ...textsAt(mapping.labels, source, 'sample.labels'), __name__: metric },
    value: numberAt(mapping.value, source, 'sample.value'),
    at: mapping.time === undefined ? now : timeAt(mapping.time, source, 'sample.time'),
  }
}

const itemsOf = (hook: Hook, payload: unknown): readonly unknown[] => {
  if (hook.items === undefined) return [payload]
  const items = readPath(hook.items, payload, payload)
  if (!Array.isArray(items)) throw bad(`items: there is no list at ${hook.items.text}`)
  if (items.length > mostItems)
    throw new AppError('too_large', `${items.length} items, at most ${mostItems} are taken`)
  return items
}

const fits = (hook: Hook, source: Source): boolean =>
  hook.match.every(({ path, wanted }) => {
    const value = readPath(path, source.item, source.payload)
    return value !== undefined && value !== null && wanted.includes(String(value))
  })

/** What names the delivery; '' where nothing does. Throws `bad_data` where a declared path leads nowhere. */
export const deliveryId = (
  hook: Hook,
  payload: unknown,
  headers: Readonly<Record<string, string | undefined>>,
): string => {
  if ('header' in hook.id) return headers[hook.id.header] ?? ''
  const value = readPath(hook.id.path, payload, payload)
  if (value === undefined || value === null || typeof value === 'object')
    throw bad(`id: there is no text at ${hook.id.path.text}`)
  return String(value)
}

/**
 * What a payload means to a hook. `id` names the delivery; events are named after it where they have no id of their own. Throws `bad_data`
 * naming the path that led nowhere, and the item it was in.
 */
export const decodeDelivery = (hook: Hook, payload: unknown, id: string, now: Instant): Delivery => {
  if (hook.source !== 'generic') {
    if (!fits(hook, { item: payload, payload })) return { alerts: [], events: [], samples: [], ignored: 1 }
    const decode = hook.source === 'grafana' ? decodeGrafana : decodeAlertmanager
    const alerts = decode(payload, { labels: hook.labels, expires: hook.expires, now })
    return { alerts, events: [], samples: [], ignored: 0 }
  }
  const [alerts, events, samples]: [PostedAlert[], HookEvent[], HookSample[]] = [[], [], []]
  let ignored = 0
  for (const [i, item] of itemsOf(hook, payload).entries()) {
    const source = { item, payload }
    if (!fits(hook, source)) {
      ignored++
      continue
    }
    try {
      if (hook.alert) alerts.push(alertOf(hook, hook.alert, source, now))
      if (hook.sample) samples.push(sampleOf(hook.sample, source, now))
      if (hook.event) {
        const own = hook.event.id === undefined ? '' : textAt(hook.event.id, source, 'event.id')
        if (own === '' && id === '')
          throw bad(
            'the event has no id: give event.id, or id where the delivery is named, so that it counts once',
          )
        events.push(eventOf(hook.event, source, own || (hook.items === undefined ? id : `${id}/${i}`)))
      }
    } catch (error) {
      if (hook.items !== undefined && error instanceof AppError)
        throw new AppError(error.code, `item ${i}: ${error.message}`, { cause: error })
      throw error
    }
  }
  return { alerts, events, samples, ignored }
}
