// The console's addresses: pages, their stream, what the find dialog asks, forms, and assets.

import { randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { type Context, Hono } from 'hono'
import { html } from 'hono/html'
import { streamSSE } from 'hono/streaming'
import type { BlankEnv } from 'hono/types'
import { asAppError } from '../lib/errors.ts'
import { type Ask, createAsk } from './ask.ts'
import { type Assets, loadAssets } from './assets.ts'
import { createBundle } from './bundle.ts'
import type { ConsoleDoors } from './doors.ts'
import { find } from './find.ts'
import { doneWords, formRoutes } from './forms.ts'
import { type Fragment, fragment } from './fragment.ts'
import { pageHeaders } from './headers.ts'
import { Live, type StreamEvent } from './live.ts'
import { alertsPage } from './pages/alerts.ts'
import { costsPage } from './pages/costs.ts'
import { decisionsPage } from './pages/decisions.ts'
import { explorePage } from './pages/explore.ts'
import { ingestPage } from './pages/ingest.ts'
import { nowPage } from './pages/now.ts'
import { oncallPage } from './pages/oncall.ts'
import { rulesPage } from './pages/rules.ts'
import { tracesPage } from './pages/traces.ts'
import type { Page, PageContext } from './pages.ts'
import { broken, type Html, head, raw } from './parts.ts'
import { takePicture } from './picture.ts'
import { shell, shellPieces } from './shell.ts'

const pages: readonly Page[] = [
  nowPage,
  alertsPage,
  decisionsPage,
  oncallPage,
  costsPage,
  explorePage,
  tracesPage,
  rulesPage,
  ingestPage,
]

interface Made {
  readonly doors: ConsoleDoors
  readonly ask: Ask
  readonly assets: Assets
}

const contextOf = ({ doors, ask }: Made, query: URLSearchParams): PageContext => ({
  doors,
  ask,
  picture: takePicture(doors),
  query,
})

const piecesOf = (page: Page, context: PageContext): Promise<Fragment[]> =>
  Promise.all(
    [...shellPieces(context.picture), ...page.pieces(context)].map(async ([id, piece]) =>
      fragment(id, await piece),
    ),
  )

const render = async (made: Made, page: Page, query: URLSearchParams, nonce: string): Promise<string> => {
  const context = contextOf(made, query)
  const ready = new Map((await piecesOf(page, context)).map((f) => [f.id, f.html]))
  const piece = (id: string): Html => raw(ready.get(id) ?? '')
  const frame = {
    page: page.key,
    title: page.title,
    picture: context.picture,
    name: made.doors.name,
    assets: made.assets.base,
    scripts: page.scripts,
    done: doneWords[query.get('done') ?? ''] ?? '',
    nonce,
  }
  return String(await shell(frame, piece, await page.layout(piece, context)))
}

/** A page whose only content is what went wrong. */
const errorPage = async (made: Made, message: string): Promise<string> => {
  const context = contextOf(made, new URLSearchParams())
  const ready = new Map(
    (await piecesOf({ ...nowPage, pieces: () => [] }, context)).map((f) => [f.id, f.html]),
  )
  const frame = {
    page: '',
    title: 'Not done',
    picture: context.picture,
    name: made.doors.name,
    assets: made.assets.base,
    scripts: [],
    done: '',
    nonce: '',
  }
  const body = html`${head('Not done')}<section class="panel">${broken(message, 'Nothing was changed by this.', html`<a class="button" href="/">Now</a>`)}</section>`
  return String(await shell(frame, (id) => raw(ready.get(id) ?? ''), body))
}

const send = (c: Context, page: string, nonce: string, status = 200): Response => {
  const zipped = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
  const headers = {
    ...pageHeaders(nonce),
    'content-type': 'text/html; charset=utf-8',
    vary: 'accept-encoding',
    ...(zipped ? { 'content-encoding': 'gzip' } : {}),
  }
  return new Response(zipped ? new Uint8Array(gzipSync(page)) : page, { status, headers })
}

const forGood = 'public, max-age=31536000, immutable'
const assetRoutes = (app: Hono<BlankEnv>, { assets }: Made): void => {
  app.get('/console/assets/:digest/:name', async (c) => {
    const asset = await assets.get(c.req.param('name'))
    if (!asset) return c.text('no such asset\n', 404)
    const current = c.req.path.startsWith(`${assets.base}/`)
    const zipped = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
    const tag = `"${assets.base.split('/').at(-1)}"`
    const headers: Record<string, string> = {
      'content-type': asset.type,
      // An address of an older version gives the newer content, which must not stay under it.
      'cache-control': current ? forGood : 'no-cache',
      etag: tag,
      vary: 'accept-encoding',
      'x-content-type-options': 'nosniff',
    }
    if (c.req.header('if-none-match') === tag) return new Response(null, { status: 304, headers })
    if (zipped) headers['content-encoding'] = 'gzip'
    return new Response(new Uint8Array(zipped ? asset.gzip : asset.body), { headers })
  })
}

const hasOf = (text: string): Map<string, string> =>
  new Map(
    text
      .split(',')
      .slice(0, 500)
      .map((pair) => pair.split(':') as [string, string])
      .filter(([id, digest]) => id && digest),
  )

const mostQueued = 1000
const streamRoute = (app: Hono<BlankEnv>, made: Made): void => {
  const { doors } = made
  const byKey = new Map(pages.map((p) => [p.key, p]))
  const live = new Live({
    clock: doors.clock,
    log: doors.log,
    render: (key) => piecesOf(byKey.get(key)!, contextOf(made, new URLSearchParams())),
    beat: () => ({ now: doors.clock.now(), newest: doors.newestAt() }),
  })
  app.get('/console/stream', (c) => {
    const page = byKey.get(c.req.query('page') ?? '')
    if (!page) return c.text('no such page\n', 404)
    const has = hasOf(c.req.query('has') ?? '')
    c.header('x-accel-buffering', 'no')
    return streamSSE(c, async (stream) => {
      const queue: StreamEvent[] = []
      let wake = (): void => undefined
      const leave = live.watch(page.key, has, (events) => {
        // A browser that does not read is let go; it comes back by itself.
        if (queue.length > mostQueued) stream.abort()
        else queue.push(...events)
        wake()
      })
      stream.onAbort(() => {
        leave()
        wake()
      })
      try {
        while (!stream.aborted) {
          const next = queue.shift()
          if (next) await stream.writeSSE(next)
          else
            await new Promise<void>((resolve) => {
              wake = resolve
            })
        }
      } finally {
        leave()
      }
    })
  })
}

/** Puts the console's routes on a server. */
export const consoleRoutes = (doors: ConsoleDoors): Hono<BlankEnv> => {
  const app = new Hono<BlankEnv>()
  const made: Made = {
    doors,
    ask: createAsk(doors.querier, doors.clock),
    assets: loadAssets(createBundle(doors.cacheDir, doors.version, doors.log)),
  }
  app.onError(async (thrown, c) => {
    const error = asAppError(thrown)
    if (error.code === 'internal') doors.log.error({ err: thrown, path: c.req.path }, 'page failed')
    return send(c, await errorPage(made, error.message), randomUUID(), error.status)
  })
  for (const page of pages)
    app.get(page.path, async (c) => {
      const nonce = randomUUID()
      return send(c, await render(made, page, new URL(c.req.url).searchParams, nonce), nonce)
    })
  app.get('/console/find', (c) => {
    const text = (c.req.query('q') ?? '').slice(0, 200)
    return c.json(find(doors, takePicture(doors), text), 200, { 'cache-control': 'no-store' })
  })
  formRoutes(app, doors)
  streamRoute(app, made)
  assetRoutes(app, made)
  return app
}
