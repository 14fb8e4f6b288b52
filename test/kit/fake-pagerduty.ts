// A PagerDuty that speaks the true Events v2 wire format over HTTP, and remembers what it was told.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'

const eventSchema = z.strictObject({
  routing_key: z.string().length(32),
  event_action: z.enum(['trigger', 'acknowledge', 'resolve']),
  dedup_key: z.string().max(255).optional(),
  client: z.string().optional(),
  client_url: z.string().optional(),
  payload: z
    .strictObject({
      summary: z.string().min(1).max(1024),
      source: z.string().min(1),
      severity: z.enum(['critical', 'error', 'warning', 'info']),
      timestamp: z.iso.datetime({ offset: true }).optional(),
      component: z.string().optional(),
      group: z.string().optional(),
      class: z.string().optional(),
      custom_details: z.unknown().optional(),
    })
    .optional(),
  images: z
    .array(z.strictObject({ src: z.string(), href: z.string().optional(), alt: z.string().optional() }))
    .optional(),
  links: z.array(z.strictObject({ href: z.string(), text: z.string().optional() })).optional(),
})

export type PagerdutyEvent = z.output<typeof eventSchema>

/** An alert as PagerDuty keeps it: one for each dedup key that is open. */
export interface PagerdutyAlert {
  readonly key: string
  state: 'triggered' | 'acknowledged' | 'resolved'
  readonly events: PagerdutyEvent[]
}

export interface FakePagerduty {
  readonly url: string
  /** Events that were taken (202), in order. */
  readonly events: PagerdutyEvent[]
  /** Every alert ever opened; a trigger after a resolve opens another. */
  readonly alerts: PagerdutyAlert[]
  /** Bodies that were refused (400), with the reasons. */
  readonly refused: { readonly body: string; readonly errors: readonly string[] }[]
  /** The next answers, before anything is looked at; `hang` never answers. */
  readonly next: ({ readonly status: number; readonly retryAfter?: number } | 'hang')[]
  attempts(): number
  close(): Promise<void>
}

const read = async (request: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

const answer = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

export const startFakePagerduty = async (): Promise<FakePagerduty> => {
  const events: PagerdutyEvent[] = []
  const alerts: PagerdutyAlert[] = []
  const refused: FakePagerduty['refused'] = []
  const next: FakePagerduty['next'] = []
  let attempts = 0
  const take = (event: PagerdutyEvent): string => {
    const key = event.dedup_key ?? `generated-${alerts.length}`
    const open = alerts.find((a) => a.key === key && a.state !== 'resolved')
    events.push(event)
    if (open) {
      open.events.push(event)
      if (event.event_action !== 'trigger')
        open.state = event.event_action === 'resolve' ? 'resolved' : 'acknowledged'
    } else if (event.event_action === 'trigger') alerts.push({ key, state: 'triggered', events: [event] })
    return key
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    attempts++
    const body = await read(request)
    const scripted = next.shift()
    if (scripted === 'hang') return
    if (scripted) {
      const headers = scripted.retryAfter === undefined ? {} : { 'retry-after': String(scripted.retryAfter) }
      return answer(response, scripted.status, { status: 'throttled', message: 'try again' }, headers)
    }
    const refuse = (errors: string[]): void => {
      refused.push({ body, errors })
      answer(response, 400, { status: 'invalid event', message: 'Event object is invalid', errors })
    }
    if (request.method !== 'POST' || request.url !== '/v2/enqueue') return answer(response, 404, {})
    if (Buffer.byteLength(body) > 512 * 1024) return refuse(['event is over 512 KB'])
    let value: unknown
    try {
      value = JSON.parse(body)
    } catch {
      return refuse(['not JSON'])
    }
    const parsed = eventSchema.safeParse(value)
    if (!parsed.success)
      return refuse(parsed.error.issues.map((i) => `${i.path.map(String).join('.')}: ${i.message}`))
    if (parsed.data.event_action === 'trigger' && !parsed.data.payload)
      return refuse(["'payload' is missing"])
    answer(response, 202, { status: 'success', message: 'Event processed', dedup_key: take(parsed.data) })
  }
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  return {
    url: `http://127.0.0.1:${port}/v2/enqueue`,
    events,
    alerts,
    refused,
    next,
    attempts: () => attempts,
    close,
  }
}
