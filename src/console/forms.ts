// What people do from the console: acknowledge, silence, approve, stop and resume; each ends on the page it came from.
import type { Context, Hono } from 'hono'
import type { BlankEnv } from 'hono/types'
import { AppError } from '../lib/errors.ts'
import { duration, instant, parseDuration, plus } from '../lib/time.ts'
import type { Matcher } from '../model/matcher.ts'
import type { ConsoleDoors } from './doors.ts'

/** What was done, by the word in the address. */
export const doneWords: Readonly<Record<string, string>> = {
  acknowledged: 'Acknowledged. Nobody else is paged about it.',
  resolved: 'Resolved. Those who were paged are told.',
  silenced: 'Silenced. It still shows here; nobody is told.',
  expired: 'The silence has ended.',
  approved: 'Approved. It is being done now.',
  stopped: 'All actions are stopped.',
  resumed: 'Actions go on.',
}

const mostBody = 16_384
type Fields = (name: string) => string

const fieldsOf = async (c: Context): Promise<Fields> => {
  const site = c.req.header('sec-fetch-site')
  if (site && site !== 'same-origin' && site !== 'none')
    throw new AppError('forbidden', `this form was sent from another site (${site})`)
  if (!c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded'))
    throw new AppError('unsupported_media', 'send a form: application/x-www-form-urlencoded')
  if (Number(c.req.header('content-length') ?? mostBody + 1) > mostBody)
    throw new AppError('too_large', `a form has at most ${mostBody} bytes and says how many`)
  const form = new URLSearchParams(await c.req.text())
  return (name) => (form.get(name) ?? '').trim()
}

const needed = (fields: Fields, name: string, what: string): string => {
  const value = fields(name)
  if (value === '') throw new AppError('bad_data', `${name}: ${what}`)
  return value.slice(0, 500)
}

/** Only pages of ours. */
const pages = new Set(['/', '/alerts', '/decisions', '/on-call', '/explore', '/rules', '/ingest'])
const back = (c: Context, fields: Fields, done: string, otherwise: string): Response => {
  const wanted = fields('back')
  const path = pages.has(wanted) ? wanted : otherwise
  return c.redirect(`${path}?done=${done}`, 303)
}

const pair = /\s*([a-zA-Z_:][a-zA-Z0-9_:]*|"(?:[^"\\]|\\.)+")\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*(,|$)/y

/** `a="b", c=~"d"` as a person types it, braces allowed; throws `bad_data` at what it cannot read. */
export const readMatchers = (text: string): Matcher[] => {
  const inner = text.trim().replace(/^\{(.*)\}$/s, '$1')
  const out: Matcher[] = []
  pair.lastIndex = 0
  while (pair.lastIndex < inner.length) {
    const at = pair.lastIndex
    const m = pair.exec(inner)
    if (!m)
      throw new AppError(
        'bad_data',
        `matchers: cannot read ${JSON.stringify(inner.slice(at, at + 40))}; write alertname="HostCpuHigh", instance=~"web-.*"`,
      )
    const unquote = (s: string): string => {
      try {
        return JSON.parse(s) as string
      } catch {
        throw new AppError('bad_data', `matchers: ${s} is not a quoted text`)
      }
    }
    out.push({
      name: m[1]!.startsWith('"') ? unquote(m[1]!) : m[1]!,
      op: m[2] as Matcher['op'],
      value: unquote(m[3]!),
    })
  }
  if (out.length === 0)
    throw new AppError('bad_data', 'matchers: name at least one, for example alertname="HostCpuHigh"')
  return out
}

const silenceRoute = (doors: ConsoleDoors) => async (c: Context) => {
  const fields = await fieldsOf(c)
  const by = doors.actorOf(c.req.raw)
  const now = doors.clock.now()
  const length = parseDuration(fields('length')) ?? duration(0)
  if (length <= 0) throw new AppError('bad_data', 'length: write it as 30m, 2h or 1d')
  await doors.alerts.setSilence(
    {
      id: '',
      matchers: readMatchers(needed(fields, 'matchers', 'say what to silence')),
      startsAt: instant(now),
      endsAt: plus(now, length),
      createdBy: by.id,
      comment: needed(fields, 'why', 'say why, so that others understand it'),
      annotations: {},
    },
    by,
  )
  return back(c, fields, 'silenced', '/alerts')
}

export const formRoutes = (app: Hono<BlankEnv>, doors: ConsoleDoors): void => {
  const actor = (c: Context) => doors.actorOf(c.req.raw)
  app.post('/console/silence', silenceRoute(doors))
  app.post('/console/expire', async (c) => {
    const fields = await fieldsOf(c)
    await doors.alerts.expireSilence(needed(fields, 'id', 'which silence'), actor(c))
    return back(c, fields, 'expired', '/alerts')
  })
  app.post('/console/acknowledge', async (c) => {
    const fields = await fieldsOf(c)
    await doors.oncall.acknowledge(needed(fields, 'id', 'which escalation'), actor(c))
    return back(c, fields, 'acknowledged', '/on-call')
  })
  app.post('/console/resolve', async (c) => {
    const fields = await fieldsOf(c)
    await doors.oncall.resolve(needed(fields, 'id', 'which escalation'), actor(c))
    return back(c, fields, 'resolved', '/on-call')
  })
  app.post('/console/approve', async (c) => {
    const fields = await fieldsOf(c)
    const why = needed(fields, 'why', 'say why you approve it')
    await doors.approve(needed(fields, 'action', 'which action'), actor(c), why)
    return back(c, fields, 'approved', '/decisions')
  })
  app.post('/console/actions', async (c) => {
    const fields = await fieldsOf(c)
    const why = needed(fields, 'why', 'say why; it is kept')
    const resume = fields('do') === 'resume'
    if (!resume && fields('do') !== 'stop') throw new AppError('bad_data', 'do: stop or resume')
    await (resume ? doors.resumeActions(actor(c), why) : doors.stopActions(actor(c), why))
    return back(c, fields, resume ? 'resumed' : 'stopped', '/decisions')
  })
}
